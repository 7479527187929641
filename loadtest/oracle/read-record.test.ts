import { describe, expect, test } from 'vitest'

import type { EnrichedContext } from '../../shared/events/schema.ts'
import type { LogRecord } from '../../shared/log/event-log.ts'
import { decodeRecord, type DecodedRecord, FRAME_SCHEMA } from '../../shared/log/record.ts'
import { adversarialLog } from './adversarial-log.ts'
import { readRecord } from './read-record.ts'
import { toLogRecord } from './to-log-record.ts'

const bytesOf = (value: unknown) => new TextEncoder().encode(JSON.stringify(value))

/** With fields that nobody knows, in the context and in what is nested in it. */
function withUnknownFields(record: DecodedRecord): DecodedRecord {
  if (record.kind !== 'frame') return record
  const { context, offset } = record
  const device = { ...context.device, unknown: 1 }
  return { ...record, context: { ...context, device, unknown: offset } as EnrichedContext }
}

function frameRecord(change: object, headers = { schema: FRAME_SCHEMA }): LogRecord {
  const frame = { session: { sessionId: 's' }, sentAt: 5, receivedAt: 7, events: [], ...change }
  return { partition: 0, offset: 3, loggedAtMs: 6, key: 's', value: bytesOf(frame), headers }
}

describe('the independent reader', () => {
  test('reads what the product reads, unknown fields left aside', () => {
    const logs = [1, 2, 3].map((seed) =>
      adversarialLog(seed, 60).records.map(withUnknownFields).map(toLogRecord),
    )
    for (const record of logs.flat()) {
      const { kind, ...read } = readRecord(record)
      const { kind: expectedKind, ...expected } = decodeRecord(record)
      expect(kind).toBe(expectedKind)
      expect({ ...read, reason: '' }).toEqual({ ...expected, reason: '' })
    }
  })

  test('lowers a reception that is later than the append to it', () => {
    expect(readRecord(frameRecord({}))).toMatchObject({ receivedAtMs: 6, receivedAtClamped: true })
  })

  test.each([
    ['an unknown schema', frameRecord({}, { schema: 'playback.v9' })],
    ['no session', frameRecord({ session: null })],
    ['no send time', frameRecord({ sentAt: '5' })],
    ['a rejected seq that is no number', frameRecord({ rejectedSeqs: ['1'] })],
    ['an event without a seq', frameRecord({ events: [{ type: 'heartbeat', at: 1 }] })],
    ['an event of an unknown type', frameRecord({ events: [{ seq: 0, type: 'dance', at: 1 }] })],
    ['a cut value', { ...frameRecord({}), value: bytesOf({}).subarray(0, 1) }],
    ['bytes that are no text', { ...frameRecord({}), value: new Uint8Array([0xff, 0xfe]) }],
  ])('takes %s for poison, as the product does', (_, record) => {
    expect(readRecord(record).kind).toBe('poison')
    expect(decodeRecord(record).kind).toBe('poison')
  })
})
