/**
 * The question behind `/v1/qoe`, `/v1/top` and a live subscription: which dimensions, which
 * filter, which minutes; and the configured cut that answers it. A cut answers when it holds every
 * dimension asked for; the rest of its dimensions are summed over, so fewer dimensions are cheaper.
 */
import { MINUTE_MS } from '../shared/qoe/aggregates.ts'
import { CONTENT_DIMENSIONS, type ContentDimension } from '../shared/content/content-dimensions.ts'
import { DIMENSIONS, type Cut, type Dimension } from '../shared/qoe/cuts.ts'
import type { ContentView } from './content-feed.ts'
import type { ContentState } from './api-schemas.ts'
import { servingErrors } from './errors.ts'
import type { ServingLimits } from './limits.ts'
import {
  invalidParameter,
  parseCount,
  parseParameters,
  parseStepMs,
  parseTimeMs,
} from './query-parameters.ts'

/** A dimension of cuts, or one that content metadata adds when rows are read. */
export type QueryDimension = Dimension | ContentDimension

/** Dimensions and filter, resolved to a cut. */
export interface Selection {
  readonly cut: Cut
  readonly by: readonly QueryDimension[]
  /** Accepted values of a dimension; a key must match one of each. */
  readonly where: ReadonlyMap<QueryDimension, ReadonlySet<string>>
  /** Absent where there is no content metadata, and then no dimension is of it. */
  readonly content?: ContentView | undefined
}

export interface MinuteRange {
  /** Inclusive, a whole minute. */
  readonly fromMs: number
  /** Exclusive, a whole minute. */
  readonly toMs: number
}

export interface QoeQuery extends Selection, MinuteRange {
  readonly stepMs: number
  /** What a bucket covers: the time up to the end of its step. */
  readonly windowMs: number
  readonly seriesMax: number
}

export interface QueryContext {
  readonly cuts: readonly Cut[]
  readonly limits: ServingLimits
  readonly nowMs: number
  /** Absent where there is no content metadata. */
  readonly content?: ContentView | undefined
}

const DEFAULT_RANGE_MS = 30 * MINUTE_MS

export const QOE_PARAMETERS = {
  single: ['by', 'from', 'to', 'step', 'window', 'series'],
  repeated: ['where'],
} as const

/** Throws `SERVING_QUERY_INVALID`, `SERVING_RANGE_INVALID` or `SERVING_CUT_UNKNOWN`. */
export function parseQoeQuery(queryText: string, context: QueryContext): QoeQuery {
  const { limits } = context
  const parameters = parseParameters(queryText, QOE_PARAMETERS, limits.queryMaxChars)
  const selection = selectCut(
    { by: parseBy(parameters.get('by')), where: parameters.getAll('where') },
    context,
  )
  const stepMs = parseStepMs('step', parameters.get('step') ?? '1m')
  const range = parseRange(parameters, stepMs, context)
  if ((range.toMs - range.fromMs) / stepMs > limits.bucketsPerSeriesMax)
    throw servingErrors.create('SERVING_RANGE_INVALID', {
      expected: `at most ${limits.bucketsPerSeriesMax} buckets`,
      received: `${(range.toMs - range.fromMs) / stepMs} of ${stepMs} ms`,
    })
  const seriesMax = parseCount('series', parameters.get('series'), {
    otherwise: limits.seriesDefault,
    max: limits.seriesMax,
  })
  const windowMs = parseWindowMs(parameters.get('window'), stepMs, limits)
  const buckets = ((range.toMs - range.fromMs) / stepMs) * (selection.by.length > 0 ? seriesMax : 1)
  if (windowMs > stepMs && buckets > limits.slidingBucketsMax)
    throw servingErrors.create('SERVING_RANGE_INVALID', {
      expected: `at most ${limits.slidingBucketsMax} buckets over all series with a window`,
      received: `${buckets}`,
    })
  return { ...selection, ...range, stepMs, windowMs, seriesMax }
}

function parseWindowMs(text: string | null, stepMs: number, limits: ServingLimits): number {
  if (text === null) return stepMs
  const windowMs = parseStepMs('window', text)
  if (windowMs < stepMs || windowMs > limits.windowMaxMs)
    throw invalidParameter('window', `at least the step, at most ${limits.windowMaxMs} ms`, text)
  return windowMs
}

/** `by=cdn,player`; `total` or nothing for no split. */
export function parseBy(text: string | null): QueryDimension[] {
  if (text === null || text === '' || text === 'total') return []
  const by = text.split(',').map((name) => parseDimension('by', name.trim()))
  if (new Set(by).size !== by.length)
    throw invalidParameter('by', 'a list of different dimensions', text)
  return by
}

/** Resolves dimensions and `dimension:value` conditions to a configured cut. */
export function selectCut(
  asked: { readonly by: readonly QueryDimension[]; readonly where: readonly string[] },
  context: Pick<QueryContext, 'cuts' | 'limits' | 'content'>,
): Selection {
  const where = parseWhere(asked.where, context.limits)
  const dimensions = [...asked.by, ...where.keys()]
  const { content } = context
  const ofContent = dimensions.find(isOfContent)
  if (ofContent !== undefined && content === undefined)
    throw servingErrors.create('SERVING_CONTENT_ABSENT', { received: ofContent })
  // Metadata cuts are sums of rows by content.
  const needed = new Set(dimensions.map((one) => (isOfContent(one) ? 'content' : one)))
  const covering = context.cuts.filter((cut) =>
    [...needed].every((dimension) => cut.dimensions.includes(dimension)),
  )
  const cut = covering.toSorted(cheapestFirst)[0]
  if (cut === undefined)
    throw servingErrors.create('SERVING_CUT_UNKNOWN', {
      expected: `dimensions within one of the cuts ${context.cuts.map(({ id }) => id).join(', ')}`,
      received: [...needed].join(', '),
    })
  return { cut, by: asked.by, where, content }
}

export function isOfContent(dimension: QueryDimension): dimension is ContentDimension {
  return CONTENT_DIMENSIONS.some((known) => known === dimension)
}

/** How old the metadata is that an answer rests on; nothing where it has no dimension of it. */
export function contentStateOf({ by, where, content }: Selection): {
  readonly content?: ContentState
} {
  const usesContent = [...by, ...where.keys()].some(isOfContent)
  return usesContent && content !== undefined ? { content: content.state() } : {}
}

/** The one key of the cut that the filter leaves, or several; `undefined` when it leaves a range. */
export function pinnedKeys(selection: Selection): readonly string[] | undefined {
  let keys: string[][] = [[]]
  for (const dimension of selection.cut.dimensions) {
    const values = selection.where.get(dimension)
    if (values === undefined) return undefined
    keys = keys.flatMap((key) => [...values].map((value) => [...key, value]))
  }
  return keys.map((key) => JSON.stringify(key))
}

/** Sorting keeps the configured order among equals; narrow cuts are fresher than wide ones. */
function cheapestFirst(a: Cut, b: Cut): number {
  return (
    a.dimensions.length - b.dimensions.length ||
    Number(a.width === 'wide') - Number(b.width === 'wide')
  )
}

function parseWhere(
  conditions: readonly string[],
  limits: ServingLimits,
): Map<QueryDimension, Set<string>> {
  if (conditions.length > limits.filtersMax)
    throw invalidParameter('where', `given at most ${limits.filtersMax} times`, conditions.length)
  const where = new Map<QueryDimension, Set<string>>()
  for (const condition of conditions) {
    const colon = condition.indexOf(':')
    const value = condition.slice(colon + 1)
    if (colon < 1 || value === '' || condition.length > limits.filterMaxChars)
      throw invalidParameter(
        'where',
        `dimension:value, at most ${limits.filterMaxChars} characters`,
        condition,
      )
    const dimension = parseDimension('where', condition.slice(0, colon))
    where.set(dimension, (where.get(dimension) ?? new Set<string>()).add(value))
  }
  return where
}

const QUERY_DIMENSIONS: readonly QueryDimension[] = [...DIMENSIONS, ...CONTENT_DIMENSIONS]

function parseDimension(parameter: string, name: string): QueryDimension {
  const dimension = QUERY_DIMENSIONS.find((known) => known === name)
  if (dimension === undefined)
    throw invalidParameter(parameter, `of the dimensions ${QUERY_DIMENSIONS.join(', ')}`, name)
  return dimension
}

/** Widens the range to whole steps, counted from the epoch; the last 30 minutes by default. */
export function parseRange(
  parameters: URLSearchParams,
  stepMs: number,
  context: Pick<QueryContext, 'limits' | 'nowMs'>,
): MinuteRange {
  const toText = parameters.get('to')
  const fromText = parameters.get('from')
  const wantedToMs = toText === null ? context.nowMs + 1 : parseTimeMs('to', toText)
  const wantedFromMs =
    fromText === null
      ? Math.max(0, ceilTo(wantedToMs, stepMs) - Math.max(DEFAULT_RANGE_MS, stepMs))
      : parseTimeMs('from', fromText)
  if (wantedFromMs >= wantedToMs)
    throw servingErrors.create('SERVING_RANGE_INVALID', {
      expected: 'from to be earlier than to',
      received: `${wantedFromMs} and ${wantedToMs}`,
    })
  const fromMs = floorTo(wantedFromMs, stepMs)
  const toMs = ceilTo(wantedToMs, stepMs)
  if (wantedToMs - wantedFromMs > context.limits.rangeMaxMs)
    throw servingErrors.create('SERVING_RANGE_INVALID', {
      expected: `a range of at most ${context.limits.rangeMaxMs} ms`,
      received: `${wantedToMs - wantedFromMs} ms`,
    })
  return { fromMs, toMs }
}

function floorTo(valueMs: number, stepMs: number): number {
  return Math.floor(valueMs / stepMs) * stepMs
}

function ceilTo(valueMs: number, stepMs: number): number {
  return Math.ceil(valueMs / stepMs) * stepMs
}
