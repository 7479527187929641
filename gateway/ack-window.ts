/**
 * Which frames of a connection are done, as a bitmap over the frames in flight, and how far they
 * are done without a gap. The window is as wide as the credit, so it can never overflow.
 */
export class AckWindow {
  readonly #size: number
  /** Words of 32 frames, made as they are needed: an idle connection has none. */
  readonly #bits: number[] = []
  #edge = -1

  constructor(size: number) {
    this.#size = size
  }

  /** Every frame ≤ `edge` is done. */
  get edge(): number {
    return this.#edge
  }

  /** Marks `frame` as done; returns whether the edge moved. */
  settle(frame: number): boolean {
    if (frame <= this.#edge || frame > this.#edge + this.#size)
      throw new Error(`assertion failed: frame ${frame} is outside the window of ${this.#edge}`)
    this.#set(frame)
    if (frame !== this.#edge + 1) return false
    do {
      this.#edge += 1
      this.#clear(this.#edge)
    } while (this.#has(this.#edge + 1))
    return true
  }

  /** Forgets what is done from `frame` on; those frames will be sent again. */
  forgetFrom(frame: number): void {
    for (let each = Math.max(frame, this.#edge + 1); each <= this.#edge + this.#size; each++)
      this.#clear(each)
  }

  #has(frame: number): boolean {
    const bit = frame % this.#size
    return ((this.#bits[bit >>> 5] ?? 0) & (1 << (bit & 31))) !== 0
  }

  #set(frame: number): void {
    const bit = frame % this.#size
    this.#bits[bit >>> 5] = (this.#bits[bit >>> 5] ?? 0) | (1 << (bit & 31))
  }

  #clear(frame: number): void {
    const bit = frame % this.#size
    this.#bits[bit >>> 5] = (this.#bits[bit >>> 5] ?? 0) & ~(1 << (bit & 31))
  }
}
