/**
 * When rows of each class are due.
 *
 *   narrow          every narrowFlushMs, all that changed
 *   wide            evenly over wideFlushMs
 *   sessionUrgent   at once: started, failed, closed
 *   session         sessionRowIntervalMs after the change
 *
 * While a partition catches up (`catch-up.ts`) each of these intervals is at least the time that
 * rows may wait; urgent rows then go together whenever it has passed.
 */
import type { DirtyQueue } from '../shared/qoe/fold.ts'
import type { ProcessorConfig } from './config.ts'
import { MARKS_PER_QUEUE_MAX, TIMED_STEP_MS } from './limits.ts'
import type { Pacing } from './write-queue.ts'

export type PacingConfig = Pick<
  ProcessorConfig,
  'narrowFlushMs' | 'wideFlushMs' | 'sessionRowIntervalMs'
>

/** `waitMs`: how long rows may wait because the partition catches up; 0 when it follows. */
export function pacings(
  config: PacingConfig,
  waitMs: number,
): Readonly<Record<DirtyQueue, Pacing>> {
  const narrowMs = Math.max(config.narrowFlushMs, waitMs)
  const wideMs = Math.max(config.wideFlushMs, waitMs)
  // A change waits up to one timed step for its mark and one more for the step after it is due.
  const sessionMs = Math.max(config.sessionRowIntervalMs, waitMs) - 2 * TIMED_STEP_MS
  // A longer delay has coarser marks, so that as many are remembered.
  const isUsual = waitMs <= config.sessionRowIntervalMs
  const sessionMarkMs = Math.max(TIMED_STEP_MS, isUsual ? 0 : (2 * sessionMs) / MARKS_PER_QUEUE_MAX)
  return {
    narrow: { markEveryMs: narrowMs, delayMs: 0, spread: false },
    wide: { markEveryMs: wideMs, delayMs: 0, spread: true },
    sessionUrgent: { markEveryMs: 0, delayMs: 0, spread: false },
    session: { markEveryMs: sessionMarkMs, delayMs: sessionMs, spread: false },
  }
}

/** How many urgent rows may be taken. */
export class UrgentGate {
  #openedMs: number
  /** Rows that waited when it last opened and are not taken yet. */
  #left = 0

  constructor(nowMs: number) {
    this.#openedMs = nowMs
  }

  due(waiting: number, waitMs: number, nowMs: number): number {
    if (nowMs - this.#openedMs >= waitMs) {
      this.#openedMs = nowMs
      this.#left = waiting
    }
    return Math.min(waiting, this.#left)
  }

  took(rows: number): void {
    this.#left = Math.max(0, this.#left - rows)
  }
}
