/** A token bucket: `perSecond` sustained, `burst` on top. */
export class RateLimit {
  readonly #perSecond: number
  readonly #burst: number
  #tokens: number
  #filledAtMs: number

  constructor(bounds: { readonly perSecond: number; readonly burst: number }, nowMs: number) {
    this.#perSecond = bounds.perSecond
    this.#burst = bounds.burst
    this.#tokens = bounds.burst
    this.#filledAtMs = nowMs
  }

  /** Takes one token if there is one. `nowMs` is monotonic. */
  take(nowMs: number): boolean {
    this.#fill(nowMs)
    if (this.#tokens < 1) return false
    this.#tokens -= 1
    return true
  }

  /** Milliseconds until `tokens` (at most the burst) are there. */
  waitMs(tokens: number, nowMs: number): number {
    this.#fill(nowMs)
    const missing = Math.min(tokens, this.#burst) - this.#tokens
    return Math.max(0, Math.ceil((missing * 1_000) / this.#perSecond))
  }

  #fill(nowMs: number): void {
    const gained = ((nowMs - this.#filledAtMs) * this.#perSecond) / 1_000
    this.#tokens = Math.min(this.#burst, this.#tokens + gained)
    this.#filledAtMs = nowMs
  }
}
