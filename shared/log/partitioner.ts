/**
 * Which partition a key belongs to: murmur2 over the key's UTF-8 bytes, as Kafka's Java clients
 * do it (`org.apache.kafka.common.utils.Utils.murmur2` and `toPositive`), so that every adapter
 * and every foreign producer agrees on where a session lives.
 */

/** `murmur2(key) & 0x7fffffff` modulo `partitions`. */
export function partitionOf(key: string, partitions: number): number {
  const ascii = writeAscii(key)
  const hash = ascii < 0 ? murmur2(encoder.encode(key)) : hashOf(scratch, ascii)
  return (hash & 0x7fff_ffff) % partitions
}

const encoder = new TextEncoder()
/** Session ids are shorter, and mostly ASCII: an encoder's array for each would cost more than its hash. */
const SCRATCH_BYTES = 128
const scratch = new DataView(new ArrayBuffer(SCRATCH_BYTES))
const ASCII_END = 0x80
const SEED = 0x9747_b28c
const MULTIPLIER = 0x5bd1_e995
const SHIFT_BITS = 24

/** 32-bit murmur2 as a signed integer. */
export function murmur2(bytes: Uint8Array): number {
  return hashOf(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), bytes.length)
}

/** Puts the text into `scratch`; returns its length, or −1 if it is not ASCII or does not fit. */
function writeAscii(text: string): number {
  if (text.length > SCRATCH_BYTES) return -1
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code >= ASCII_END) return -1
    scratch.setUint8(at, code)
  }
  return text.length
}

/** Of the first `length` bytes. */
function hashOf(view: DataView, length: number): number {
  const tailStart = length & ~3
  let hash = SEED ^ length
  for (let index = 0; index < tailStart; index += 4) {
    let word = Math.imul(view.getInt32(index, true), MULTIPLIER)
    word ^= word >>> SHIFT_BITS
    word = Math.imul(word, MULTIPLIER)
    hash = Math.imul(hash, MULTIPLIER) ^ word
  }
  const tailBytes = length - tailStart
  if (tailBytes === 3) hash ^= view.getUint8(tailStart + 2) << 16
  if (tailBytes >= 2) hash ^= view.getUint8(tailStart + 1) << 8
  if (tailBytes >= 1) {
    hash ^= view.getUint8(tailStart)
    hash = Math.imul(hash, MULTIPLIER)
  }
  hash ^= hash >>> 13
  hash = Math.imul(hash, MULTIPLIER)
  return (hash ^ (hash >>> 15)) | 0
}
