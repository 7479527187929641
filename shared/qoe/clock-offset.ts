/**
 * Session time: an event's device time moved to the gateway's clock. The session's offset is fixed
 * by the frame of its lowest applied seq, so jitter of the network never enters a metric; a frame
 * whose offset is far from it saw the device's clock step and uses its own.
 */
import type { FoldLimits } from './fold.ts'

export interface EventClock {
  /** Device clock of the event, epoch ms. */
  readonly atMs: number
  /** `receivedAt − sentAt` of the event's frame, ms. */
  readonly frameOffsetMs: number
  readonly receivedAtMs: number
}

/** `at + offset`, before it is clamped. */
export function correctedMs(
  clock: EventClock,
  sessionOffsetMs: number | undefined,
  limits: Pick<FoldLimits, 'clockStepMs'>,
): number {
  const stepped =
    sessionOffsetMs === undefined ||
    Math.abs(clock.frameOffsetMs - sessionOffsetMs) > limits.clockStepMs
  return clock.atMs + (stepped ? clock.frameOffsetMs : sessionOffsetMs)
}

/** Holds a corrected time within `[receivedAt − maxAge, receivedAt + clockStep]`. */
export function clampCorrected(
  timeMs: number,
  receivedAtMs: number,
  limits: Pick<FoldLimits, 'clockStepMs' | 'maxAgeMs'>,
): number {
  const earliestMs = receivedAtMs - limits.maxAgeMs
  const latestMs = receivedAtMs + limits.clockStepMs
  return Math.min(Math.max(timeMs, earliestMs), latestMs)
}
