/**
 * How long changed rows may wait while a partition catches up with a log that it is far behind.
 * A row is never fresher than what has been read, and one that is written again before anybody
 * looks was written for nothing and took time from catching up. So while the partition lags by
 * more than fresh rows may be old, a row waits at most as long as the log has it waiting already,
 * within a bound. Why: docs/decisions/0036-rows-wait-while-a-partition-catches-up.md
 *
 * The lag is a difference between the clocks of two machines. So it is believed only of a
 * partition that has not come to the end of the log for a while: one that comes there keeps up,
 * whatever the clocks say.
 */
import type { Clock } from '../shared/runtime/clock.ts'
import { CATCH_UP_AFTER_MS, CATCH_UP_WAIT_MAX_MS } from './limits.ts'

export interface CatchUpParts {
  readonly clock: Pick<Clock, 'nowMs' | 'monotonicMs'>
  /** Append time of the last record folded. */
  lastLoggedAtMs(): number
  /** Whether everything is folded that the log was last known to hold. */
  isAtEnd(): boolean
}

export class CatchUp {
  readonly #parts: CatchUpParts
  /** Monotonic. */
  #lastAtEndMs = Number.NEGATIVE_INFINITY

  constructor(parts: CatchUpParts) {
    this.#parts = parts
  }

  /** What was read is folded. */
  batchFolded(): void {
    const { clock, isAtEnd } = this.#parts
    if (isAtEnd()) this.#lastAtEndMs = clock.monotonicMs()
  }

  /** How long rows may wait by now beyond what is usual; 0 unless the partition is far behind. */
  waitMs(): number {
    const { clock, lastLoggedAtMs } = this.#parts
    if (clock.monotonicMs() - this.#lastAtEndMs < CATCH_UP_AFTER_MS) return 0
    const lagMs = clock.nowMs() - lastLoggedAtMs()
    return lagMs < CATCH_UP_AFTER_MS ? 0 : Math.min(lagMs, CATCH_UP_WAIT_MAX_MS)
  }
}
