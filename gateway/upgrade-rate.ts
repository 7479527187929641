/**
 * How many connections a second may open, so that a storm of reconnects does not starve those who
 * are connected. Who is refused is told to come back when those refused before have had their turn.
 */
import type { Clock } from '../shared/runtime/clock.ts'
import type { Random } from '../shared/runtime/random.ts'
import { UPGRADE_RETRY_MAX_MS, UPGRADE_RETRY_MIN_MS } from './limits.ts'
import { RateLimit, type RateBounds } from './rate-limit.ts'

export class UpgradeRate {
  readonly #perSecond: number
  readonly #limit: RateLimit
  readonly #clock: Clock
  readonly #random: Random
  /** The moment until which upgrades are promised to those refused; monotonic. */
  #promisedUntilMs = Number.NEGATIVE_INFINITY

  constructor(bounds: RateBounds, clock: Clock, random: Random) {
    this.#perSecond = bounds.perSecond
    this.#limit = new RateLimit(bounds, clock.monotonicMs())
    this.#clock = clock
    this.#random = random
  }

  /** Takes an upgrade, or says after how many milliseconds to ask again. */
  refusal(): { readonly retryAfterMs: number } | undefined {
    const nowMs = this.#clock.monotonicMs()
    if (this.#limit.take(nowMs)) return undefined
    const fromMs = Math.max(nowMs, this.#promisedUntilMs)
    this.#promisedUntilMs = Math.min(fromMs + 1_000 / this.#perSecond, nowMs + UPGRADE_RETRY_MAX_MS)
    // Half of the wait is certain, the other half a matter of chance around its turn.
    const waitMs = Math.max(UPGRADE_RETRY_MIN_MS, this.#promisedUntilMs - nowMs)
    return { retryAfterMs: Math.ceil(waitMs / 2) + this.#random.below(Math.ceil(waitMs)) }
  }
}
