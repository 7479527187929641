import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { mutated, recordText } from '../events/testing/frame-arbitrary.ts'
import type { LogRecord } from './event-log.ts'
import { decodeRecord, FRAME_SCHEMA, parseRecord } from './record.ts'
import { createRecordScanner } from './record-scanner.ts'

const utf8 = (text: string) => new TextEncoder().encode(text)

const recordOf = (value: Uint8Array): LogRecord => ({
  partition: 3,
  offset: 41,
  loggedAtMs: 3_000,
  key: 's-1',
  value,
  headers: { schema: FRAME_SCHEMA },
})

/** As text, so that the order of fields counts. */
function expectSame(value: Uint8Array): void {
  const decoded = decodeRecord(recordOf(value))
  expect(decoded).toStrictEqual(parseRecord(recordOf(value)))
  expect(JSON.stringify(decoded)).toBe(JSON.stringify(parseRecord(recordOf(value))))
}

describe('a record that is scanned', () => {
  it('is what the parser says it is, however it is written', () => {
    fc.assert(
      fc.property(recordText, (text) => expectSame(utf8(text))),
      { numRuns: 2_000 },
    )
  })

  it('is what the parser says it is, with bytes changed, put in or left out', () => {
    fc.assert(fc.property(mutated(recordText), expectSame), { numRuns: 2_000 })
  })

  it('is what the parser says it is, cut anywhere or with any byte changed', () => {
    const value = utf8(
      '{"session":{"sessionId":"s","device":{"type":"tv"}},"sentAt":1,"receivedAt":2,"rejectedSeqs":[3,4],"events":[{"seq":0,"at":1,"type":"custom","name":"é"},{"seq":1,"at":1,"type":"seekEnd"}]}',
    )
    for (let end = 0; end <= value.length; end += 1) expectSame(value.subarray(0, end))
    for (let at = 0; at < value.length; at += 1)
      for (const byte of [0x00, 0x20, 0x22, 0x2c, 0x30, 0x5c, 0x7d, 0xed])
        expectSame(value.with(at, byte))
  })
})

describe('the record scanner', () => {
  const scanner = createRecordScanner()
  const scan = (session: string, events = '{"seq":0,"at":1,"type":"seekEnd"}') =>
    scanner?.scan(utf8(`{"session":${session},"sentAt":1,"receivedAt":2,"events":[${events}]}`))

  it('gives frames with the same context the same object', () => {
    const first = scan('{"sessionId":"s","cdn":"a"}')
    expect(first?.session).toEqual({ sessionId: 's', cdn: 'a' })
    expect(scan('{"sessionId":"s","cdn":"a"}', '')?.session).toBe(first?.session)
    expect(scan('{"sessionId":"s","cdn":"b"}')?.session).not.toBe(first?.session)
    // One spells the bytes that the other has decoded.
    expect(scan('{"sessionId":"é"}')?.session).toEqual({ sessionId: 'é' })
    expect(scan('{"sessionId":"Ã©"}')?.session).toEqual({ sessionId: 'Ã©' })
  })

  it.each([
    ['an event with escapes', String.raw`{"seq":0,"at":1,"type":"custom","name":"\n"}`, '\n'],
    ['an event with nested fields', '{"seq":0,"at":1,"type":"custom","name":"n","x":[{}]}', 'n'],
  ])('reads %s by itself', (_name, event, name) => {
    expect(scan('{"sessionId":"s"}', event)?.events).toMatchObject([{ name }])
  })

  it.each([
    ['a context that is wrong', '{"sessionId":7}', ''],
    ['an event that is wrong', '{"sessionId":"s"}', '{"seq":-1}'],
    ['blanks of its own', '{"sessionId":"s"}', ' '],
  ])('leaves %s to the parser', (_name, session, events) => {
    expect(scan(session, events)).toBeUndefined()
  })
})
