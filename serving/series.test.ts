import { describe, expect, it } from 'vitest'
import { parseCut } from '../shared/qoe/cuts.ts'
import { DEFAULT_SERVING_LIMITS } from './limits.ts'
import { selectCut } from './qoe-query.ts'
import { groupKeys, toSeries, type BucketFacts } from './series.ts'
import { aggregates } from './testing/test-stores.ts'

const MINUTE_MS = 60_000
const cuts = ['total', 'cdn', 'cdn+content', 'player+playerVersion'].map(parseCut)
const select = (by: string[], where: string[] = []) =>
  selectCut(
    { by: by as Parameters<typeof selectCut>[0]['by'], where },
    { cuts, limits: DEFAULT_SERVING_LIMITS },
  )
const minute = (keys: Record<string, Parameters<typeof aggregates>[0]>) =>
  new Map(Object.entries(keys).map(([key, values]) => [key, aggregates(values)]))
const labels = (groups: readonly { key: object; other: boolean }[]) =>
  groups.map(({ key, other }) => `${Object.values(key).join(',')}${other ? ' (other)' : ''}`)

function liveAt(asOfMs: number | undefined): BucketFacts['sidesOf'] {
  return ({ toMs }) => [{ source: 'speed', toMs, asOfMs }]
}
const facts: BucketFacts = {
  sidesOf: liveAt(10 * MINUTE_MS),
  paneLifeMs: 3 * MINUTE_MS,
  limits: DEFAULT_SERVING_LIMITS,
  viewersCounted: true,
}

describe('grouping keys', () => {
  it('ranks by events and sums the rest into one last group marked other', () => {
    const minutes = new Map([
      [0, minute({ '["a"]': { events: 1, plays: 1 }, '["b"]': { events: 5, plays: 2 } })],
      [MINUTE_MS, minute({ '["c"]': { events: 3, plays: 4 }, '["d"]': { events: 2, plays: 8 } })],
    ])
    const groups = groupKeys(minutes, select(['cdn']), 2)
    expect(labels(groups)).toEqual(['b', 'c', 'other (other)'])
    const rest = groups[2]
    expect([rest?.minutes.get(0)?.plays, rest?.minutes.get(MINUTE_MS)?.plays]).toEqual([1, 8])
  })

  it('has no other group when all keys fit', () => {
    const minutes = new Map([[0, minute({ '["a"]': { events: 1 }, '["b"]': { events: 5 } })]])
    expect(labels(groupKeys(minutes, select(['cdn']), 2))).toEqual(['b', 'a'])
  })

  it('joins the keys that the fold had summed with the rest', () => {
    const minutes = new Map([
      [0, minute({ '["a"]': { events: 1, plays: 1 }, '["other"]': { events: 9, plays: 5 } })],
    ])
    const groups = groupKeys(minutes, select(['cdn']), 5)
    expect(labels(groups)).toEqual(['a', 'other (other)'])
    expect(groups[1]?.minutes.get(0)?.plays).toBe(5)
  })

  it('sums over the dimensions of the cut that were not asked for', () => {
    const minutes = new Map([
      [
        0,
        minute({
          '["hls.js","1"]': { plays: 1 },
          '["hls.js","2"]': { plays: 2 },
          '["shaka","5"]': { plays: 4 },
        }),
      ],
    ])
    const groups = groupKeys(minutes, select(['player']), 5)
    expect(groups.map(({ key, minutes: of }) => [key, of.get(0)?.plays])).toEqual([
      [{ player: 'hls.js' }, 3],
      [{ player: 'shaka' }, 4],
    ])
  })

  it('keeps only keys that match every condition', () => {
    const minutes = new Map([
      [
        0,
        minute({
          '["a","m1"]': { plays: 1 },
          '["b","m1"]': { plays: 2 },
          '["a","m2"]': { plays: 4 },
        }),
      ],
    ])
    const groups = groupKeys(minutes, select(['cdn'], ['content:m1']), 5)
    expect(groups.map(({ key, minutes: of }) => [key, of.get(0)?.plays])).toEqual([
      [{ cdn: 'a' }, 1],
      [{ cdn: 'b' }, 2],
    ])
  })

  it('without a dimension is one group, also when there is nothing', () => {
    const groups = groupKeys(new Map(), select([]), 5)
    expect(groups).toMatchObject([{ key: {}, other: false }])
  })
})

describe('buckets', () => {
  const steps = (step: number, window = step) => ({
    fromMs: 0,
    toMs: 4 * MINUTE_MS,
    stepMs: step * MINUTE_MS,
    windowMs: window * MINUTE_MS,
  })
  const [group] = groupKeys(
    new Map([
      [0, minute({ '[]': { plays: 1, concurrentPlays: [1, 2, 3, 4, 5, 6] } })],
      [MINUTE_MS, minute({ '[]': { plays: 2, concurrentPlays: [9, 0, 0, 0, 0, 0] } })],
      [3 * MINUTE_MS, minute({ '[]': { plays: 4 } })],
    ]),
    select([]),
    5,
  )
  if (group === undefined) throw new Error('no group')

  it('cover the range, empty ones with zeros and nulls', () => {
    const { buckets } = toSeries(group, steps(1), facts)
    expect(buckets.map(({ startMs, plays }) => [startMs / MINUTE_MS, plays])).toEqual([
      [0, 1],
      [1, 2],
      [2, 0],
      [3, 4],
    ])
    expect(buckets[2]).toMatchObject({ concurrentPlays: 0, ebvsRatio: null, distinctViewers: 0 })
  })

  it('of several minutes add counts and take the largest instant', () => {
    const { buckets, summary } = toSeries(group, steps(2), facts)
    expect(buckets.map(({ plays, concurrentPlays }) => [plays, concurrentPlays])).toEqual([
      [3, 9],
      [4, 0],
    ])
    expect(buckets[0]?.concurrentPlaysByInstant).toBeUndefined()
    expect(summary).toMatchObject({ plays: 7, concurrentPlays: 9 })
  })

  it('are complete once the watermark is past their end by the pane life', () => {
    const completeAt = (asOfMs: number | undefined) =>
      toSeries(group, steps(1), { ...facts, sidesOf: liveAt(asOfMs) }).buckets.map(
        ({ complete }) => complete,
      )
    expect(completeAt(5 * MINUTE_MS)).toEqual([true, false, false, false])
    expect(completeAt(5 * MINUTE_MS + 1)).toEqual([true, true, false, false])
    expect(completeAt(4 * MINUTE_MS)).toEqual([false, false, false, false])
    expect(completeAt(undefined)).toEqual([false, false, false, false])
  })

  it('have complete concurrency once all instants are a heartbeat interval behind', () => {
    // The last instant of minute 0 is at 50 s, the interval 30 s.
    const concurrencyAt = (asOfMs: number) =>
      toSeries(group, steps(1), { ...facts, sidesOf: liveAt(asOfMs) }).buckets[0]
        ?.concurrencyComplete
    expect(concurrencyAt(80_000)).toBe(false)
    expect(concurrencyAt(80_001)).toBe(true)
  })

  it('give no value for instants that the watermark has not reached', () => {
    const [bucket] = toSeries(group, steps(1), { ...facts, sidesOf: liveAt(25_000) }).buckets
    expect(bucket?.concurrentPlaysByInstant).toEqual([1, 2, 3, null, null, null])
  })
})
