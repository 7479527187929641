import type { ClientRandom } from './runtime.ts'

export interface BackoffBounds {
  readonly baseMs: number
  readonly maxMs: number
}

/**
 * Exponential backoff with full jitter: uniform in [0, min(maxMs, baseMs · 2^failures)), so that a
 * crowd that lost its server together does not return together.
 * https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
 */
export class Backoff {
  readonly #bounds: BackoffBounds
  readonly #random: ClientRandom
  #failures = 0

  constructor(bounds: BackoffBounds, random: ClientRandom) {
    this.#bounds = bounds
    this.#random = random
  }

  get failures(): number {
    return this.#failures
  }

  /** Delay before the next attempt, ms; each call counts one more failure. */
  nextDelayMs(): number {
    const windowMs = Math.min(this.#bounds.maxMs, this.#bounds.baseMs * 2 ** this.#failures)
    // Beyond this the window no longer grows; stopping the count keeps 2^n finite.
    if (windowMs < this.#bounds.maxMs) this.#failures += 1
    return this.within(windowMs)
  }

  /** Full jitter over a window that someone else chose. */
  within(windowMs: number): number {
    return Math.floor(this.#random.next() * windowMs)
  }

  reset(): void {
    this.#failures = 0
  }
}
