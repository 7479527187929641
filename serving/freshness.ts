/** How old the rows behind an answer are. */
import type { Cut } from '../shared/qoe/cuts.ts'
import type { Degraded } from './api-schemas.ts'
import type { CutWidth } from '../shared/speed/generations.ts'
import type { ServingLimits } from './limits.ts'
import type { Reading } from './reading.ts'

export interface Freshness {
  readonly cut: string
  readonly asOfMs: number | null
  readonly concurrencyCompleteToMs: number | null
  readonly nowMs: number
  readonly stale: boolean
  readonly historyToMs: number | null
  readonly degraded?: Degraded[]
}

type FreshnessLimits = Pick<
  ServingLimits,
  'heartbeatIntervalMs' | 'narrowStaleAfterMs' | 'wideStaleAfterMs'
>

export function freshnessOf(
  cut: Cut,
  reading: Pick<Reading, 'asOfMs' | 'isLive' | 'historyToMs' | 'degraded'>,
  nowMs: number,
  limits: FreshnessLimits,
): Freshness {
  const { asOfMs, isLive, historyToMs, degraded } = reading
  return {
    cut: cut.id,
    asOfMs: asOfMs ?? null,
    concurrencyCompleteToMs: asOfMs === undefined ? null : asOfMs - limits.heartbeatIntervalMs,
    nowMs,
    stale: isLive && isStale(cut.width, asOfMs, nowMs, limits),
    historyToMs: historyToMs ?? null,
    ...(degraded.length === 0 ? {} : { degraded: [...degraded] }),
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
