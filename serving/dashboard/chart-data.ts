/**
 * Buckets as the aligned columns a chart wants. Each key has two columns: what is complete, drawn
 * solid, and the tail that still fills up, drawn dashed; they meet in the last complete point.
 */
import type { QoeBucket } from '../api-schemas.ts'
import type { KeySeries, LiveWindow } from './live-series.ts'

const INSTANT_MS = 10_000

export interface ChartData {
  /** Epoch seconds. */
  readonly times: readonly number[]
  readonly columns: readonly {
    readonly label: string
    readonly complete: readonly (number | null)[]
    readonly tail: readonly (number | null)[]
  }[]
}

/** One point a minute, at the minute's start; complete once the watermark is past its end. */
export function minuteData(
  window: LiveWindow,
  series: readonly KeySeries[],
  valueOf: (bucket: QoeBucket) => number | null,
): ChartData {
  const { fromMs, toMs, asOfMs } = window.update
  const completeMs = (asOfMs ?? 0) - 60_000
  return align(rangeOf(fromMs, toMs, 60_000), completeMs, series, (one) => {
    const values = new Map<number, number | null>()
    for (const bucket of one.buckets)
      if (bucket.startMs <= (asOfMs ?? 0)) values.set(bucket.startMs, valueOf(bucket))
    return values
  })
}

/** One point every 10 s. */
export function instantData(
  window: LiveWindow,
  series: readonly KeySeries[],
  name: 'concurrentPlaysByInstant' | 'concurrentViewersByInstant',
): ChartData {
  const { fromMs, toMs, concurrencyCompleteToMs } = window.update
  const times = rangeOf(fromMs, toMs, INSTANT_MS)
  return align(times, (concurrencyCompleteToMs ?? 0) - 1, series, (one) => {
    const values = new Map<number, number | null>()
    for (const bucket of one.buckets)
      for (const [instant, value] of (bucket[name] ?? []).entries())
        values.set(bucket.startMs + instant * INSTANT_MS, value)
    return values
  })
}

/** The newest complete instant, the honest value of "now". */
export function latestComplete(data: ChartData): number | null {
  const [column] = data.columns
  return column?.complete.findLast((value) => value !== null) ?? null
}

function align(
  timesMs: readonly number[],
  completeToMs: number,
  series: readonly KeySeries[],
  valuesOf: (one: KeySeries) => ReadonlyMap<number, number | null>,
): ChartData {
  const lastComplete = timesMs.findLastIndex((timeMs) => timeMs <= completeToMs)
  return {
    times: timesMs.map((timeMs) => timeMs / 1_000),
    columns: series.map((one) => {
      const values = valuesOf(one)
      const all = timesMs.map((timeMs) => values.get(timeMs) ?? null)
      return {
        label: one.label,
        complete: all.map((value, index) => (index <= lastComplete ? value : null)),
        tail: all.map((value, index) => (index >= lastComplete ? value : null)),
      }
    }),
  }
}

function rangeOf(fromMs: number, toMs: number, stepMs: number): number[] {
  return Array.from({ length: Math.ceil((toMs - fromMs) / stepMs) }, (_, i) => fromMs + i * stepMs)
}
