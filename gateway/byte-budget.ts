import { BUDGET_HIGH_SHARE } from './limits.ts'

/** The bytes this process may hold on their way into the log, over all connections and requests. */
export class ByteBudget {
  readonly maxBytes: number
  #usedBytes = 0

  constructor(maxBytes: number) {
    this.maxBytes = maxBytes
  }

  get usedBytes(): number {
    return this.#usedBytes
  }

  /** Whether credit should stop growing, so that refusing stays the exception. */
  get isHigh(): boolean {
    return this.#usedBytes > this.maxBytes * BUDGET_HIGH_SHARE
  }

  has(bytes: number): boolean {
    return this.#usedBytes + bytes <= this.maxBytes
  }

  take(bytes: number): boolean {
    if (!this.has(bytes)) return false
    this.#usedBytes += bytes
    return true
  }

  give(bytes: number): void {
    this.#usedBytes -= bytes
  }
}
