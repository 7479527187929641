/** `GET /v1/top`: the keys with the most plays or concurrent plays over a window. */
import { MINUTE_MS, type MinuteAggregates } from '../shared/qoe/aggregates.ts'
import { largestInstant, qoeMetrics } from '../shared/qoe/metrics.ts'
import type { TopResponse } from './api-schemas.ts'
import { freshnessOf } from './freshness.ts'
import { readOnce } from './qoe.ts'
import {
  parseBy,
  parseRange,
  selectCut,
  type MinuteRange,
  type QueryContext,
  type Selection,
} from './qoe-query.ts'
import { invalidParameter, parseCount, parseParameters } from './query-parameters.ts'
import type { ReadingContext } from './reading.ts'
import { groupKeys, minutesWithin } from './series.ts'

const TOP_METRICS = ['plays', 'concurrentPlays'] as const

export interface TopQuery extends Selection, MinuteRange {
  readonly metric: (typeof TOP_METRICS)[number]
  readonly limit: number
}

export const TOP_PARAMETERS = {
  single: ['metric', 'by', 'from', 'to', 'limit'],
  repeated: ['where'],
} as const

/** Throws as `parseQoeQuery` does. */
export function parseTopQuery(queryText: string, context: QueryContext): TopQuery {
  const { limits } = context
  const parameters = parseParameters(queryText, TOP_PARAMETERS, limits.queryMaxChars)
  const metricText = parameters.get('metric') ?? 'plays'
  const metric = TOP_METRICS.find((known) => known === metricText)
  if (metric === undefined)
    throw invalidParameter('metric', `one of ${TOP_METRICS.join(', ')}`, metricText)
  const by = parseBy(parameters.get('by') ?? 'content')
  if (by.length === 0) throw invalidParameter('by', 'at least one dimension', parameters.get('by'))
  return {
    metric,
    limit: parseCount('limit', parameters.get('limit'), {
      otherwise: limits.topItemsDefault,
      max: limits.topItemsMax,
    }),
    ...selectCut({ by, where: parameters.getAll('where') }, context),
    ...parseRange(parameters, MINUTE_MS, context),
  }
}

/** Keys summed by the fold's cap (`other`) are no key and are left out. */
export async function answerTop(query: TopQuery, context: ReadingContext): Promise<TopResponse> {
  const { limits, clock } = context
  const reading = await readOnce(query, { ...query, stepMs: MINUTE_MS }, context)
  const items = groupKeys(reading.minutes, query, Number.MAX_SAFE_INTEGER)
    .filter((group) => !group.other)
    .map((group) => {
      const within = minutesWithin(group.minutes, query)
      return { key: { ...group.key }, value: valueOf(query.metric, within), within }
    })
    .filter((item) => item.value > 0)
    .toSorted((a, b) => b.value - a.value)
    .slice(0, query.limit)
    .map(({ key, value, within }) => ({
      key,
      value,
      metrics: qoeMetrics(within, {
        viewersCounted: query.cut.viewers,
        lowSampleBelow: limits.lowSampleBelow,
      }),
    }))
  return {
    metric: query.metric,
    by: [...query.by],
    fromMs: query.fromMs,
    toMs: query.toMs,
    ...freshnessOf(query.cut, reading, clock.nowMs(), limits),
    items,
  }
}

function valueOf(metric: TopQuery['metric'], minutes: readonly MinuteAggregates[]): number {
  switch (metric) {
    case 'plays':
      return minutes.reduce((sum, minute) => sum + minute.plays, 0)
    case 'concurrentPlays':
      return largestInstant(minutes, 'concurrentPlays')
  }
}
