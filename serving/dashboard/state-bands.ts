/** A session's states as bands on a time axis, from the applied events of its timeline. */
import type { TimelineEntry } from '../api-schemas.ts'

export type BandState = NonNullable<TimelineEntry['state']>

export interface Band {
  readonly state: BandState
  readonly part: number
  readonly fromMs: number
  readonly toMs: number
}

/**
 * Half-open intervals between consecutive applied events, in the state after the earlier one;
 * neighbours in the same state and part are joined. Nothing is assumed after the last event.
 */
export function toBands(timeline: readonly TimelineEntry[]): Band[] {
  const bands: Band[] = []
  let previous: { state: BandState; part: number; atMs: number } | undefined
  for (const entry of timeline) {
    if (entry.status !== 'applied' || entry.state === undefined) continue
    if (previous !== undefined && entry.eventTimeMs > previous.atMs)
      extend(bands, { ...previous, fromMs: previous.atMs, toMs: entry.eventTimeMs })
    previous = { state: entry.state, part: entry.part ?? 0, atMs: entry.eventTimeMs }
  }
  return bands
}

function extend(bands: Band[], band: Band): void {
  const last = bands.at(-1)
  if (last?.state === band.state && last.part === band.part && last.toMs === band.fromMs)
    bands[bands.length - 1] = { ...last, toMs: band.toMs }
  else bands.push({ state: band.state, part: band.part, fromMs: band.fromMs, toMs: band.toMs })
}

/** Round distances for the ticks of an axis of this length, about `wanted` of them. */
export function tickStepMs(lengthMs: number, wanted: number): number {
  const steps = [
    100, 200, 500, 1_000, 2_000, 5_000, 10_000, 15_000, 30_000, 60_000, 120_000, 300_000, 600_000,
    900_000, 1_800_000, 3_600_000, 7_200_000, 21_600_000, 43_200_000, 86_400_000,
  ]
  return steps.find((stepMs) => lengthMs / stepMs <= wanted) ?? 86_400_000
}
