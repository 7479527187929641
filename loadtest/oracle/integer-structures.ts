/** The histogram bucket and the HyperLogLog register, spelled as the definition words them. */

const VALUE_MAX = 2 ** 27 - 1

/** Bucket of a value: itself below 128, then 64 buckets to each power of two. */
export function histogramBucket(value: number): number {
  const clamped = Math.min(Math.max(value, 0), VALUE_MAX)
  if (clamped < 128) return clamped
  const highestBit = clamped.toString(2).length - 1
  return 64 * (highestBit - 6) + (clamped >> (highestBit - 6))
}

/** Register = hex digits 1–3; rank = 1 + leading zero bits of digits 4–16 (52 bits). */
export function viewerRegister(pseudonym: string): { register: number; rank: number } {
  const register = Number.parseInt(pseudonym.slice(0, 3), 16)
  const tail = BigInt(`0x${pseudonym.slice(3, 16)}`)
  return { register, rank: tail === 0n ? 53 : 53 - tail.toString(2).length }
}
