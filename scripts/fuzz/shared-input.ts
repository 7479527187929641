/** The input that is being judged, and how many were, in memory that two threads see. */
import { INPUT_MAX_BYTES } from './limits.ts'

const HEADER_BYTES = 8
const COUNT = 0
const LENGTH = 1

/** Kept inputs and seeds may be longer than what is made. */
const ROOM_BYTES = 16 * INPUT_MAX_BYTES

export function createSharedMemory(): SharedArrayBuffer {
  return new SharedArrayBuffer(HEADER_BYTES + ROOM_BYTES)
}

export function sharedInput(memory: SharedArrayBuffer) {
  const header = new Int32Array(memory, 0, 2)
  const room = new Uint8Array(memory, HEADER_BYTES)
  return {
    publish(bytes: Uint8Array): void {
      const kept = bytes.subarray(0, ROOM_BYTES)
      room.set(kept)
      Atomics.store(header, LENGTH, kept.length)
      Atomics.add(header, COUNT, 1)
    },
    get count(): number {
      return Atomics.load(header, COUNT)
    },
    read: (): Uint8Array => room.slice(0, Atomics.load(header, LENGTH)),
  }
}
