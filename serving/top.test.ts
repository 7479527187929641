import fc from 'fast-check'
import { afterEach, describe, expect, it } from 'vitest'
import { readMetric, RULE_METRICS } from '../shared/alerts/rule-metrics.ts'
import { MINUTE_MS } from '../shared/qoe/aggregates.ts'
import { mergeAggregates } from '../shared/qoe/merge.ts'
import { minuteAggregates } from '../shared/qoe/testing/aggregates-arbitrary.ts'
import { topResponseSchema } from './api-schemas.ts'
import { sumOfKeys } from './series.ts'
import { NOW_MS, startTestServing, stopTestServings } from './testing/test-serving.ts'
import { aggregates, minuteRow } from './testing/test-stores.ts'
import { rankKeys } from './top.ts'

type Values = Parameters<typeof aggregates>[0]

const HOUR_MS = 60 * MINUTE_MS
const range = { fromMs: 0, toMs: 2 * MINUTE_MS }
const key = (cdn: string, ...list: Values[]) => ({
  key: { cdn },
  other: false,
  minutes: new Map(list.map((one, minute) => [minute * MINUTE_MS, aggregates(one)])),
})
const worstStalls = {
  ...range,
  metric: 'stalledTimeRatio',
  order: 'highest',
  samplesMin: 25,
  limit: 10,
} as const
const mostPlays = { ...worstStalls, metric: 'plays', samplesMin: 0 } as const
const ranked = (...question: Parameters<typeof rankKeys>) =>
  rankKeys(...question).map(({ group, value }) => [group.key['cdn'], value])

afterEach(stopTestServings)

describe('ranking keys', () => {
  it('takes the ratio of sums over the range, not an average of ratios', () => {
    const quiet = { stallMs: 0, watchedMs: 9 * HOUR_MS }
    const a = key('a', quiet, { stallMs: HOUR_MS, watchedMs: HOUR_MS })
    const b = key('b', { stallMs: 2 * HOUR_MS, watchedMs: 10 * HOUR_MS })
    expect(ranked([a, b], worstStalls)).toEqual([
      ['b', 0.2],
      ['a', 0.1],
    ])
    expect(ranked([a, b], { ...worstStalls, order: 'lowest', limit: 1 })).toEqual([['a', 0.1]])
  })

  it('leaves out keys with fewer samples than demanded, and with none', () => {
    const enough = key('a', { stallMs: MINUTE_MS, watchedMs: 25 * MINUTE_MS })
    const few = key('b', { stallMs: MINUTE_MS, watchedMs: 25 * MINUTE_MS - 1 })
    expect(ranked([enough, few, key('c', {})], worstStalls)).toEqual([['a', 1 / 25]])
    expect(ranked([key('c', {}), key('d', { plays: 1 })], mostPlays)).toEqual([['d', 1]])
  })

  it('orders equals by key, both ways', () => {
    const keys = ['c', 'a', 'b'].map((name) => key(name, { plays: 3 }))
    const names = [
      ['a', 3],
      ['b', 3],
      ['c', 3],
    ]
    expect(ranked(keys, mostPlays)).toEqual(names)
    expect(ranked(keys, { ...mostPlays, order: 'lowest' })).toEqual(names)
  })

  it('never ranks what the fold had summed', () => {
    const other = { ...key('other', { plays: 900 }), other: true }
    expect(ranked([key('a', { plays: 1 }), other], mostPlays)).toEqual([['a', 1]])
  })

  it('is the sorted list of all keys, cut off, for every metric', () => {
    const keys = fc.array(fc.tuple(minuteAggregates, minuteAggregates), { maxLength: 8 })
    fc.assert(
      fc.property(keys, fc.constantFrom(...RULE_METRICS), fc.nat(8), (list, metric, limit) => {
        const groups = list.map((minutes, index) => key(`cdn-${index}`, ...minutes))
        const values = list
          .map((minutes) => readMetric(metric, minutes))
          .flatMap(({ value, samples }) => (value === null || samples === 0 ? [] : value))
          .toSorted((a, b) => b - a)
        const question = { ...mostPlays, metric, limit }
        expect(rankKeys(groups, question).map(({ value }) => value)).toEqual(values.slice(0, limit))
      }),
    )
  })
})

describe('the sum of keys', () => {
  it('is that of their minutes', () => {
    fc.assert(
      fc.property(minuteAggregates, minuteAggregates, minuteAggregates, (a, b, c) => {
        const sum = sumOfKeys([key('a', a, b), key('b', c)])
        expect(sum).toEqual(
          new Map([
            [0, mergeAggregates([a, c])],
            [MINUTE_MS, b],
          ]),
        )
      }),
    )
  })
})

describe('GET /v1/top', () => {
  async function top(query: string) {
    const { serving, speed } = await startTestServing()
    const minuteStartMs = NOW_MS - 90_000
    const content = (id: string, values: Values) =>
      minuteRow({ minuteStartMs, cut: 'content', key: JSON.stringify([id]), aggregates: values })
    await speed.putMinutes([
      content('m-1', { plays: 5, stallMs: 10_000, watchedMs: HOUR_MS }),
      content('m-2', { plays: 3, stallMs: 90_000, watchedMs: HOUR_MS }),
      content('m-3', { plays: 1, stallMs: 50_000, watchedMs: 50_000 }),
      content('other', { plays: 50, stallMs: 0, watchedMs: HOUR_MS }),
    ])
    const response = await fetch(`${serving.url}/v1/top?${query}`)
    return topResponseSchema.strict().parse(await response.json())
  }

  it('shows the worst keys by a ratio, each with what it rests on', async () => {
    const answer = await top('metric=stalledTimeRatio')
    expect(answer).toMatchObject({ metric: 'stalledTimeRatio', order: 'highest', samples: 25 })
    expect(answer.rest).toBeUndefined()
    expect(answer.items).toMatchObject([
      { key: { content: 'm-2' }, value: 0.025, samples: 60, metrics: { plays: 3 } },
      { key: { content: 'm-1' }, value: 10 / 3_600, samples: 60, metrics: { plays: 5 } },
    ])
  })

  it('sums into the rest whatever is no item', async () => {
    const answer = await top('metric=stalledTimeRatio&limit=1&rest=true')
    expect(answer.items.map((item) => item.key['content'])).toEqual(['m-2'])
    expect(answer.rest).toMatchObject({
      keys: 2,
      metrics: { plays: 56, stalledTimeRatio: 60_000 / (2 * HOUR_MS + 50_000) },
    })
    expect((await top('limit=9&rest=true')).rest).toMatchObject({ keys: 0, metrics: { plays: 50 } })
  })
})
