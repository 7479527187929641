import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { MINUTE_MS } from '../shared/qoe/aggregates.ts'
import { mergeAggregates, mergeMinutes } from '../shared/qoe/merge.ts'
import { qoeMetrics } from '../shared/qoe/metrics.ts'
import { minuteAggregates } from '../shared/qoe/testing/aggregates-arbitrary.ts'
import { DEFAULT_SERVING_LIMITS } from './limits.ts'
import { minutesWithin, toSeries, type BucketFacts } from './series.ts'
import { slidingMinutes } from './sliding-minutes.ts'

const MINUTES = 20
const limits = DEFAULT_SERVING_LIMITS
const options = { viewersCounted: true, lowSampleBelow: limits.lowSampleBelow }
const facts: BucketFacts = {
  sidesOf: ({ toMs }) => [{ source: 'speed', toMs, asOfMs: 0 }],
  paneLifeMs: MINUTE_MS,
  limits,
  viewersCounted: true,
}
/** Some minutes, with gaps where nobody played. */
const someMinutes = fc
  .array(fc.option(minuteAggregates, { nil: undefined }), {
    minLength: MINUTES,
    maxLength: MINUTES,
  })
  .map((list) => new Map(list.flatMap((one, minute) => (one ? [[minute * MINUTE_MS, one]] : []))))
const groupOf = (minutes: ReadonlyMap<number, ReturnType<typeof mergeAggregates>>) => ({
  key: {},
  other: false,
  minutes,
})

describe('a sliding window', () => {
  it('has the value of all its minutes taken together, whatever step and window', () => {
    const inMinutes = (max: number) => fc.integer({ min: 1, max })
    fc.assert(
      fc.property(someMinutes, inMinutes(4), inMinutes(9), (minutes, step, more) => {
        const stepMs = step * MINUTE_MS
        const windowMs = stepMs + more * MINUTE_MS
        const grid = { fromMs: 0, toMs: MINUTES * MINUTE_MS, stepMs, windowMs }
        const { buckets, summary } = toSeries(groupOf(minutes), grid, facts)
        expect(buckets.map(({ startMs }) => startMs / stepMs)).toEqual([...buckets.keys()])
        for (const bucket of buckets) {
          const toMs = bucket.startMs + stepMs
          const all = minutesWithin(minutes, { fromMs: toMs - windowMs, toMs })
          expect(bucket).toMatchObject(qoeMetrics(all, options))
        }
        expect(summary).toEqual(qoeMetrics([...minutes.values()], options))
      }),
      { numRuns: 60 },
    )
  })

  it('takes at most two parts for any number of minutes', () => {
    fc.assert(
      fc.property(someMinutes, (minutes) => {
        const partsOf = slidingMinutes(minutes)
        for (let toMs = 7 * MINUTE_MS; toMs <= MINUTES * MINUTE_MS; toMs += MINUTE_MS)
          expect(partsOf({ fromMs: toMs - 7 * MINUTE_MS, toMs }).length).toBeLessThanOrEqual(2)
      }),
      { numRuns: 20 },
    )
  })

  it('shows no single instants, which are of one minute', () => {
    const grid = { fromMs: 0, toMs: MINUTE_MS, stepMs: MINUTE_MS, windowMs: 2 * MINUTE_MS }
    const toMs = 10 * MINUTE_MS
    const { buckets } = toSeries(
      groupOf(new Map()),
      { ...grid, fromMs: 9 * MINUTE_MS, toMs },
      facts,
    )
    expect(buckets).toHaveLength(1)
    expect(buckets[0]?.concurrentPlaysByInstant).toBeUndefined()
  })
})

describe('minutes of one key', () => {
  it('add up, but for instants, whose largest count is kept', () => {
    fc.assert(
      fc.property(minuteAggregates, minuteAggregates, minuteAggregates, (a, b, c) => {
        const merged = mergeMinutes([a, b, c])
        expect(mergeMinutes([mergeMinutes([a, b]), c])).toEqual(merged)
        expect(mergeMinutes([a, mergeMinutes([b, c])])).toEqual(merged)
        expect(merged.plays).toBe(mergeAggregates([a, b, c]).plays)
        expect(merged.concurrentPlays[3]).toBe(
          Math.max(...[a, b, c].map(({ concurrentPlays }) => concurrentPlays[3] ?? 0)),
        )
      }),
    )
  })
})

describe('a window over both sides of the boundary', () => {
  const boundaryMs = 100 * MINUTE_MS
  const bucketAt = (asOf: { speed: number | undefined; history: number }) => {
    const sidesOf: BucketFacts['sidesOf'] = ({ toMs }) => [
      { source: 'history', toMs: boundaryMs, asOfMs: asOf.history },
      { source: 'speed', toMs, asOfMs: asOf.speed },
    ]
    const stepMs = MINUTE_MS
    const fromMs = boundaryMs + MINUTE_MS
    const grid = { fromMs, toMs: fromMs + stepMs, stepMs, windowMs: 5 * MINUTE_MS }
    return toSeries(groupOf(new Map()), grid, { ...facts, sidesOf }).buckets[0]
  }
  const endMs = boundaryMs + 2 * MINUTE_MS
  const closedMs = endMs + MINUTE_MS + 1

  it('is live, with the older watermark', () => {
    const history = closedMs - 1
    expect(bucketAt({ speed: closedMs, history })).toMatchObject({
      source: 'speed',
      asOfMs: history,
      complete: true,
      concurrencyComplete: true,
    })
  })

  it('is complete once its live minutes are', () => {
    const history = closedMs + 5 * MINUTE_MS
    expect(bucketAt({ speed: closedMs - 1, history })?.complete).toBe(false)
    // The last instant is 10 s before the end, the heartbeat interval 30 s.
    expect(bucketAt({ speed: endMs + 20_001, history })?.concurrencyComplete).toBe(true)
    expect(bucketAt({ speed: endMs + 20_000, history })?.concurrencyComplete).toBe(false)
    expect(bucketAt({ speed: undefined, history })).toMatchObject({
      asOfMs: null,
      complete: false,
      concurrencyComplete: false,
    })
  })
})
