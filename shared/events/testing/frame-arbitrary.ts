/**
 * Frames as text, most of them valid, many at the edge of a bound, and written in every way that
 * JSON allows or just not: what a scanner and a parser must agree on.
 */
import fc from 'fast-check'
import { z } from 'zod'
import { enrichedContextSchema, eventVariants, sessionContextSchema } from '../schema.ts'

/** The parts of JSON Schema that the event schema comes out as. */
interface JsonSchema {
  readonly type?: string
  readonly const?: unknown
  readonly enum?: readonly string[]
  readonly pattern?: string
  readonly minimum?: number
  readonly maximum?: number
  readonly minLength?: number
  readonly maxLength?: number
  readonly maxProperties?: number
  readonly properties?: Readonly<Record<string, JsonSchema>>
  readonly required?: readonly string[]
  readonly additionalProperties?: JsonSchema | false
}

const one = <Value>(...values: readonly Value[]) => fc.constantFrom(...values)

/** Anything that is not what a field wants. */
const otherValue = one(
  ...'null true "" "x" -1 -0 0 1.5 1e3 1E400 -1.0e-2 {} [] {"a":[1]} [[[]]]'.split(' '),
  ...'"\\ud800" "\\u0041" 01 1. .5 +1 0x1 tru 9007199254740993 1.0 NaN 1e --1'.split(' '),
  ...'123456789012345678 123456789012345 1234567890123456'.split(' '),
  '',
  '"\u0001"',
  '"a\nb"',
)
const characters = one('a', 'Z', '5', ' ', 'é', 'ß', '日', '\uFEFF', '\u2028', '🎬', '\u007f')
const escapes = one('\\n', '\\"', '\\\\', '\\u00e9', '\\ud83c\\udfac', '\\ud83c', '\\/', '\\x')

function textOf(schema: JsonSchema): fc.Arbitrary<string> {
  const { minLength = 0, maxLength = 40 } = schema
  const inside = one(minLength, minLength + 1, maxLength - 1, maxLength)
  const lengths = fc.oneof({ weight: 9, arbitrary: inside }, one(minLength - 1, maxLength + 1))
  const ofLength = fc
    .tuple(lengths, fc.oneof({ weight: 3, arbitrary: fc.constant('a') }, characters))
    .map(([length, character]) => {
      return character.repeat(Math.max(0, length))
    })
  const mixed = fc
    .array(fc.oneof({ weight: 9, arbitrary: characters }, escapes), { maxLength: 8 })
    .map((parts) => parts.join(''))
  return fc.oneof({ weight: 3, arbitrary: ofLength }, mixed).map((text) => `"${text}"`)
}

function patternOf(pattern: string): fc.Arbitrary<string> {
  const expression = new RegExp(pattern)
  return fc
    .oneof(
      { weight: 3, arbitrary: fc.stringMatching(expression) },
      one('de', 'DEU', 'D', 'D1', 'é'),
    )
    .map((text) => JSON.stringify(text))
}

function numberOf({ type, minimum = 0, maximum = 1_000 }: JsonSchema): fc.Arbitrary<string> {
  const inside = fc.oneof(
    one(minimum, maximum, Math.min(maximum, minimum + 1), maximum - 1),
    fc.integer({ min: Math.ceil(minimum), max: Math.min(maximum, 2 ** 31) }),
  )
  const outside = one(minimum - 1, maximum + 1)
  const spellings = one<(value: number) => string>(
    (value) => `${value}.0`,
    (value) => `${value}e0`,
    (value) => `0${value}`,
  )
  const fractions = one('0.001', '0.0009', '16.001', '999.999', '1.05', '0.1', '29.97', '1000.01')
  return fc.oneof(
    { weight: 20, arbitrary: inside.map(String) },
    { weight: 2, arbitrary: outside.map(String) },
    fc.tuple(inside, spellings).map(([value, spell]) => spell(value)),
    { weight: type === 'integer' ? 1 : 10, arbitrary: fractions },
  )
}

/** A value for the field: mostly of its kind, at or about its bounds. */
function valueOf(schema: JsonSchema): fc.Arbitrary<string> {
  return fc.oneof({ weight: 24, arbitrary: likelyValueOf(schema) }, otherValue)
}

function likelyValueOf(schema: JsonSchema): fc.Arbitrary<string> {
  if (schema.const !== undefined) return fc.constant(JSON.stringify(schema.const))
  if (schema.enum !== undefined) return one(...schema.enum.map((each) => `"${each}"`), '"no such"')
  if (schema.pattern !== undefined) return patternOf(schema.pattern)
  if (schema.type === 'string') return textOf(schema)
  if (schema.type === 'boolean') return one('true', 'false')
  if (schema.properties !== undefined) return objectOf(schema)
  if (schema.additionalProperties) return textsOf(schema.additionalProperties)
  return numberOf(schema)
}

function textsOf(value: JsonSchema): fc.Arbitrary<string> {
  const name = fc.oneof(
    { weight: 5, arbitrary: textOf({ minLength: 1, maxLength: 32 }) },
    one('"__proto__"', '"7"', '"constructor"'),
  )
  const likely = fc.tuple(
    fc.stringMatching(/^[a-z0-9]{1,4}$/).map((key) => `"${key}"`),
    fc.constant('"v"'),
  )
  const members = fc.array(
    fc.oneof({ weight: 6, arbitrary: likely }, fc.tuple(name, valueOf(value))),
    { maxLength: 10 },
  )
  return fc.tuple(members, blanks).map(([list, blank]) => objectText(list, blank))
}

const blanks = fc.oneof(
  { weight: 6, arbitrary: fc.constant('') },
  { weight: 2, arbitrary: fc.constant(' ') },
  one('\n', '\r\n', '\t', '  \n'),
)

function objectText(members: readonly (readonly [string, string])[], blank: string): string {
  return `{${blank}${members.map(([name, value]) => `${name}:${blank}${value}`).join(`${blank},${blank}`)}${blank}}`
}

/** An object of the schema's fields in some order, now and then without one, with one twice or an unknown one. */
function objectOf({ properties = {}, required = [] }: JsonSchema): fc.Arbitrary<string> {
  const members = Object.entries(properties).map(([name, schema]) => {
    const member = fc.tuple(fc.constant(`"${name}"`), valueOf(schema))
    const missingOneIn = required.includes(name) ? 24 : 2
    return fc.option(member, { freq: missingOneIn, nil: undefined })
  })
  const surplus = fc.array(
    fc.tuple(
      fc
        .oneof(
          one(
            ...Object.keys(properties),
            'x',
            'y',
            'toString',
            '__proto__',
            's\\u0065q',
            'é',
            'cdn',
            'seq',
          ),
          fc.string({ maxLength: 3 }),
        )
        .map((name) => `"${name}"`),
      fc.oneof(otherValue, one('1', '"s"', 'false', 'null', '2.5')),
    ),
    { maxLength: 3 },
  )
  const extra = fc.oneof({ weight: 5, arbitrary: fc.constant([]) }, surplus)
  return fc
    .tuple(fc.tuple(...members), extra, blanks, fc.boolean(), fc.nat())
    .map(([own, more, blank, isShuffled, turn]) => {
      const list = [...own.filter((member) => member !== undefined), ...more]
      const at = isShuffled && list.length > 0 ? turn % list.length : 0
      return objectText([...list.slice(at), ...list.slice(0, at)], blank)
    })
}

const jsonSchema = (schema: z.core.$ZodType) => z.toJSONSchema(schema) as JsonSchema

export const eventText = fc.oneof(...eventVariants.map((variant) => objectOf(jsonSchema(variant))))
const contextText = objectOf(jsonSchema(sessionContextSchema))
const enrichedContextText = objectOf(jsonSchema(enrichedContextSchema))

const eventsText = fc
  .tuple(
    fc.array(fc.oneof({ weight: 9, arbitrary: eventText }, otherValue), { maxLength: 6 }),
    blanks,
  )
  .map(([events, blank]) => `[${blank}${events.join(`${blank},${blank}`)}${blank}]`)

const epochText = numberOf({ type: 'integer', minimum: 0, maximum: 253_402_300_799_999 })
const plainContext = fc.constant('{"sessionId":"s-1","cdn":"a"}')

/** A whole frame; `session` is plain half of the time, so that events are reached. */
export const frameText = fc
  .record({
    members: fc.tuple(
      fc.tuple(fc.constant('v'), fc.oneof({ weight: 20, arbitrary: fc.constant('1') }, otherValue)),
      fc.tuple(
        fc.constant('frame'),
        fc.oneof({ weight: 6, arbitrary: fc.constant('17') }, otherValue),
      ),
      fc.tuple(fc.constant('sentAt'), epochText),
      fc.tuple(fc.constant('session'), fc.oneof(plainContext, contextText)),
      fc.tuple(fc.constant('events'), eventsText),
    ),
    extra: fc.oneof(
      { weight: 12, arbitrary: fc.constant([]) },
      fc.array(fc.tuple(one('v', 'session', 'events', 'x', 'frame', 'sentAt'), otherValue), {
        maxLength: 2,
      }),
    ),
    drop: fc.oneof({ weight: 12, arbitrary: fc.constant(-1) }, fc.nat(4)),
    turn: fc.oneof({ weight: 2, arbitrary: fc.constant(0) }, fc.nat(4)),
    blank: blanks,
    around: fc.oneof({ weight: 12, arbitrary: fc.constant('') }, one(' ', '\n', 'x', '{}')),
  })
  .map(({ members, extra, drop, turn, blank, around }) => {
    const kept = [...members.filter((_, index) => index !== drop), ...extra]
    const turned = [...kept.slice(turn), ...kept.slice(0, turn)]
    return (
      around +
      objectText(
        turned.map(([name, value]) => [`"${name}"`, value]),
        blank,
      ) +
      around
    )
  })

/** The value of a record, mostly as the gateway writes it. */
export const recordText = fc
  .record({
    session: fc.oneof(plainContext, enrichedContextText),
    sentAt: epochText,
    receivedAt: epochText,
    rejectedSeqs: fc.oneof(
      one(
        '',
        '',
        '',
        ',"rejectedSeqs":[]',
        ',"rejectedSeqs":[1, 2]',
        ',"rejectedSeqs":[1000001]',
        ',"rejectedSeqs":[1.5]',
      ),
      fc.constant(',"rejectedSeqs":[0,1000000]'),
    ),
    events: fc.array(fc.oneof({ weight: 9, arbitrary: eventText }, otherValue), { maxLength: 6 }),
    separator: fc.oneof({ weight: 9, arbitrary: fc.constant(',') }, one(' ,', ', ', ',,')),
    tail: fc.oneof({ weight: 12, arbitrary: fc.constant('') }, one(' ', 'x', ',"events":[]')),
  })
  .map(
    ({ session, sentAt, receivedAt, rejectedSeqs, events, separator, tail }) =>
      `{"session":${session},"sentAt":${sentAt},"receivedAt":${receivedAt}${rejectedSeqs},"events":[${events.join(separator)}]${tail}}`,
  )

/** Bytes of a text with some of them changed, put in or left out. */
export function mutated(texts: fc.Arbitrary<string>): fc.Arbitrary<Uint8Array> {
  const edit = fc.record({
    at: fc.double({ min: 0, max: 1, noNaN: true }),
    bytes: fc.oneof(
      fc.uint8Array({ maxLength: 3 }),
      one(...Array.from('{}[]",:\\0-. é'), 'null', '1e9', '\\u', '"":', '🎬').map((text) =>
        new TextEncoder().encode(text),
      ),
    ),
    cut: fc.nat(4),
  })
  return fc.tuple(texts, fc.array(edit, { maxLength: 3 })).map(([text, edits]) => {
    let bytes = new TextEncoder().encode(text)
    for (const { at, bytes: inserted, cut } of edits) {
      const index = Math.floor(at * bytes.length)
      bytes = Uint8Array.from([
        ...bytes.subarray(0, index),
        ...inserted,
        ...bytes.subarray(index + cut),
      ])
    }
    return bytes
  })
}
