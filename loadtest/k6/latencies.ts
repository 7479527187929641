/** Counts of latencies by whole milliseconds; what is longer than the last bucket counts there. */
const BUCKETS = 60_001

export class Latencies {
  readonly #counts = new Int32Array(BUCKETS)
  #count = 0
  #highest = 0

  add(latencyMs: number): void {
    const bucket = Math.min(BUCKETS - 1, Math.max(0, Math.round(latencyMs)))
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1
    this.#count += 1
    if (bucket > this.#highest) this.#highest = bucket
  }

  get count(): number {
    return this.#count
  }

  get maxMs(): number {
    return this.#highest
  }

  /** The latency that a share `p` of all stays within; 0 without any. */
  quantileMs(p: number): number {
    const rank = Math.ceil(this.#count * p)
    let seen = 0
    for (let bucket = 0; bucket <= this.#highest; bucket++) {
      seen += this.#counts[bucket] ?? 0
      if (seen >= rank && seen > 0) return bucket
    }
    return 0
  }

  clear(): void {
    this.#counts.fill(0, 0, this.#highest + 1)
    this.#count = 0
    this.#highest = 0
  }
}
