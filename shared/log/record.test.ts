import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decodeFrame } from '../events/frame.ts'
import { DEFAULT_FRAME_LIMITS } from '../events/limits.ts'
import type { LogRecord } from './event-log.ts'
import {
  decodeRecord,
  encodeFrameRecord,
  encodeTick,
  parseRecord,
  type FrameToEncode,
} from './record.ts'

const utf8 = (text: string) => new TextEncoder().encode(text)
const textOf = (bytes: Uint8Array) => new TextDecoder().decode(bytes)

const frameOf = (changes: Partial<FrameToEncode> = {}): FrameToEncode => ({
  contextJson: utf8('{"sessionId":"s-1"}'),
  sentAtMs: 1_000,
  receivedAtMs: 2_000,
  rejectedSeqs: [],
  events: [utf8('{"seq":0,"type":"seekEnd","at":5}')],
  ...changes,
})

const recordOf = (value: Uint8Array | string, changes: Partial<LogRecord> = {}): LogRecord => ({
  partition: 3,
  offset: 41,
  loggedAtMs: 3_000,
  key: 's-1',
  value: typeof value === 'string' ? utf8(value) : value,
  headers: { schema: 'playback.v1', gateway: 'g-1' },
  ...changes,
})

function poisonOf(value: Uint8Array | string, changes: Partial<LogRecord> = {}): string {
  const decoded = decodeRecord(recordOf(value, changes))
  expect(decoded).toMatchObject({ kind: 'poison', offset: 41, loggedAtMs: 3_000 })
  return decoded.kind === 'poison' ? decoded.reason : ''
}

describe('encodeFrameRecord', () => {
  it('writes one line with the events as they came', () => {
    const events = [utf8('{ "seq":0, "x":"é" }'), utf8('{"seq":2}')]
    expect(textOf(encodeFrameRecord(frameOf({ rejectedSeqs: [1, 3], events })))).toBe(
      '{"session":{"sessionId":"s-1"},"sentAt":1000,"receivedAt":2000,"rejectedSeqs":[1,3],' +
        '"events":[{ "seq":0, "x":"é" },{"seq":2}]}',
    )
  })

  it('leaves rejectedSeqs out when there are none, and may hold no event', () => {
    expect(textOf(encodeFrameRecord(frameOf({ events: [] })))).toBe(
      '{"session":{"sessionId":"s-1"},"sentAt":1000,"receivedAt":2000,"events":[]}',
    )
  })

  it('stays one line when a client breaks lines between tokens', () => {
    const event = '{\r\n"seq":0,\n\n"type":"custom","at":5,"name":"a\\nb"\r}'
    const value = encodeFrameRecord(frameOf({ events: [utf8(event)] }))
    expect(textOf(value)).not.toMatch(/[\r\n]/)
    expect(textOf(value)).toContain('{  "seq":0,  "type":"custom","at":5,"name":"a\\nb" }')
    expect(decodeRecord(recordOf(value))).toMatchObject({ events: [{ name: 'a\nb' }] })
  })

  it('leaves the bytes it was given alone', () => {
    const event = utf8('{\n"seq":0}')
    encodeFrameRecord(frameOf({ events: [event] }))
    expect(textOf(event)).toBe('{\n"seq":0}')
  })
})

describe('a record', () => {
  it('round-trips: what a frame’s events were, the log holds byte for byte', () => {
    const unknown = fc.dictionary(fc.stringMatching(/^x[a-z]{0,5}$/), fc.jsonValue({ maxDepth: 3 }))
    const events = fc.array(
      fc.record({
        seq: fc.nat(1_000_000),
        at: fc.nat(),
        name: fc.string({ minLength: 1, maxLength: 20 }),
        unknown,
      }),
      { minLength: 1, maxLength: 5 },
    )
    fc.assert(
      fc.property(events, fc.array(fc.nat(1_000_000), { maxLength: 3 }), (list, rejectedSeqs) => {
        const texts = list.map(({ seq, at, name, unknown: extra }) =>
          JSON.stringify({ ...extra, type: 'custom', seq, at, name }),
        )
        const sent = utf8(
          `{"v":1,"sentAt":7,"session":{"sessionId":"s"},"events":[${texts.join(' , ')}]}`,
        )
        const result = decodeFrame(sent, { numbered: false, limits: DEFAULT_FRAME_LIMITS })
        if (!result.ok) throw new Error(result.detail)
        const { frame } = result
        expect(frame.rejected).toEqual([])
        const value = encodeFrameRecord(
          frameOf({ rejectedSeqs, events: frame.accepted.map((event) => event.bytes) }),
        )
        expect(textOf(value).endsWith(`"events":[${texts.join(',')}]}`)).toBe(true)
        const decoded = decodeRecord(recordOf(value))
        expect(decoded).toEqual({
          kind: 'frame',
          offset: 41,
          loggedAtMs: 3_000,
          valueBytes: value.length,
          context: { sessionId: 's-1' },
          sentAtMs: 1_000,
          receivedAtMs: 2_000,
          receivedAtClamped: false,
          rejectedSeqs,
          events: list.map(({ seq, at, name }) => ({ seq, type: 'custom', at, name })),
        })
      }),
      { numRuns: 150 },
    )
  })

  it('received later than it was logged counts as received when it was logged', () => {
    const value = encodeFrameRecord(frameOf({ receivedAtMs: 3_001 }))
    expect(decodeRecord(recordOf(value))).toMatchObject({
      receivedAtMs: 3_000,
      receivedAtClamped: true,
    })
    expect(decodeRecord(recordOf(value, { loggedAtMs: 3_001 }))).toMatchObject({
      receivedAtMs: 3_001,
      receivedAtClamped: false,
    })
  })

  it('that is a tick is told by its header', () => {
    const { key, value, headers } = encodeTick()
    expect([key, value.length]).toEqual([undefined, 0])
    expect(decodeRecord(recordOf(value, { key, headers }))).toEqual({
      kind: 'tick',
      offset: 41,
      loggedAtMs: 3_000,
    })
  })
})

describe('a frame of a later minor version', () => {
  const event = (more = '') => utf8(`{"seq":0,"type":"heartbeat","at":5${more}}`)
  const plain = encodeFrameRecord(frameOf({ events: [event()] }))
  const later = encodeFrameRecord(
    frameOf({
      contextJson: utf8('{"sessionId":"s-1","addedToContext":{"a":[1]}}'),
      events: [event(',"addedToEvent":7')],
    }),
  )

  it.each(['playback.v1.1', 'playback.v1.27'])('%s is read beside those of today', (schema) => {
    const { length: valueBytes } = later
    const ofToday = { ...decodeRecord(recordOf(plain)), valueBytes }
    for (const decode of [decodeRecord, parseRecord])
      expect(decode(recordOf(later, { headers: { schema } }))).toEqual(ofToday)
    expect(decodeRecord(recordOf(plain, { headers: { schema } }))).toEqual(
      decodeRecord(recordOf(plain)),
    )
  })
})

describe('poison', () => {
  const valid = textOf(encodeFrameRecord(frameOf()))

  it.each([
    ['no number', { schema: 'playback.v1.x' }, "the record's schema is not known: playback.v1.x"],
    ['another version', { schema: 'playback.v2' }, "the record's schema is not known: playback.v2"],
    [
      'a longer name',
      { schema: 'x'.repeat(100) },
      `the record's schema is not known: ${'x'.repeat(64)}`,
    ],
    ['no schema', { gateway: 'g-1' }, 'the record has no schema header'],
  ])('is a record of %s', (_name, headers, reason) => {
    expect(poisonOf(valid, { headers })).toBe(reason)
  })

  it.each([
    ['', 'record: expected JSON, received nothing'],
    [valid.slice(0, -1), /^record: expected JSON, received text that breaks off/],
    ['[]', 'record: expected object, received []'],
    ['{}', 'record.session: expected object, received nothing'],
    [valid.replace('"sentAt":1000,', ''), 'record.sentAt: expected number, received nothing'],
    [valid.replace('"at":5', '"at":"5"'), 'record.events[0].at: expected number, received "5"'],
    [
      valid.replace('seekEnd', 'x'),
      'record.events[0].type: expected a known event type, received "x"',
    ],
    [
      valid.replace('"events"', '"rejectedSeqs":[0,-1],"events"'),
      'record.rejectedSeqs[1]: expected at least 0, received -1',
    ],
    [
      valid.replace('"events"', '"rejectedSeqs":{},"events"'),
      'record.rejectedSeqs: expected array, received {}',
    ],
  ])('is a value of %s', (value, reason) => {
    expect(poisonOf(value)).toMatch(reason)
  })

  it('is a value that is not UTF-8', () => {
    expect(poisonOf(Uint8Array.of(0xff))).toBe('record: expected UTF-8, received other bytes')
  })

  it('is whatever else the log may hold: decoding never throws', () => {
    const bytes = utf8(valid)
    const values = fc.oneof(
      fc.uint8Array({ maxLength: 100 }),
      fc.json().map(utf8),
      fc.tuple(fc.nat(bytes.length - 1), fc.nat(255)).map(([at, byte]) => bytes.with(at, byte)),
    )
    fc.assert(
      fc.property(values, (value) => {
        expect(['frame', 'poison']).toContain(decodeRecord(recordOf(value)).kind)
      }),
      { numRuns: 300 },
    )
  })
})
