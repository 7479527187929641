/** The window of a live subscription, put together from whole snapshots and changes. */
import type { LiveUpdate, QoeBucket, QoeMetrics, QoeSeries } from '../api-schemas.ts'

export interface KeySeries {
  /** The values of the dimensions, joined: how the key is shown. */
  readonly label: string
  /** Of the key's content or series, where the content metadata has one. */
  readonly title?: string | undefined
  readonly key: Readonly<Record<string, string>>
  readonly other: boolean
  readonly summary: QoeMetrics
  /** Ascending by start, without holes. */
  readonly buckets: readonly QoeBucket[]
}

export interface LiveWindow {
  readonly update: Omit<LiveUpdate, 'series' | 'full' | 'id'>
  readonly series: readonly KeySeries[]
}

/** The window after `update`; a change without a window to apply it to waits for the next whole one. */
export function applyUpdate(
  before: LiveWindow | undefined,
  update: LiveUpdate,
): LiveWindow | undefined {
  const { series, full, id: _id, ...facts } = update
  if (full) return { update: facts, series: series.map((one) => toKeySeries(one)) }
  if (before === undefined) return undefined
  const changed = new Map(series.map((one) => [nameOf(one), one]))
  return {
    update: facts,
    series: before.series.map((known) => {
      const change = changed.get(nameOf(known))
      return change === undefined
        ? { ...known, buckets: within(known.buckets, facts.fromMs) }
        : toKeySeries(change, known.buckets, facts.fromMs)
    }),
  }
}

function toKeySeries(series: QoeSeries, before: readonly QoeBucket[] = [], fromMs = 0): KeySeries {
  const buckets = new Map(within(before, fromMs).map((bucket) => [bucket.startMs, bucket]))
  for (const bucket of series.buckets) buckets.set(bucket.startMs, bucket)
  return {
    label: labelOf(series.key, series.other === true),
    title: series.title,
    key: series.key,
    other: series.other === true,
    summary: series.summary,
    buckets: [...buckets.values()].sort((a, b) => a.startMs - b.startMs),
  }
}

function labelOf(key: Readonly<Record<string, string>>, other: boolean): string {
  if (other) return 'all others'
  const values = Object.values(key)
  return values.length === 0 ? 'Total' : values.join(' · ')
}

function nameOf(series: { readonly key: object; readonly other?: boolean | undefined }): string {
  return JSON.stringify([series.key, series.other === true])
}

function within(buckets: readonly QoeBucket[], fromMs: number): readonly QoeBucket[] {
  return buckets.filter((bucket) => bucket.startMs >= fromMs)
}
