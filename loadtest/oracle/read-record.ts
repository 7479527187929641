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

/** Fields of the context as the definitions list them; `true` for a plain value. Others are ignored. */
const CONTEXT_FIELDS: FieldTree = {
  sessionId: true,
  contentId: true,
  contentTitle: true,
  seriesId: true,
  streamType: true,
  streamingFormat: true,
  cdn: true,
  viewerPseudonym: true,
  device: { type: true, make: true, model: true, os: true, osVersion: true },
  player: { name: true, version: true },
  app: { name: true, version: true },
  country: true,
  isp: true,
  autoplay: true,
  labels: true,
}
const EVENT_TYPES = new Set(
  (
    'playbackRequest playbackStart playbackPause playbackStall seekStart seekEnd playbackFinish ' +
    'playbackFail renditionUpdate playbackRateUpdate adBreakStart adBreakEnd playerResize ' +
    'cdnUpdate warning heartbeat sessionEnd custom'
  ).split(' '),
)

interface FieldTree {
  readonly [field: string]: true | FieldTree
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
    context: knownFields(value.session, CONTEXT_FIELDS) as EnrichedContext,
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
    typeof event['type'] === 'string' &&
    EVENT_TYPES.has(event['type'])
  )
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function knownFields(value: object, fields: FieldTree): object {
  const known = Object.entries(value).flatMap(([name, inner]: [string, unknown]) => {
    const field = fields[name]
    if (field === undefined) return []
    return [[name, field === true || !isObject(inner) ? inner : knownFields(inner, field)]]
  })
  return Object.fromEntries(known) as object
}
