/**
 * How much to ask brokers for, who count compressed bytes, where the reader wants so much
 * uncompressed: batches of one topic compress alike, and the last answer says how well. Asked for
 * too much, a reader of many partitions could not keep what came, and would fetch it again and again.
 */
import { FETCH_INFLATION_MAX, FETCH_PARTITION_MIN_BYTES } from '../kafka/limits.ts'

/** Part of what was learned that stays when an answer was smaller, as at the end of the log. */
const KEPT_SHARE = 0.95
/** Part that stays when a batch was larger than what was asked for, so that nothing came. */
const SQUEEZED_SHARE = 0.5

export class FetchSize {
  /** By topic: uncompressed bytes for each byte asked for, at least 1. */
  readonly #inflations = new Map<string, number>()

  /** Bytes to ask for so that about `wantedBytes` come. */
  bytesFor(topic: string, wantedBytes: number): number {
    const bytes = Math.ceil(wantedBytes / this.#inflation(topic))
    return Math.max(bytes, Math.min(wantedBytes, FETCH_PARTITION_MIN_BYTES))
  }

  /** So much came for what was asked for. */
  came(topic: string, askedBytes: number, uncompressedBytes: number): void {
    const least = this.#inflation(topic) * KEPT_SHARE
    this.#learn(topic, Math.max(least, uncompressedBytes / askedBytes))
  }

  /** There is a batch that what was asked for left no room for. */
  wasSqueezed(topic: string): void {
    this.#learn(topic, this.#inflation(topic) * SQUEEZED_SHARE)
  }

  #inflation(topic: string): number {
    return this.#inflations.get(topic) ?? 1
  }

  #learn(topic: string, inflation: number): void {
    this.#inflations.set(topic, Math.min(Math.max(1, inflation), FETCH_INFLATION_MAX))
  }
}
