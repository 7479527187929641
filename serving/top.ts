/** `GET /v1/top`: keys ranked by a served metric over a range. */
import {
  readMetric,
  RULE_METRICS,
  SAMPLE_BASES,
  type RuleMetric,
} from '../shared/alerts/rule-metrics.ts'
import { MINUTE_MS } from '../shared/qoe/aggregates.ts'
import { qoeMetrics, type QoeMetrics } from '../shared/qoe/metrics.ts'
import { TOP_ORDERS, type TopResponse } from './api-schemas.ts'
import { freshnessOf } from './freshness.ts'
import { readOnce } from './qoe.ts'
import {
  contentStateOf,
  parseBy,
  parseRange,
  selectCut,
  type MinuteRange,
  type QueryContext,
  type Selection,
} from './qoe-query.ts'
import { invalidParameter, parseChoice, parseCount, parseParameters } from './query-parameters.ts'
import type { ReadingContext } from './reading.ts'
import { groupKeys, minutesWithin, namesOf, sumOfKeys, type KeyMinutes } from './series.ts'

export interface TopQuery extends Selection, MinuteRange {
  readonly metric: RuleMetric
  readonly order: (typeof TOP_ORDERS)[number]
  /** Samples without which a key is not ranked. */
  readonly samplesMin: number
  readonly limit: number
  /** Whether the keys that are no item are summed. */
  readonly withRest: boolean
}

export const TOP_PARAMETERS = {
  single: ['metric', 'order', 'samples', 'by', 'from', 'to', 'limit', 'rest'],
  repeated: ['where'],
} as const

/** Throws as `parseQoeQuery` does. */
export function parseTopQuery(queryText: string, context: QueryContext): TopQuery {
  const { limits } = context
  const parameters = parseParameters(queryText, TOP_PARAMETERS, limits.queryMaxChars)
  const metric = parseChoice('metric', parameters.get('metric') ?? 'plays', RULE_METRICS)
  const by = parseBy(parameters.get('by') ?? 'content')
  if (by.length === 0) throw invalidParameter('by', 'at least one dimension', parameters.get('by'))
  const selection = selectCut({ by, where: parameters.getAll('where') }, context)
  if (metric === 'distinctViewers' && !selection.cut.viewers)
    throw invalidParameter('metric', `counted by the cut ${selection.cut.id}`, metric)
  return {
    metric,
    order: parseChoice('order', parameters.get('order'), TOP_ORDERS),
    samplesMin: parseCount('samples', parameters.get('samples'), {
      // A number of things says what it says however small it is.
      otherwise: SAMPLE_BASES[metric] === 'count' ? 0 : limits.lowSampleBelow,
      max: limits.topSamplesMax,
    }),
    limit: parseCount('limit', parameters.get('limit'), {
      otherwise: limits.topItemsDefault,
      max: limits.topItemsMax,
    }),
    withRest: parseChoice('rest', parameters.get('rest'), ['false', 'true']) === 'true',
    ...selection,
    ...parseRange(parameters, MINUTE_MS, context),
  }
}

export async function answerTop(query: TopQuery, context: ReadingContext): Promise<TopResponse> {
  const { limits, clock } = context
  const reading = await readOnce(query, { ...query, stepMs: MINUTE_MS }, context)
  const groups = groupKeys(reading.minutes, query, Number.MAX_SAFE_INTEGER)
  const items = rankKeys(groups, query)
  const metricsOf = (minutes: KeyMinutes['minutes']): QoeMetrics =>
    qoeMetrics(minutesWithin(minutes, query), {
      viewersCounted: query.cut.viewers,
      lowSampleBelow: limits.lowSampleBelow,
    })
  return {
    metric: query.metric,
    order: query.order,
    samples: query.samplesMin,
    by: [...query.by],
    fromMs: query.fromMs,
    toMs: query.toMs,
    ...freshnessOf(query.cut, reading, clock.nowMs(), limits),
    ...contentStateOf(query),
    items: items.map(({ group, value, samples }) => ({
      ...namesOf(group),
      value,
      samples,
      metrics: metricsOf(group.minutes),
    })),
    ...(query.withRest ? { rest: restOf(groups, items, metricsOf) } : {}),
  }
}

interface RankedKey {
  readonly group: KeyMinutes
  readonly value: number
  readonly samples: number
}

/**
 * Keys by value; among equals by key, so that an answer does not depend on the order of rows. Keys
 * summed by the fold's cap (`other`) are no key, and one without a sample has no value.
 */
export function rankKeys(
  groups: readonly KeyMinutes[],
  query: Pick<TopQuery, 'metric' | 'order' | 'samplesMin' | 'limit' | 'fromMs' | 'toMs'>,
): RankedKey[] {
  const direction = query.order === 'highest' ? -1 : 1
  return groups
    .flatMap((group) => {
      if (group.other) return []
      const { value, samples } = readMetric(query.metric, minutesWithin(group.minutes, query))
      const isRanked = value !== null && samples > 0 && samples >= query.samplesMin
      return isRanked ? [{ group, value, samples, name: JSON.stringify(group.key) }] : []
    })
    .toSorted((a, b) => direction * (a.value - b.value) || (a.name < b.name ? -1 : 1))
    .slice(0, query.limit)
}

/** What the items leave out: keys beyond the limit, keys not ranked, and the fold's `other`. */
function restOf(
  groups: readonly KeyMinutes[],
  items: readonly RankedKey[],
  metricsOf: (minutes: KeyMinutes['minutes']) => QoeMetrics,
): NonNullable<TopResponse['rest']> {
  const shown = new Set(items.map(({ group }) => group))
  const others = groups.filter((group) => !shown.has(group))
  return {
    keys: others.filter(({ other }) => !other).length,
    metrics: metricsOf(sumOfKeys(others)),
  }
}
