/** From merged minutes to series of buckets: filter, group, rank, cut into steps. */
import {
  INSTANTS_PER_MINUTE,
  INSTANT_INTERVAL_MS,
  MINUTE_MS,
  type MinuteAggregates,
} from '../shared/qoe/aggregates.ts'
import { contentValue } from '../shared/content/content-dimensions.ts'
import type { ContentVersion } from '../shared/content/content-record.ts'
import { OTHER_KEY } from '../shared/qoe/cuts.ts'
import { mergeAggregates } from '../shared/qoe/merge.ts'
import { qoeMetrics } from '../shared/qoe/metrics.ts'
import type { QoeBucket, QoeSeries } from './api-schemas.ts'
import type { ServingLimits } from './limits.ts'
import { isOfContent, type MinuteRange, type QueryDimension, type Selection } from './qoe-query.ts'
import type { Reading, Side } from './reading.ts'
import { slidingMinutes } from './sliding-minutes.ts'
import type { MergedMinutes } from '../shared/speed/row-merge.ts'

/** One key of the answer with its aggregates by minute. */
export interface KeyMinutes {
  readonly key: Readonly<Record<string, string>>
  /** Of its content or series, where the metadata has one: the latest that its minutes met. */
  readonly title?: string
  readonly other: boolean
  readonly minutes: ReadonlyMap<number, MinuteAggregates>
}

export interface BucketFacts {
  /** Which sides a bucket is from, and the watermark of their rows. */
  readonly sidesOf: Reading['sidesOf']
  readonly paneLifeMs: number
  readonly limits: Pick<ServingLimits, 'heartbeatIntervalMs' | 'lowSampleBelow'>
  readonly viewersCounted: boolean
}

/** Where the buckets of an answer lie: one for each step, of the window that ends with it. */
export interface BucketGrid extends MinuteRange {
  readonly stepMs: number
  /** At least a step; equal to it, the buckets adjoin. */
  readonly windowMs: number
}

/**
 * Groups the keys of the cut by the dimensions asked for, most events first. Keys beyond
 * `seriesMax`, and those that the fold itself had summed because of its cap, become one last
 * group marked `other`. Without a dimension there is always exactly one group.
 */
export function groupKeys(
  minutes: MergedMinutes,
  selection: Selection,
  seriesMax: number,
): KeyMinutes[] {
  const groups = new Map<string, Group>()
  for (const [minuteStartMs, keys] of minutes)
    for (const [key, aggregates] of keys) {
      const projected = projectKey(key, minuteStartMs, selection)
      if (projected === undefined) continue
      const name = JSON.stringify(projected.values)
      let group = groups.get(name)
      if (group === undefined)
        groups.set(name, (group = { minutes: new Map(), events: 0, title: undefined, titledMs: 0 }))
      group.events += aggregates.events
      takeTitle(group, titleOf(projected.version, selection), minuteStartMs)
      appendTo(group.minutes, minuteStartMs, aggregates)
    }
  const otherName = JSON.stringify(selection.by.map(() => OTHER_KEY))
  if (selection.by.length === 0)
    return [asKey(selection.by, '[]', false, groups.get('[]')?.minutes ?? new Map())]
  const ranked = [...groups]
    .filter(([name]) => name !== otherName)
    .toSorted(([a, left], [b, right]) => right.events - left.events || (a < b ? -1 : 1))
  const rest = ranked.slice(seriesMax).map(([, group]) => group)
  const overflow = groups.get(otherName)
  if (overflow !== undefined) rest.push(overflow)
  const named = ranked.slice(0, seriesMax).map(([name, { minutes: own, title }]) => ({
    ...asKey(selection.by, name, false, own),
    ...(title === undefined ? {} : { title }),
  }))
  if (rest.length === 0) return named
  const summed = new Map<number, MinuteAggregates[]>()
  for (const group of rest)
    for (const [minuteStartMs, list] of group.minutes) appendTo(summed, minuteStartMs, ...list)
  return [...named, asKey(selection.by, otherName, true, summed)]
}

/** Buckets of a whole range, empty ones included; the summary is of the range alone. */
export function toSeries(group: KeyMinutes, grid: BucketGrid, facts: BucketFacts): QoeSeries {
  const { stepMs, windowMs } = grid
  const within =
    windowMs > stepMs
      ? slidingMinutes(group.minutes)
      : (range: MinuteRange) => minutesWithin(group.minutes, range)
  const buckets: QoeBucket[] = []
  for (let startMs = grid.fromMs; startMs < grid.toMs; startMs += stepMs) {
    const toMs = startMs + stepMs
    const range = { fromMs: Math.max(0, toMs - windowMs), toMs }
    buckets.push({ startMs, ...toBucket(within(range), range, facts) })
  }
  const summary = qoeMetrics(minutesWithin(group.minutes, grid), metricOptions(facts))
  return { ...namesOf(group), ...(group.other ? { other: true } : {}), summary, buckets }
}

/** The key of a group with its title, as answers have them. */
export function namesOf({ key, title }: KeyMinutes): Pick<QoeSeries, 'key' | 'title'> {
  return { key: { ...key }, ...(title === undefined ? {} : { title }) }
}

/** The aggregates of a group's minutes within a range, in order. */
export function minutesWithin(
  minutes: ReadonlyMap<number, MinuteAggregates>,
  range: MinuteRange,
): MinuteAggregates[] {
  const found: MinuteAggregates[] = []
  for (let startMs = range.fromMs; startMs < range.toMs; startMs += MINUTE_MS) {
    const aggregates = minutes.get(startMs)
    if (aggregates !== undefined) found.push(aggregates)
  }
  return found
}

function metricOptions(facts: BucketFacts) {
  return {
    viewersCounted: facts.viewersCounted,
    lowSampleBelow: facts.limits.lowSampleBelow,
  }
}

/** What a bucket says of itself is the worst of what its minutes say. */
function toBucket(
  within: readonly MinuteAggregates[],
  { fromMs, toMs }: MinuteRange,
  facts: BucketFacts,
): Omit<QoeBucket, 'startMs'> {
  const sides = facts.sidesOf({ fromMs, toMs })
  const asOfMs = leastWatermark(sides)
  const bucket = {
    source: sides.every(isPast) ? ('history' as const) : ('speed' as const),
    complete: sides.every(
      (side) =>
        isPast(side) || (side.asOfMs !== undefined && side.asOfMs > side.toMs + facts.paneLifeMs),
    ),
    concurrencyComplete: sides.every(
      (side) =>
        isPast(side) ||
        (side.asOfMs !== undefined &&
          side.asOfMs - facts.limits.heartbeatIntervalMs > side.toMs - INSTANT_INTERVAL_MS),
    ),
    asOfMs: asOfMs ?? null,
    ...qoeMetrics(within, metricOptions(facts)),
  }
  if (toMs - fromMs !== MINUTE_MS) return bucket
  const [minute] = within
  return {
    ...bucket,
    concurrentPlaysByInstant: byInstant(minute?.concurrentPlays, fromMs, asOfMs),
    concurrentViewersByInstant: byInstant(minute?.concurrentViewers, fromMs, asOfMs),
  }
}

function isPast({ source }: Side): boolean {
  return source === 'history'
}

/** Not known when that of one side is not. */
function leastWatermark(sides: readonly Side[]): number | undefined {
  const known = sides.flatMap(({ asOfMs }) => asOfMs ?? [])
  return known.length < sides.length ? undefined : Math.min(...known)
}

/** An instant that the watermark has not reached has no value yet. */
function byInstant(
  counts: readonly number[] | undefined,
  startMs: number,
  asOfMs: number | undefined,
): (number | null)[] {
  return Array.from({ length: INSTANTS_PER_MINUTE }, (_, instant) => {
    const reached = asOfMs !== undefined && startMs + instant * INSTANT_INTERVAL_MS <= asOfMs
    return reached ? (counts?.[instant] ?? 0) : null
  })
}

interface Group {
  readonly minutes: Map<number, MinuteAggregates[]>
  events: number
  title: string | undefined
  /** Of the minute that the title is of. */
  titledMs: number
}

function takeTitle(group: Group, title: string | undefined, minuteStartMs: number): void {
  if (title === undefined || minuteStartMs < group.titledMs) return
  group.title = title
  group.titledMs = minuteStartMs
}

interface ProjectedKey {
  readonly values: readonly string[]
  /** What the metadata says of the key's content at the minute. */
  readonly version: ContentVersion | undefined
}

/** The values of `by` in the cut's key, or `undefined` when the filter excludes the key. */
function projectKey(
  key: string,
  minuteStartMs: number,
  { cut, by, where, content }: Selection,
): ProjectedKey | undefined {
  const values = JSON.parse(key) as string[]
  const place = (cut.dimensions as readonly QueryDimension[]).indexOf('content')
  const contentId = values[place]
  const version = contentId === undefined ? undefined : content?.at(contentId, minuteStartMs)
  const valueOf = (dimension: QueryDimension) => {
    if (!isOfContent(dimension)) return values[cut.dimensions.indexOf(dimension)] ?? ''
    // Of the contents that the fold's cap has summed nothing is known any more.
    return contentId === OTHER_KEY ? OTHER_KEY : contentValue(dimension, version)
  }
  for (const [dimension, accepted] of where) if (!accepted.has(valueOf(dimension))) return undefined
  return { values: by.map(valueOf), version }
}

function titleOf(version: ContentVersion | undefined, { by }: Selection): string | undefined {
  if (by.includes('content')) return version?.title
  return by.includes('series') ? version?.seriesTitle : undefined
}

function asKey(
  by: readonly QueryDimension[],
  name: string,
  other: boolean,
  minutes: ReadonlyMap<number, MinuteAggregates[]>,
): KeyMinutes {
  const values = JSON.parse(name) as string[]
  return {
    key: Object.fromEntries(by.map((dimension, index) => [dimension, values[index] ?? ''])),
    other,
    minutes: mergeEach(minutes),
  }
}

/** The minutes of several keys as if they were one. */
export function sumOfKeys(groups: readonly KeyMinutes[]): Map<number, MinuteAggregates> {
  const minutes = new Map<number, MinuteAggregates[]>()
  for (const group of groups)
    for (const [minuteStartMs, aggregates] of group.minutes)
      appendTo(minutes, minuteStartMs, aggregates)
  return mergeEach(minutes)
}

function mergeEach(
  minutes: ReadonlyMap<number, MinuteAggregates[]>,
): Map<number, MinuteAggregates> {
  const merged = new Map<number, MinuteAggregates>()
  for (const [minuteStartMs, list] of minutes)
    merged.set(minuteStartMs, list.length === 1 && list[0] ? list[0] : mergeAggregates(list))
  return merged
}

function appendTo<Value>(map: Map<number, Value[]>, key: number, ...values: Value[]): void {
  const list = map.get(key)
  if (list === undefined) map.set(key, values)
  else list.push(...values)
}
