/**
 * Values that a generated scan leaves to functions: texts, fractions, flags, and members that
 * nobody knows. What they find is put down by field; each returns the value's end, or `ODD`.
 */
import {
  BRACE_CLOSE,
  BRACE_OPEN,
  charactersOfText,
  COLON,
  COMMA,
  endOfDigits,
  endOfText,
  isDigit,
  ODD,
  QUOTE,
  skipBlanks,
  standsAt,
} from './json-bytes.ts'
import type { FieldPlan, ObjectPlan } from './plan.ts'

/** What the last scan found; the members of an object that was odd mean nothing. */
export interface Scanned {
  /** Bits of the fields that were there. */
  seen: number
  /** By field: its number, 1 or 0 for a flag, the index of its choice. */
  readonly numbers: Float64Array
  /** By field: where its text stands. */
  readonly textStarts: Int32Array
  readonly textEnds: Int32Array
  /** Names that the plan does not have. */
  unknownCount: number
  readonly unknownStarts: Int32Array
  readonly unknownEnds: Int32Array
}

/** Names unknown to the plan that are told apart; more are odd. */
const UNKNOWN_MAX = 8
const POINT = 0x2e

const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
const TRUE = encoder.encode('true')
const FALSE = encoder.encode('false')
const NULL = encoder.encode('null')
const PROTO = '__proto__'

export function scannedBy(plan: ObjectPlan): Scanned {
  const { length } = plan.fields
  return {
    seen: 0,
    numbers: new Float64Array(length),
    textStarts: new Int32Array(length),
    textEnds: new Int32Array(length),
    unknownCount: 0,
    unknownStarts: new Int32Array(UNKNOWN_MAX),
    unknownEnds: new Int32Array(UNKNOWN_MAX),
  }
}

/** A member that the plan does not name: a plain value, under a name that came only once. */
export function unknownMember(bytes: Uint8Array, quote: number, out: Scanned): number {
  const end = bytes[quote] === QUOTE ? endOfText(bytes, quote + 1) : ODD
  const count = out.unknownCount
  if (end === ODD || bytes[end + 1] !== COLON || count === UNKNOWN_MAX) return ODD
  const name = bytes.subarray(quote, end + 1)
  for (let index = 0; index < count; index += 1) {
    const start = out.unknownStarts[index] ?? 0
    const isAsLong = (out.unknownEnds[index] ?? 0) - start === name.length
    if (isAsLong && standsAt(bytes, start, name)) return ODD
  }
  out.unknownStarts[count] = quote
  out.unknownEnds[count] = end + 1
  out.unknownCount = count + 1
  return endOfPlainValue(bytes, skipBlanks(bytes, end + 2))
}

function endOfPlainValue(bytes: Uint8Array, start: number): number {
  if (bytes[start] === QUOTE) {
    const end = endOfText(bytes, start + 1)
    return end === ODD ? ODD : end + 1
  }
  for (const word of [TRUE, FALSE, NULL])
    if (standsAt(bytes, start, word)) return start + word.length
  return endOfPlainNumber(bytes, start)
}

/** End of digits with or without a fraction; what follows them is for the caller to judge. */
function endOfPlainNumber(bytes: Uint8Array, start: number): number {
  const end = endOfDigits(bytes, start)
  if (end === ODD || bytes[end] !== POINT) return end
  let at = end + 1
  while (isDigit(bytes[at])) at += 1
  return at > end + 1 ? at : ODD
}

export function endOfNumber(
  bytes: Uint8Array,
  start: number,
  field: FieldPlan,
  out: Scanned,
): number {
  const end = endOfPlainNumber(bytes, start)
  if (end === ODD) return ODD
  const value = Number(decoder.decode(bytes.subarray(start, end)))
  if (value < field.min || value > field.max) return ODD
  out.numbers[field.index] = value
  return end
}

export function endOfField(
  bytes: Uint8Array,
  start: number,
  field: FieldPlan,
  out: Scanned,
): number {
  const end = bytes[start] === QUOTE ? endOfText(bytes, start + 1) : ODD
  if (end === ODD || !fits(bytes, start + 1, end, field)) return ODD
  out.textStarts[field.index] = start + 1
  out.textEnds[field.index] = end
  return end + 1
}

/** Whether the text has a length, and a pattern, that its field allows. */
export function fits(bytes: Uint8Array, start: number, end: number, field: FieldPlan): boolean {
  const characters = charactersOfText(bytes, start, end)
  if (characters < field.min || characters > field.max) return false
  return field.pattern === undefined || field.pattern.test(textOf(bytes, start, end))
}

export function endOfFlag(
  bytes: Uint8Array,
  start: number,
  field: FieldPlan,
  out: Scanned,
): number {
  const isTrue = standsAt(bytes, start, TRUE)
  if (!isTrue && !standsAt(bytes, start, FALSE)) return ODD
  out.numbers[field.index] = isTrue ? 1 : 0
  return start + (isTrue ? TRUE.length : FALSE.length)
}

/** An object of texts under names of the sender's own. */
export function endOfTexts(bytes: Uint8Array, start: number, field: FieldPlan): number {
  const [key, value] = field.object?.fields ?? []
  if (key === undefined || value === undefined || bytes[start] !== BRACE_OPEN) return ODD
  let at = skipBlanks(bytes, start + 1)
  if (bytes[at] === BRACE_CLOSE) return at + 1
  for (let count = 0; count < field.max; count += 1) {
    const keyEnd = bytes[at] === QUOTE ? endOfText(bytes, at + 1) : ODD
    if (keyEnd === ODD || !fits(bytes, at + 1, keyEnd, key)) return ODD
    // A schema leaves this one name out, and with it its value.
    if (bytes[keyEnd + 1] !== COLON || textOf(bytes, at + 1, keyEnd) === PROTO) return ODD
    at = skipBlanks(bytes, keyEnd + 2)
    const end = bytes[at] === QUOTE ? endOfText(bytes, at + 1) : ODD
    if (end === ODD || !fits(bytes, at + 1, end, value)) return ODD
    at = skipBlanks(bytes, end + 1)
    if (bytes[at] === BRACE_CLOSE) return at + 1
    if (bytes[at] !== COMMA) return ODD
    at = skipBlanks(bytes, at + 1)
  }
  return ODD
}

export function textOf(bytes: Uint8Array, start: number, end: number): string {
  return decoder.decode(bytes.subarray(start, end))
}
