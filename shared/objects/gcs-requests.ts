/** Requests to GCS: each is repeated within bounds while what it failed with may pass. */
import type { Clock } from '../runtime/clock.ts'
import { fullJitterMs } from '../runtime/full-jitter.ts'
import type { Random } from '../runtime/random.ts'
import { failureReason, gcsFailure, type GcsOperation } from './gcs-failure.ts'
import { REPEAT_DELAY_MAX_MS, REPEAT_DELAY_MS, REQUEST_ATTEMPTS_MAX } from './gcs-limits.ts'
import type { GcsObjectTelemetry } from './gcs-telemetry.ts'

const DELAYS = { retryDelayMs: REPEAT_DELAY_MS, retryDelayMaxMs: REPEAT_DELAY_MAX_MS }

export interface GcsRequestsParts {
  readonly clock: Clock
  readonly random: Random
  readonly telemetry: GcsObjectTelemetry | undefined
}

/** What a request may know of the tries before it. */
export interface Tries {
  /** Whether an earlier try failed in a way that leaves open whether it was done. */
  readonly mayBeDone: boolean
}

export class GcsRequests {
  readonly #parts: GcsRequestsParts

  constructor(parts: GcsRequestsParts) {
    this.#parts = parts
  }

  /** Throws the `objectErrors` of the last try. */
  async run<Result>(
    operation: GcsOperation,
    request: (tries: Tries) => Promise<Result>,
  ): Promise<Result> {
    const { clock, random, telemetry } = this.#parts
    const sinceMs = clock.monotonicMs()
    for (let attempt = 1; ; attempt += 1) {
      try {
        const result = await request({ mayBeDone: attempt > 1 })
        telemetry?.answered(operation.permission, clock.monotonicMs() - sinceMs)
        return result
      } catch (error) {
        const failure = gcsFailure(error, operation)
        if (!failure.spec.retryable || attempt === REQUEST_ATTEMPTS_MAX) throw failure
        telemetry?.repeated(operation.permission, failureReason(error))
        await clock.sleep(fullJitterMs(attempt - 1, DELAYS, random))
      }
    }
  }
}
