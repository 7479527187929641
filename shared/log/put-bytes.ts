/**
 * Short runs of bytes, and whole numbers as text, put where they belong: for so few bytes a call into
 * the engine costs more than the bytes, and a text made first is one more thing to collect.
 */

const DIGIT_ZERO = 0x30
const BASE = 10
/** A whole number is put as two parts, each of which the engine keeps as a small integer. */
const LOW_DIGITS = 7
const LOW_PART = BASE ** LOW_DIGITS

/** Returns where `bytes` end. */
export function putBytes(into: Uint8Array, at: number, bytes: Uint8Array): number {
  for (let index = 0; index < bytes.length; index++) into[at + index] = bytes[index] ?? 0
  return at + bytes.length
}

/** Decimal digits of a whole number from 0 to 2^53 − 1. */
export function digitsOf(value: number): number {
  let digits = 1
  for (let least = BASE; value >= least; least *= BASE) digits += 1
  return digits
}

/** Puts a whole number from 0 to 2^53 − 1 in decimal; returns where it ends. */
export function putWhole(into: Uint8Array, at: number, value: number): number {
  const high = Math.floor(value / LOW_PART)
  const low = value - high * LOW_PART
  if (high === 0) return putDigits(into, at, low, digitsOf(low))
  return putDigits(into, putDigits(into, at, high, digitsOf(high)), low, LOW_DIGITS)
}

function putDigits(into: Uint8Array, at: number, value: number, digits: number): number {
  let left = value
  for (let place = at + digits - 1; place >= at; place--) {
    const rest = (left / BASE) | 0
    into[place] = DIGIT_ZERO + left - rest * BASE
    left = rest
  }
  return at + digits
}
