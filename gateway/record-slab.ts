/**
 * Memory for the values of one lane's records, cut from larger pieces one after another. A piece is
 * freed when the last of its records is, and records of one lane go into the log together: were
 * pieces shared by lanes, a partition that is down would hold the memory of those that are not.
 */
import { RECORD_SLAB_BYTES, RECORD_SLAB_SHARE } from './limits.ts'

const NOTHING = Buffer.alloc(0)

export class RecordSlab {
  #piece: Buffer = NOTHING
  #at = 0

  /** Bytes to be written in full: they are not cleared. */
  take(bytes: number): Buffer {
    if (bytes > RECORD_SLAB_BYTES * RECORD_SLAB_SHARE) return Buffer.allocUnsafeSlow(bytes)
    if (this.#at + bytes > this.#piece.length) {
      this.#piece = Buffer.allocUnsafeSlow(RECORD_SLAB_BYTES)
      this.#at = 0
    }
    const start = this.#at
    this.#at += bytes
    return this.#piece.subarray(start, this.#at)
  }
}
