/** Delays between repeats of what fails for a while: exponential, capped, with full jitter. */
import type { Random } from './random.ts'

export interface RetryLimits {
  readonly retryDelayMs: number
  readonly retryDelayMaxMs: number
}

/** Uniform in [0, min(retryDelayMaxMs, retryDelayMs · 2^attempt)), ms. */
export function fullJitterMs(attempt: number, limits: RetryLimits, random: Random): number {
  const ceilingMs = Math.min(limits.retryDelayMaxMs, limits.retryDelayMs * 2 ** attempt)
  return random.next() * ceilingMs
}
