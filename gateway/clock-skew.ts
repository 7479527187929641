/**
 * How far the gateway's clock is from the log's: an append time told by the log must lie between
 * the moments at which the append was called and resolved; what it lies outside of that is skew.
 */
export class ClockSkew {
  readonly #maxMs: number
  #skewMs = 0

  constructor(maxMs: number) {
    this.#maxMs = maxMs
  }

  /** Positive when the log is ahead of the gateway. */
  get skewMs(): number {
    return this.#skewMs
  }

  get isBeyond(): boolean {
    return Math.abs(this.#skewMs) > this.#maxMs
  }

  observe(append: {
    readonly calledAtMs: number
    readonly resolvedAtMs: number
    readonly appendTimeMs: number
  }): void {
    const { calledAtMs, resolvedAtMs, appendTimeMs } = append
    if (appendTimeMs < calledAtMs) this.#skewMs = appendTimeMs - calledAtMs
    else this.#skewMs = Math.max(0, appendTimeMs - resolvedAtMs)
  }
}
