/**
 * Bytes found by a digest, the latest `entriesMax` of them, in memory that the garbage collector
 * does not look into: tens of thousands of contexts as objects are what it would spend its time on,
 * and finding one among them waits for memory half a dozen times.
 *
 * Entries lie in a ring of slots, their bytes one behind another in a ring of bytes, in the same
 * order; the oldest go when either ring is full.
 *
 *   slots   │ 4 │ 5 │ 6 │ · │ 2 │ 3 │         bytes  │ 4 … │ 5 …… │ 6 … │ ··· │ 2 … │ 3 ….. │ · │
 *                        ▲ next  ▲ oldest                             ▲ next
 */

/** A context is smaller, mostly; more room than this for each does not come. */
const BYTES_PER_ENTRY = 512
/** Any context fits. */
const BYTES_MIN = 64 * 1_024
/** Words of a digest that are kept: 128 bits, which nobody finds twice. */
const WORDS = 4
const NAME_BITS = 0x3fff_ffff

export class ContextTable {
  readonly #entriesMax: number
  /** No Buffer: a `slice` of one would be a view of what is written over. */
  readonly #bytes: Uint8Array
  /** Slot by a part of the digest; of two that share that part the later one stays. */
  readonly #slots = new Map<number, number>()
  readonly #digests: Int32Array
  /** The room may be larger than 4 GiB. */
  readonly #starts: Float64Array
  readonly #ends: Float64Array
  #oldest = 0
  #used = 0
  #nextByte = 0

  constructor(entriesMax: number) {
    this.#entriesMax = entriesMax
    // What is not written to takes no memory.
    this.#bytes = new Uint8Array(Math.max(BYTES_MIN, entriesMax * BYTES_PER_ENTRY))
    this.#digests = new Int32Array(entriesMax * WORDS)
    this.#starts = new Float64Array(entriesMax)
    this.#ends = new Float64Array(entriesMax)
  }

  get size(): number {
    return this.#slots.size
  }

  /** A view that stands until the next `add`; `digest` is a character for each of its bytes. */
  find(digest: string): Uint8Array | undefined {
    const slot = this.#slots.get(wordOf(digest, 0) & NAME_BITS)
    if (slot === undefined || !this.#isOf(slot, digest)) return undefined
    return this.#bytes.subarray(this.#starts[slot], this.#ends[slot])
  }

  /** Bytes that are larger than all the room are not kept. */
  add(digest: string, bytes: Uint8Array): void {
    if (bytes.length > this.#bytes.length) return
    const start = this.#makeRoom(bytes.length)
    const slot = (this.#oldest + this.#used) % this.#entriesMax
    this.#used += 1
    this.#nextByte = start + bytes.length
    this.#bytes.set(bytes, start)
    this.#starts[slot] = start
    this.#ends[slot] = this.#nextByte
    for (let word = 0; word < WORDS; word++)
      this.#digests[slot * WORDS + word] = wordOf(digest, word)
    this.#slots.set(wordOf(digest, 0) & NAME_BITS, slot)
  }

  /** Where the bytes go; what lies there, or in the slot that comes next, is forgotten. */
  #makeRoom(length: number): number {
    if (this.#used === this.#entriesMax) this.#forgetOldest()
    let start = this.#nextByte
    if (start + length > this.#bytes.length) {
      while (this.#startOfOldest >= start) this.#forgetOldest()
      start = 0
    }
    while (this.#startOfOldest >= start && this.#startOfOldest < start + length)
      this.#forgetOldest()
    return start
  }

  get #startOfOldest(): number {
    return this.#used === 0 ? -1 : (this.#starts[this.#oldest] ?? -1)
  }

  #forgetOldest(): void {
    const name = (this.#digests[this.#oldest * WORDS] ?? 0) & NAME_BITS
    if (this.#slots.get(name) === this.#oldest) this.#slots.delete(name)
    this.#oldest = (this.#oldest + 1) % this.#entriesMax
    this.#used -= 1
  }

  #isOf(slot: number, digest: string): boolean {
    for (let word = 0; word < WORDS; word++)
      if (this.#digests[slot * WORDS + word] !== wordOf(digest, word)) return false
    return true
  }
}

function wordOf(digest: string, word: number): number {
  const at = word * 4
  return (
    digest.charCodeAt(at) |
    (digest.charCodeAt(at + 1) << 8) |
    (digest.charCodeAt(at + 2) << 16) |
    (digest.charCodeAt(at + 3) << 24)
  )
}
