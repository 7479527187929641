/** A token bucket: `perSecond` sustained, `burst` on top. */
export interface RateBounds {
  readonly perSecond: number
  readonly burst: number
}

export class RateLimit {
  readonly #bounds: RateBounds
  #tokens: number
  #filledAtMs: number

  constructor(bounds: RateBounds, nowMs: number) {
    this.#bounds = bounds
    this.#tokens = bounds.burst
    this.#filledAtMs = nowMs
  }

  /** Whether there are `tokens`. `nowMs` is monotonic, here and below. */
  has(tokens: number, nowMs: number): boolean {
    this.#fill(nowMs)
    return this.#tokens >= tokens
  }

  isFull(nowMs: number): boolean {
    return this.has(this.#bounds.burst, nowMs)
  }

  /** Takes `tokens` that are there. */
  spend(tokens: number): void {
    this.#tokens -= tokens
  }

  /** Takes one token if there is one. */
  take(nowMs: number): boolean {
    if (!this.has(1, nowMs)) return false
    this.spend(1)
    return true
  }

  /**
   * Milliseconds until `tokens` are there, and half the burst with them: whoever waits has more to
   * send, and would be refused again at once.
   */
  waitMs(tokens: number, nowMs: number): number {
    const { perSecond, burst } = this.#bounds
    this.#fill(nowMs)
    const missing = Math.min(burst, Math.max(tokens, burst / 2)) - this.#tokens
    return Math.max(0, Math.ceil((missing * 1_000) / perSecond))
  }

  #fill(nowMs: number): void {
    const { perSecond, burst } = this.#bounds
    const gained = ((nowMs - this.#filledAtMs) * perSecond) / 1_000
    this.#tokens = Math.min(burst, this.#tokens + gained)
    this.#filledAtMs = nowMs
  }
}
