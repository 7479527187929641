/** Repeats of calls that fail for a while, without end. */
import type { Clock } from '../shared/runtime/clock.ts'
import { BackhaulError } from '../shared/runtime/errors.ts'
import { fullJitterMs, type RetryLimits } from '../shared/runtime/full-jitter.ts'
import type { Random } from '../shared/runtime/random.ts'

export interface RetryContext {
  readonly clock: Clock
  readonly random: Random
  readonly limits: RetryLimits
  /** Ends the repeats: the call then rejects with the signal's reason. */
  readonly signal: AbortSignal
  onRetry(error: BackhaulError, attempt: number): void
}

/**
 * Calls `work` until it succeeds. Errors that are not retryable, and those of our own making, are
 * thrown at once.
 */
export async function retry<Result>(
  context: RetryContext,
  work: () => Promise<Result>,
): Promise<Result> {
  for (let attempt = 0; ; attempt += 1) {
    context.signal.throwIfAborted()
    try {
      return await work()
    } catch (error) {
      if (!isRetryable(error)) throw error
      context.onRetry(error, attempt)
      const delayMs = fullJitterMs(attempt, context.limits, context.random)
      await context.clock.sleep(delayMs, context.signal)
    }
  }
}

export function isRetryable(error: unknown): error is BackhaulError {
  return error instanceof BackhaulError && error.spec.retryable
}

/** Code and message of any failure, for status and telemetry. */
export function describeFailure(
  error: unknown,
  fallbackCode: string,
): { code: string; message: string } {
  if (error instanceof BackhaulError) return { code: error.code, message: error.message }
  return { code: fallbackCode, message: error instanceof Error ? error.message : String(error) }
}
