import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { findFrameSpans, type Span } from './frame-spans.ts'
import { DEFAULT_FRAME_LIMITS } from './limits.ts'

const utf8 = (text: string) => new TextEncoder().encode(text)

function spansOf(text: string, limits = DEFAULT_FRAME_LIMITS) {
  const bytes = utf8(text)
  const cut = ({ start, end }: Span) => new TextDecoder().decode(bytes.subarray(start, end))
  const { session, events, tooDeep } = findFrameSpans(bytes, limits)
  return { session: session && cut(session), events: events.map(cut), tooDeep, spans: events }
}

/** Anything JSON, nested little enough to stay within the limit. */
const json = fc.json({ maxDepth: 3 })
const blanks = fc.stringMatching(/^[ \t\r\n]{0,3}$/)

/** `name` spelled plainly or with some of its letters escaped. */
const spelled = (name: string) =>
  fc.array(fc.boolean(), { minLength: name.length, maxLength: name.length }).map((escapes) => {
    const letters = Array.from(name, (letter, index) =>
      escapes[index] === true ? `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}` : letter,
    )
    return `"${letters.join('')}"`
  })

interface Member {
  readonly text: string
  readonly session?: string
  readonly events?: readonly string[]
}

const session: fc.Arbitrary<Member> = fc
  .tuple(spelled('session'), json, blanks, blanks)
  .map(([name, value, before, after]) => ({
    text: `${name}${before}:${after}${value}${before}`,
    session: value,
  }))
const events: fc.Arbitrary<Member> = fc
  .tuple(spelled('events'), fc.array(json, { maxLength: 6 }), blanks, blanks)
  .map(([name, values, before, after]) => ({
    text: `${name}:${before}[${after}${values.join(`${before},${after}`)}${before}]${after}`,
    events: values,
  }))
const other: fc.Arbitrary<Member> = fc
  .tuple(fc.json({ maxDepth: 0 }), json, blanks)
  .filter(([name]) => name.startsWith('"') && !['"session"', '"events"'].includes(name))
  .map(([name, value, blank]) => ({ text: `${blank}${name}${blank}:${blank}${value}` }))

describe('findFrameSpans', () => {
  it('finds the slices of the members that JSON.parse picks, however they are written', () => {
    const frames = fc.tuple(
      fc.array(fc.oneof(session, events, other), { minLength: 1, maxLength: 8 }),
      blanks,
    )
    fc.assert(
      fc.property(frames, ([members, blank]) => {
        const text = `${blank}{${blank}${members.map((member) => member.text).join(`,${blank}`)}}`
        const parsed = JSON.parse(text) as Record<string, unknown>
        const found = spansOf(text)
        const lastSession = members.findLast((member) => member.session !== undefined)?.session
        const lastEvents = members.findLast((member) => member.events !== undefined)?.events
        expect(found.session).toBe(lastSession)
        expect(found.events).toEqual(lastEvents ?? [])
        expect(JSON.parse(found.session ?? 'null')).toEqual(parsed['session'] ?? null)
        expect(found.events.map((event) => JSON.parse(event) as unknown)).toEqual(
          parsed['events'] ?? [],
        )
      }),
      { numRuns: 400 },
    )
  })

  it('ends on any bytes without throwing', () => {
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc
        .array(fc.constantFrom(...Array.from('{}[]",:\\u0d8"events"session')), { maxLength: 200 })
        .map((parts) => utf8(parts.join(''))),
    )
    fc.assert(
      fc.property(bytes, (value) => {
        const { events: found } = findFrameSpans(value, DEFAULT_FRAME_LIMITS)
        expect(found.length).toBeLessThanOrEqual(DEFAULT_FRAME_LIMITS.eventsMax)
      }),
      { numRuns: 400 },
    )
  })

  it('counts the names of an event, repeated ones each time', () => {
    const { spans } = spansOf('{"events":[{"a":1,"a":{"b":2,"c":3},"d:":":"},{},7]}')
    expect(spans.map((span) => span.members)).toEqual([3, 0, 0])
  })

  it.each([
    [String.raw`"\ud83c"`, true],
    [String.raw`"\ud83cx"`, true],
    [String.raw`"\ud83c\n"`, true],
    [String.raw`"\udfac"`, true],
    [String.raw`"\ud83c\ud83c\udfac"`, true],
    [String.raw`"\uD83C\uDFAC"`, false],
    [String.raw`"\\ud83c"`, false],
    [String.raw`"\\\ud83c"`, true],
    ['"🎬"', false],
  ])('sees whether %s escapes half a surrogate pair', (text, lone) => {
    const { spans } = spansOf(`{"events":[{"a":1},{"a":${text}},{"a":1}]}`)
    expect(spans.map((span) => span.loneSurrogate)).toEqual([false, lone, false])
  })

  it('keeps to the limits: depth exactly, events at most', () => {
    const limits = { depthMax: 4, eventsMax: 2 }
    expect(spansOf('{"events":[{"a":[1]}]}', limits).tooDeep).toBe(false)
    expect(spansOf('{"events":[{"a":[[]]}]}', limits).tooDeep).toBe(true)
    expect(spansOf('{"events":[1,2,3,4]}', limits).events).toEqual(['1', '2'])
    expect(spansOf('{"a":"[[[[[[[["}', limits).tooDeep).toBe(false)
  })

  it('gives deep nesting up at the limit, not at its end', () => {
    const bytes = new Uint8Array(262_144).fill('['.charCodeAt(0))
    let reads = 0
    const counting = new Proxy(bytes, {
      get(target, key) {
        if (typeof key === 'string' && /^\d+$/.test(key)) reads += 1
        return Reflect.get(target, key, target) as unknown
      },
    })
    expect(findFrameSpans(counting, DEFAULT_FRAME_LIMITS).tooDeep).toBe(true)
    expect(reads).toBeLessThan(50)
  })
})
