/** Which failures pass by themselves, so that the same run may simply be tried again. */
import type { Clock } from '../shared/runtime/clock.ts'
import { BackhaulError } from '../shared/runtime/errors.ts'
import { fullJitterMs } from '../shared/runtime/full-jitter.ts'
import type { Random } from '../shared/runtime/random.ts'
import { RUN_RETRY_DELAY_MAX_MS, RUN_RETRY_DELAY_MS } from './limits.ts'

/** Other codes that may be retried ask for something to be done first, by another command or by hand. */
const OF_STORES = /^(LOG|OBJECT|SPEED|WAREHOUSE|LEASE|BATCH|INIT)_/
/** So do these of the batch: a run has to be made, or ended. */
const NEEDS_A_RUN = /_(RUN_UNFINISHED|NO_RUN)$/
const DELAYS = { retryDelayMs: RUN_RETRY_DELAY_MS, retryDelayMaxMs: RUN_RETRY_DELAY_MAX_MS }

/** A store that was away, a lease that another holds or that was lost, a disk that was full. */
export function isPassing(error: unknown): error is BackhaulError {
  if (!(error instanceof BackhaulError) || NEEDS_A_RUN.test(error.code)) return false
  return error.spec.retryable && OF_STORES.test(error.code)
}

export interface RetryWithin {
  readonly clock: Clock
  readonly random: Random
  /** Ends the repeats: the call then rejects with the signal's reason. */
  readonly signal: AbortSignal
  /** No try begins so long after the first, ms; 0: one try. */
  readonly withinMs: number
  onRetry(error: BackhaulError, delayMs: number): void
}

/** Calls `work` until it succeeds, within the time; throws what the last try did. */
export async function retryWithin<Result>(
  { clock, random, signal, withinMs, onRetry }: RetryWithin,
  work: () => Promise<Result>,
): Promise<Result> {
  const endMs = clock.monotonicMs() + withinMs
  for (let attempt = 0; ; attempt += 1) {
    signal.throwIfAborted()
    try {
      return await work()
    } catch (error) {
      const delayMs = fullJitterMs(attempt, DELAYS, random)
      if (!isPassing(error) || clock.monotonicMs() + delayMs >= endMs) throw error
      onRetry(error, delayMs)
      await clock.sleep(delayMs, signal)
    }
  }
}
