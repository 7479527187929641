import { expect, test } from 'vitest'
import type { LogRecord } from '../shared/log/event-log.ts'
import { encodeReject } from '../shared/log/reject-record.ts'
import { TOPICS } from '../shared/log/topics.ts'
import { encodeRawLine, type RawTopic } from './raw-line.ts'

const VALUE =
  '{"session":{"sessionId":"s"},"sentAt":5,"receivedAt":6,"rejectedSeqs":[9],' +
  '"events":[{"seq":0,"type":"heartbeat","at":5,"own":1e999},{"seq":1,"type":"custom","at":5,"name":"é"}]}'

function record(value: string | Uint8Array, over: Partial<LogRecord> = {}): LogRecord {
  return {
    partition: 3,
    offset: 17,
    loggedAtMs: 100,
    key: 's',
    value: Buffer.from(value),
    headers: { schema: 'playback.v1', gateway: 'g' },
    ...over,
  }
}

function lineOf(topic: RawTopic, of: LogRecord, beforeMs: number | null = 90) {
  const { bytes, counts } = encodeRawLine(topic, of, beforeMs)
  const text = Buffer.from(bytes).toString()
  expect(text.endsWith('}\n')).toBe(true)
  expect(text.slice(0, -1)).not.toMatch(/[\n\r]/)
  return { text, counts, line: JSON.parse(text) as Record<string, unknown> }
}

const original = (line: Record<string, unknown>) =>
  Buffer.from(String(line['original']), 'base64').toString()

test('a record of the gateway stands in its line byte by byte, with what is told of it', () => {
  const { text, line, counts } = lineOf(TOPICS.events, record(VALUE))
  expect(text).toContain(`"value":${VALUE}}`)
  expect(line).toMatchObject({
    offset: 17,
    loggedAt: 100,
    loggedBefore: 90,
    bytes: Buffer.byteLength(VALUE),
    key: 's',
    headers: { schema: 'playback.v1', gateway: 'g' },
  })
  expect(counts).toEqual({
    records: 1,
    ticks: 0,
    poison: 0,
    rows: 1,
    events: 2,
    rejectedSeqs: 1,
    clamped: 0,
    erased: 0,
  })
})

test('a tick has no value, and nothing comes before the first record', () => {
  const tick = record('', { key: undefined, headers: { schema: 'tick.v1' } })
  const { line, counts } = lineOf(TOPICS.events, tick, null)
  expect(line).toEqual({
    offset: 17,
    loggedAt: 100,
    loggedBefore: null,
    bytes: 0,
    key: null,
    headers: { schema: 'tick.v1' },
    value: null,
  })
  expect(counts).toMatchObject({ records: 1, ticks: 1, rows: 0, poison: 0 })
})

test.each([
  ['text that is no JSON', '{"session":', {}],
  ['bytes that are no text', Buffer.from([0xff, 0xfe, 0x0a]), {}],
  ['another shape', '{"session":{"sessionId":"s"}}', {}],
  ['a schema of later', VALUE, { headers: { schema: 'playback.v9' } }],
])('a record that cannot be read keeps its bytes and says why: %s', (_, value, over) => {
  const { line, counts } = lineOf(TOPICS.events, record(value, over))
  expect(line).toMatchObject({ value: null, poison: expect.stringMatching(/./) as string })
  expect(Buffer.from(String(line['original']), 'base64')).toEqual(Buffer.from(value))
  expect(counts).toMatchObject({ records: 1, poison: 1, rows: 0, events: 0 })
})

test.each([
  [
    'a repeated name',
    VALUE.replace('"seq":0,', '"seq":5,"seq":0,'),
    { headers: { schema: 'playback.v1' } },
  ],
  ['a line break between tokens', VALUE.replace('"sentAt"', '\r\n"sentAt"'), {}],
  ['half of a surrogate pair', VALUE.replace('"own":1e999', String.raw`"own":"\ud800"`), {}],
])('JSON that readers take differently is written anew, beside its bytes: %s', (_, value, over) => {
  const { line, counts } = lineOf(TOPICS.events, record(value, over))
  expect(original(line)).toBe(value)
  expect(line['value']).toEqual({
    session: { sessionId: 's' },
    sentAt: 5,
    receivedAt: 6,
    rejectedSeqs: [9],
    events: [
      { seq: 0, type: 'heartbeat', at: 5 },
      { seq: 1, type: 'custom', at: 5, name: 'é' },
    ],
  })
  expect(counts).toMatchObject({ rows: 1, events: 2 })
})

test('a later arrival than the append is counted', () => {
  const { counts } = lineOf(TOPICS.events, record(VALUE, { loggedAtMs: 5 }))
  expect(counts.clamped).toBe(1)
})

test('a reject stands as it was written; one with half a surrogate pair is written anew', () => {
  const reject = (detail: string) =>
    encodeReject({
      stage: 'gateway',
      code: 'C',
      detail,
      sessionId: 's',
      seq: 4,
      receivedAtMs: 6,
      sealed: Buffer.from('sealed'),
    })
  const plain = lineOf(TOPICS.rejects, record(reject('d')))
  expect(plain.text).toContain(`"value":${Buffer.from(reject('d')).toString()}}`)
  expect(plain.counts).toMatchObject({ rows: 1, events: 0 })
  const odd = lineOf(TOPICS.rejects, record(reject('\ud800')))
  expect(odd.line['value']).toEqual({
    stage: 'gateway',
    code: 'C',
    detail: '\ufffd',
    sessionId: 's',
    seq: 4,
    receivedAt: 6,
  })
  expect(original(odd.line)).toBe(Buffer.from(reject('\ud800')).toString())
})

test('an exception stands as it was written; what is none keeps its bytes', () => {
  const value =
    '{"sessionId":"s","seq":4,"partition":0,"offset":7,"reason":"late","type":"heartbeat","forgotten":false}'
  const { text, counts } = lineOf(TOPICS.exceptions, record(value))
  expect(text).toContain(`"value":${value}}`)
  expect(counts.rows).toBe(1)
  const garbage = lineOf(TOPICS.exceptions, record('{"sessionId":"s"}'))
  expect(garbage.line).toMatchObject({ value: null, poison: expect.any(String) as string })
})
