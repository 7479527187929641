/**
 * The plain part of JSON, read from bytes: text without escapes, digits, brackets that match.
 * Every function returns where the value ends, or `ODD` for whatever is wrong, unusual or cut off:
 * that is for `JSON.parse` to judge. Nothing here reads past the end of the bytes.
 */

/** Neither valid nor invalid: to be judged the slow way. */
export const ODD = -1

export const QUOTE = 0x22
export const COMMA = 0x2c
export const COLON = 0x3a
export const BRACKET_OPEN = 0x5b
export const BRACKET_CLOSE = 0x5d
export const BRACE_OPEN = 0x7b
export const BRACE_CLOSE = 0x7d
const TAB = 0x09
const LF = 0x0a
const CR = 0x0d
const SPACE = 0x20
const BACKSLASH = 0x5c
export const DIGIT_0 = 0x30
/** Digits that a whole number may have without being rounded, whatever they are. */
export const DIGITS_MAX = 15

/** Index of the first byte from `index` on that is not blank. */
export function skipBlanks(bytes: Uint8Array, index: number): number {
  let at = index
  while (at < bytes.length && isBlank(bytes[at])) at += 1
  return at
}

function isBlank(byte: number | undefined): boolean {
  return byte === SPACE || byte === LF || byte === CR || byte === TAB
}

/** Whether `token` stands at `index`. */
export function standsAt(bytes: Uint8Array, index: number, token: Uint8Array): boolean {
  const { length } = token
  if (index + length > bytes.length) return false
  for (let at = 0; at < length; at += 1) if (bytes[index + at] !== token[at]) return false
  return true
}

/** Index of the quote that closes the text whose first byte is at `start`. */
export function endOfText(bytes: Uint8Array, start: number): number {
  let at = start
  while (at < bytes.length) {
    const byte = bytes[at] ?? 0
    if (byte === QUOTE) return at
    if (byte < SPACE || byte === BACKSLASH) return ODD
    if (byte < 0x80) at += 1
    else {
      at = endOfCharacter(bytes, at)
      if (at === ODD) return ODD
    }
  }
  return ODD
}

/** End of a character of two to four bytes in well-formed UTF-8 (the Unicode Standard, table 3-7). */
function endOfCharacter(bytes: Uint8Array, start: number): number {
  const lead = bytes[start] ?? 0
  const second = bytes[start + 1] ?? 0
  if (lead >= 0xc2 && lead <= 0xdf) return isContinuation(second) ? start + 2 : ODD
  const least = lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80
  const most = lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf
  if (lead < 0xe0 || lead > 0xf4 || second < least || second > most) return ODD
  if (!isContinuation(bytes[start + 2])) return ODD
  if (lead < 0xf0) return start + 3
  return isContinuation(bytes[start + 3]) ? start + 4 : ODD
}

function isContinuation(byte: number | undefined): boolean {
  return byte !== undefined && (byte & 0xc0) === 0x80
}

/** Length in characters (code points, as the schema counts them) of valid UTF-8. */
export function charactersOfText(bytes: Uint8Array, start: number, end: number): number {
  let characters = 0
  for (let at = start; at < end; at += 1) if (!isContinuation(bytes[at])) characters += 1
  return characters
}

/** End of the digits from `start` on; a leading zero stands alone. */
export function endOfDigits(bytes: Uint8Array, start: number): number {
  let at = start
  while (at < bytes.length && isDigit(bytes[at])) at += 1
  if (at === start || (bytes[start] === DIGIT_0 && at > start + 1)) return ODD
  return at
}

export function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= DIGIT_0 && byte <= DIGIT_0 + 9
}

/** The whole number in plain digits at `start`, up to `max`; `ODD` for any other value. */
export function wholeNumber(bytes: Uint8Array, start: number, max: number): number {
  const end = endOfDigits(bytes, start)
  if (end === ODD || end - start > DIGITS_MAX) return ODD
  let value = 0
  for (let at = start; at < end; at += 1) value = value * 10 + ((bytes[at] ?? 0) - DIGIT_0)
  return value <= max ? value : ODD
}

/**
 * End of the value at `start`, whatever it is, by its brackets and quotes alone. Where the bytes up
 * to there are JSON, they are the value.
 */
export function endOfValue(bytes: Uint8Array, start: number, depthMax: number): number {
  let depth = 0
  let at = start
  while (at < bytes.length) {
    const byte = bytes[at]
    if (byte === QUOTE) {
      at = endOfAnyText(bytes, at + 1)
      if (at === ODD) return ODD
      if (depth === 0) return at + 1
    } else if (byte === BRACE_OPEN || byte === BRACKET_OPEN) {
      depth += 1
      if (depth > depthMax) return ODD
    } else if (byte === BRACE_CLOSE || byte === BRACKET_CLOSE) {
      // Without an opening bracket, it closes what the value stands in.
      if (depth === 0) return at
      depth -= 1
      if (depth === 0) return at + 1
    } else if (depth === 0 && (byte === COMMA || isBlank(byte))) return at
    at += 1
  }
  return ODD
}

/** Index of the closing quote of a text that may hold escapes. */
function endOfAnyText(bytes: Uint8Array, start: number): number {
  for (let at = start; at < bytes.length; at += 1) {
    const byte = bytes[at]
    if (byte === QUOTE) return at
    if (byte === BACKSLASH) at += 1
  }
  return ODD
}
