/**
 * The independent reader: decodes records of `playback.events` with nothing but `JSON.parse`, so
 * that a defect of the product's byte scanner cannot hide in the expected values.
 */
import type { EnrichedContext, PlaybackEvent } from '../../shared/events/schema.ts'
import type { LogRecord } from '../../shared/log/event-log.ts'
import { type DecodedRecord, FRAME_SCHEMA, TICK_SCHEMA } from '../../shared/log/record.ts'

interface FrameValue {
  readonly session: EnrichedContext
  readonly sentAt: number
  readonly receivedAt: number
  readonly rejectedSeqs?: readonly number[]
  readonly events: readonly PlaybackEvent[]
}

/** Decodes a record as read from the log; a record that was decoded already is returned as is. */
export function readRecord(record: LogRecord | DecodedRecord): DecodedRecord {
  if ('kind' in record) return record
  const { offset, loggedAtMs } = record
  const schema = record.headers['schema']
  if (schema === TICK_SCHEMA) return { kind: 'tick', offset, loggedAtMs }
  const value = schema === FRAME_SCHEMA ? parseFrame(record.value) : undefined
  if (value === undefined) return { kind: 'poison', offset, loggedAtMs, reason: 'unreadable' }
  return {
    kind: 'frame',
    offset,
    loggedAtMs,
    valueBytes: record.value.byteLength,
    context: value.session,
    sentAtMs: value.sentAt,
    receivedAtMs: Math.min(value.receivedAt, loggedAtMs),
    receivedAtClamped: value.receivedAt > loggedAtMs,
    rejectedSeqs: value.rejectedSeqs ?? [],
    events: value.events,
  }
}

function parseFrame(bytes: Uint8Array): FrameValue | undefined {
  try {
    const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
    return isFrameValue(value) ? value : undefined
  } catch {
    return undefined
  }
}

function isFrameValue(value: unknown): value is FrameValue {
  if (!isObject(value) || !isObject(value['session']) || !Array.isArray(value['events'])) {
    return false
  }
  const rejected = value['rejectedSeqs']
  return (
    typeof value['session']['sessionId'] === 'string' &&
    Number.isInteger(value['sentAt']) &&
    Number.isInteger(value['receivedAt']) &&
    (rejected === undefined || (Array.isArray(rejected) && rejected.every(Number.isInteger))) &&
    value['events'].every(isEvent)
  )
}

function isEvent(event: unknown): boolean {
  return (
    isObject(event) &&
    Number.isInteger(event['seq']) &&
    Number.isInteger(event['at']) &&
    typeof event['type'] === 'string'
  )
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
