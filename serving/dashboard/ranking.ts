/** Which key hurts viewers most, and which of its values stand out. */
import type { QoeMetrics } from '../api-schemas.ts'

export type RatedMetric =
  | 'startupMsP50'
  | 'startupMsP95'
  | 'stalledTimeRatio'
  | 'vsfRatio'
  | 'vpfRatio'
  | 'ebvsRatio'
  | 'eventsLostRatio'

/** How far a value is beyond the overall one before it stands out. */
const BAD_FACTOR = 2
const WORSE_FACTOR = 4
/** Below these, a multiple of a tiny overall value means nothing. */
const NOTICEABLE: Readonly<Record<RatedMetric, number>> = {
  startupMsP50: 1_000,
  startupMsP95: 3_000,
  stalledTimeRatio: 0.005,
  vsfRatio: 0.01,
  vpfRatio: 0.01,
  ebvsRatio: 0.05,
  eventsLostRatio: 0.001,
}

/** Points lost: stalled time, failed starts and failed plays, each in percent. */
export function badness(metrics: QoeMetrics): number {
  const { stalledTimeRatio, vsfRatio, vpfRatio } = metrics
  return 100 * ((stalledTimeRatio ?? 0) + (vsfRatio ?? 0) + (vpfRatio ?? 0))
}

export interface Ranked {
  readonly metrics: QoeMetrics
  readonly other: boolean
}

/** Worst first; keys with too few plays to judge come after the others, the rest (`other`) last. */
export function worstFirst(a: Ranked, b: Ranked): number {
  return (
    Number(a.other) - Number(b.other) ||
    Number(a.metrics.lowSample) - Number(b.metrics.lowSample) ||
    badness(b.metrics) - badness(a.metrics) ||
    b.metrics.plays - a.metrics.plays
  )
}

export type Verdict = 'usual' | 'bad' | 'worse'

/** Compares a key's value with the overall one; a small sample is never judged. */
export function judge(metric: RatedMetric, key: QoeMetrics, overall: QoeMetrics): Verdict {
  const value = key[metric]
  const usual = overall[metric]
  if (key.lowSample || value === null || usual === null || value < NOTICEABLE[metric])
    return 'usual'
  if (value >= usual * WORSE_FACTOR) return 'worse'
  return value >= usual * BAD_FACTOR ? 'bad' : 'usual'
}
