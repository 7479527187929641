/**
 * Live ∪ history. Minutes before the batch-complete boundary are answered from history, later ones
 * from the speed store; while no batch has completed there is no boundary and all is live. The
 * boundary is widened to whole steps so that no bucket mixes both.
 */
import type { MinuteRange } from './qoe-query.ts'

export type Source = 'speed' | 'history'

export interface SplitRange {
  readonly history: MinuteRange | undefined
  readonly speed: MinuteRange | undefined
}

/** Splits `range`, whose ends lie on whole steps. A bucket is history only when all of it is. */
export function splitAtBoundary(
  range: MinuteRange,
  stepMs: number,
  boundaryMs: number | undefined,
): SplitRange {
  if (boundaryMs === undefined) return { history: undefined, speed: range }
  const wholeStepsMs = Math.floor(boundaryMs / stepMs) * stepMs
  const splitMs = Math.min(Math.max(wholeStepsMs, range.fromMs), range.toMs)
  return {
    history: splitMs > range.fromMs ? { fromMs: range.fromMs, toMs: splitMs } : undefined,
    speed: splitMs < range.toMs ? { fromMs: splitMs, toMs: range.toMs } : undefined,
  }
}
