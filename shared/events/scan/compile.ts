/**
 * Writes the scanning function of one kind of object as JavaScript and compiles it, once, at start.
 * The text holds nothing but what the plan says: names and choices compared byte by byte, numbers
 * added up where they stand, bounds as literals. Everything that is not hot is a call to the
 * functions of `field-values.ts`. Why code is generated, and measured against tables: decision 0014.
 *
 * For `{seq, at}` of small integers it reads (abridged):
 *
 *   for (;;) {
 *     member: {
 *       if (b[p] === 34) switch (b[p + 1]) {
 *         case 115: if (b[p + 2] === 101 && … b[p + 5] === 58) {
 *           if (seen & 1) return -1; seen |= 1; p += 6; …digits into v…
 *           if (v < 0 || v > 1000000) return -1; numbers[0] = v; break member }
 *       }
 *       p = unknownMember(b, p, out); if (p === -1) return -1
 *     }
 *     if (b[p] === 125) break …
 */
import {
  endOfField,
  endOfFlag,
  endOfNumber,
  endOfTexts,
  scannedBy,
  type Scanned,
  unknownMember,
} from './field-values.ts'
import {
  BRACE_CLOSE,
  BRACE_OPEN,
  COMMA,
  DIGIT_0,
  DIGITS_MAX,
  ODD,
  QUOTE,
  skipBlanks,
} from './json-bytes.ts'
import type { FieldPlan, ObjectPlan } from './plan.ts'

/**
 * Scans the object that opens at `start`, in one pass and without making an object. Returns its
 * end, or `ODD`. What it says is valid the schema says is valid; of what is odd it says nothing.
 */
export type Scan = (bytes: Uint8Array, start: number) => number

/** Digits of a whole number that needs no double; adding up doubles takes several times as long. */
const SMALL_DIGITS_MAX = 9
const encoder = new TextEncoder()

export function compileScan(plan: ObjectPlan, out: Scanned): Scan {
  const nested = plan.fields.map(({ kind, object }) =>
    kind === 'object' && object !== undefined ? compileScan(object, scannedBy(object)) : undefined,
  )
  return compile<Scan>(scanSource(plan), {
    out,
    numbers: out.numbers,
    fields: plan.fields,
    nested,
    skipBlanks,
    unknownMember,
    endOfField,
    endOfNumber,
    endOfFlag,
    endOfTexts,
  })
}

/** Whether code may be generated; Node has a flag that forbids it. */
export function canCompile(): boolean {
  try {
    return compile<() => boolean>('() => true', {})()
  } catch {
    return false
  }
}

/** Compiles `source`, a function expression, in which the names of `scope` are known. */
export function compile<Compiled>(
  source: string,
  scope: Readonly<Record<string, unknown>>,
): Compiled {
  // The source is made of the schema alone; nothing that anybody sends becomes part of it.
  // oxlint-disable-next-line no-new-func, typescript/no-implied-eval
  const make = new Function(...Object.keys(scope), `'use strict'; return ${source}`)
  return make(...Object.values(scope)) as Compiled
}

function scanSource(plan: ObjectPlan): string {
  return `function scan(b, start) {
    if (b[start] !== ${BRACE_OPEN}) return ${ODD}
    let p = start + 1, seen = 0
    out.unknownCount = 0
    ${BLANKS}
    if (b[p] !== ${BRACE_CLOSE}) for (;;) {
      member: {
        if (b[p] === ${QUOTE}) switch (b[p + 1]) { ${membersSource(plan.fields)} }
        p = unknownMember(b, p, out)
        if (p === ${ODD}) return ${ODD}
      }
      ${BLANKS}
      if (b[p] === ${BRACE_CLOSE}) break
      if (b[p] !== ${COMMA}) return ${ODD}
      p += 1
      ${BLANKS}
    }
    out.seen = seen
    return (seen & ${plan.required}) === ${plan.required} ? p + 1 : ${ODD}
  }`
}

/** Most senders write none; every byte of a token is larger than a blank. */
const BLANKS = 'if (b[p] <= 32) p = skipBlanks(b, p);'

function membersSource(fields: readonly FieldPlan[]): string {
  const byFirst = Map.groupBy(fields, ({ name }) => name.charCodeAt(0))
  return Array.from(byFirst, ([first, group]) => {
    const tests = group.map((field) => {
      const token = `"${field.name}":`
      return `if (${comparison(token, 2)}) {
        if (seen & ${field.bit}) return ${ODD}
        seen |= ${field.bit}
        p += ${token.length}
        ${BLANKS}
        ${valueSource(field)}
        break member
      }`
    })
    return `case ${first}: ${tests.join('\n')} break;`
  }).join('\n')
}

/** Whether the bytes at `p` are those of `text`, the first `known` of which are compared already. */
function comparison(text: string, known: number): string {
  return Array.from(encoder.encode(text).subarray(known), (byte, at) => {
    return `b[p + ${at + known}] === ${byte}`
  }).join(' && ')
}

function valueSource(field: FieldPlan): string {
  const { index, kind } = field
  switch (kind) {
    case 'integer':
      return integerSource(field)
    case 'number':
      return `p = endOfNumber(b, p, fields[${index}], out); ${UNLESS_ODD}`
    case 'text':
      return `p = endOfField(b, p, fields[${index}], out); ${UNLESS_ODD}`
    case 'choice':
      return choiceSource(field)
    case 'flag':
      return `p = endOfFlag(b, p, fields[${index}], out); ${UNLESS_ODD}`
    case 'object':
      return `p = nested[${index}](b, p); ${UNLESS_ODD}`
    case 'texts':
      return `p = endOfTexts(b, p, fields[${index}]); ${UNLESS_ODD}`
  }
}

const UNLESS_ODD = `if (p === ${ODD}) return ${ODD};`

function integerSource({ index, min, max }: FieldPlan): string {
  return `{
    const first = p
    let v = 0, digit = b[p] - ${DIGIT_0}
    if (digit === 0) p += 1
    else {
      while (digit >= 0 && digit <= 9 && p < first + ${SMALL_DIGITS_MAX}) {
        v = v * 10 + digit; p += 1; digit = b[p] - ${DIGIT_0}
      }
      if (p === first) return ${ODD}
      if (digit >= 0 && digit <= 9) {
        let low = 0, scale = 1
        while (digit >= 0 && digit <= 9) {
          low = low * 10 + digit; scale *= 10; p += 1
          if (p > first + ${DIGITS_MAX}) return ${ODD}
          digit = b[p] - ${DIGIT_0}
        }
        v = v * scale + low
      }
    }
    if (v < ${min} || v > ${max}) return ${ODD}
    numbers[${index}] = v
  }`
}

function choiceSource({ index, choices }: FieldPlan): string {
  const tests = choices.map((choice, at) => {
    const token = `"${choice}"`
    return `if (${comparison(token, 1)}) { numbers[${index}] = ${at}; p += ${token.length}; break member }`
  })
  return `if (b[p] !== ${QUOTE}) return ${ODD}; ${tests.join('\n')} return ${ODD};`
}
