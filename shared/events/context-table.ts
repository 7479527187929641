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
/** What is kept of a slot, side by side: the digest's words, where its bytes start, how many they are. */
const SLOT_WORDS = 8
const START = WORDS
const LENGTH = WORDS + 1
/** Bytes start at multiples of so many, so that a start is a word however large the room is. */
const ALIGN_BYTES = 8
/** A place of the index: a slot, counted from 1, and its digest's first word, which names the place. */
const PLACE_WORDS = 2
/** Places for each slot, so that what is looked for stands in its own place or beside it. */
const PLACES_PER_ENTRY = 2
const NOTHING = 0

export class ContextTable {
  readonly #entriesMax: number
  /** No Buffer: a `slice` of one would be a view of what is written over. */
  readonly #bytes: Uint8Array
  readonly #slots: Int32Array
  /** Open addressing: a digest's place is the first free one from that of its first word on. */
  readonly #index: Int32Array
  readonly #lastPlace: number
  #oldest = 0
  #used = 0
  #nextByte = 0

  constructor(entriesMax: number) {
    const places = 2 ** Math.ceil(Math.log2(entriesMax * PLACES_PER_ENTRY))
    this.#entriesMax = entriesMax
    // What is not written to takes no memory.
    this.#bytes = new Uint8Array(Math.max(BYTES_MIN, entriesMax * BYTES_PER_ENTRY))
    this.#slots = new Int32Array(entriesMax * SLOT_WORDS)
    this.#index = new Int32Array(places * PLACE_WORDS)
    this.#lastPlace = places - 1
  }

  get size(): number {
    return this.#used
  }

  /** A view that stands until the next `add`; `digest` is a character for each of its bytes. */
  find(digest: string): Uint8Array | undefined {
    const found = this.#index[this.#placeOf(digest) * PLACE_WORDS] ?? NOTHING
    if (found === NOTHING) return undefined
    const slot = (found - 1) * SLOT_WORDS
    const start = (this.#slots[slot + START] ?? 0) * ALIGN_BYTES
    return this.#bytes.subarray(start, start + (this.#slots[slot + LENGTH] ?? 0))
  }

  /** Bytes that are larger than all the room are not kept. */
  add(digest: string, bytes: Uint8Array): void {
    if (bytes.length > this.#bytes.length) return
    const start = this.#makeRoom(bytes.length)
    const slot = (this.#oldest + this.#used) % this.#entriesMax
    this.#used += 1
    this.#nextByte = Math.ceil((start + bytes.length) / ALIGN_BYTES) * ALIGN_BYTES
    this.#bytes.set(bytes, start)
    const at = slot * SLOT_WORDS
    for (let word = 0; word < WORDS; word++) this.#slots[at + word] = wordOf(digest, word)
    this.#slots[at + START] = start / ALIGN_BYTES
    this.#slots[at + LENGTH] = bytes.length
    this.#put(this.#placeOf(digest), slot + 1, wordOf(digest, 0))
  }

  /** Where the digest stands, or the free place where it would. */
  #placeOf(digest: string): number {
    const first = wordOf(digest, 0)
    for (let place = first & this.#lastPlace; ; place = (place + 1) & this.#lastPlace) {
      const found = this.#index[place * PLACE_WORDS] ?? NOTHING
      if (found === NOTHING) return place
      if (this.#index[place * PLACE_WORDS + 1] !== first) continue
      if (this.#isOf((found - 1) * SLOT_WORDS, digest)) return place
    }
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
    if (this.#used === 0) return -1
    return (this.#slots[this.#oldest * SLOT_WORDS + START] ?? 0) * ALIGN_BYTES
  }

  #forgetOldest(): void {
    const first = this.#slots[this.#oldest * SLOT_WORDS] ?? 0
    for (let place = first & this.#lastPlace; ; place = (place + 1) & this.#lastPlace) {
      const found = this.#index[place * PLACE_WORDS]
      if (found === this.#oldest + 1) this.#free(place)
      // What came again stands there with its later slot.
      if (found === this.#oldest + 1 || found === NOTHING) break
    }
    this.#oldest = (this.#oldest + 1) % this.#entriesMax
    this.#used -= 1
  }

  /** What stands behind a free place moves into it, unless that is before its own. */
  #free(place: number): void {
    let free = place
    for (let next = (free + 1) & this.#lastPlace; ; next = (next + 1) & this.#lastPlace) {
      const slot = this.#index[next * PLACE_WORDS] ?? NOTHING
      if (slot === NOTHING) break
      const first = this.#index[next * PLACE_WORDS + 1] ?? 0
      const away = (next - first) & this.#lastPlace
      if (away < ((next - free) & this.#lastPlace)) continue
      this.#put(free, slot, first)
      free = next
    }
    this.#put(free, NOTHING, 0)
  }

  #put(place: number, slot: number, first: number): void {
    this.#index[place * PLACE_WORDS] = slot
    this.#index[place * PLACE_WORDS + 1] = first
  }

  #isOf(slot: number, digest: string): boolean {
    for (let word = 0; word < WORDS; word++)
      if (this.#slots[slot + word] !== wordOf(digest, word)) return false
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
