/** How old the rows behind an answer are. */
import type { Cut } from '../shared/qoe/cuts.ts'
import type { CutWidth, PartitionProgress } from './generations.ts'
import type { ServingLimits } from './limits.ts'

export interface Freshness {
  readonly cut: string
  readonly asOfMs: number | null
  readonly concurrencyCompleteToMs: number | null
  readonly nowMs: number
  readonly stale: boolean
}

type FreshnessLimits = Pick<
  ServingLimits,
  'heartbeatIntervalMs' | 'narrowStaleAfterMs' | 'wideStaleAfterMs'
>

export function freshnessOf(
  cut: Cut,
  progress: PartitionProgress,
  nowMs: number,
  limits: FreshnessLimits,
): Freshness {
  const asOfMs = progress.asOfMs(cut.width)
  return {
    cut: cut.id,
    asOfMs: asOfMs ?? null,
    concurrencyCompleteToMs: asOfMs === undefined ? null : asOfMs - limits.heartbeatIntervalMs,
    nowMs,
    stale: isStale(cut.width, asOfMs, nowMs, limits),
  }
}

/** Without any rows nothing is stale: it is empty, and `asOfMs` says so. */
export function isStale(
  width: CutWidth,
  asOfMs: number | undefined,
  nowMs: number,
  limits: FreshnessLimits,
): boolean {
  const afterMs = width === 'narrow' ? limits.narrowStaleAfterMs : limits.wideStaleAfterMs
  return asOfMs !== undefined && nowMs - asOfMs > afterMs
}
