/**
 * Which partition a key belongs to: murmur2 over the key's UTF-8 bytes, as Kafka's Java clients
 * do it (`org.apache.kafka.common.utils.Utils.murmur2` and `toPositive`), so that every adapter
 * and every foreign producer agrees on where a session lives.
 */

/** `murmur2(key) & 0x7fffffff` modulo `partitions`. */
export function partitionOf(key: string, partitions: number): number {
  return (murmur2(encoder.encode(key)) & 0x7fff_ffff) % partitions
}

const encoder = new TextEncoder()
const SEED = 0x9747_b28c
const MULTIPLIER = 0x5bd1_e995
const SHIFT_BITS = 24

/** 32-bit murmur2 as a signed integer. */
export function murmur2(bytes: Uint8Array): number {
  const tailStart = bytes.length & ~3
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let hash = SEED ^ bytes.length
  for (let index = 0; index < tailStart; index += 4) {
    let word = Math.imul(view.getInt32(index, true), MULTIPLIER)
    word ^= word >>> SHIFT_BITS
    word = Math.imul(word, MULTIPLIER)
    hash = Math.imul(hash, MULTIPLIER) ^ word
  }
  const tailBytes = bytes.length - tailStart
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
