/**
 * The value of a record in `playback.events`: one line of JSON, self-contained,
 *
 *   {"session":{…enriched context…},"sentAt":…,"receivedAt":…,"rejectedSeqs":[…]?,"events":[…]}
 *
 * where the events' bytes are the client's own; only line breaks between their tokens become
 * blanks, so that a record stays one line. The header `schema` is `playback.v1` for a frame
 * and `tick.v1` for a tick, the empty record by which an idle partition lets time pass in the log.
 *
 * A frame of `playback.v1.<n>` comes from a gateway of another release: a minor version only adds
 * optional fields, which a reader that does not know them leaves out. So records of several lie in one
 * log and are read by one program, which is not restarted for them. Any other version is poison.
 */
import { z } from 'zod'
import { describeIssue } from '../events/issue-detail.ts'
import { parseJsonBytes } from '../events/json-text.ts'
import {
  enrichedContextSchema,
  epochMsSchema,
  eventSchema,
  type EnrichedContext,
  type PlaybackEvent,
  seqSchema,
} from '../events/schema.ts'
import type { LogRecord, NewRecord } from './event-log.ts'
import { digitsOf, putBytes, putWhole } from './put-bytes.ts'
import { createRecordScanner, type FrameValue } from './record-scanner.ts'

export const FRAME_SCHEMA = 'playback.v1'
export const TICK_SCHEMA = 'tick.v1'
const MINOR_OF_FRAME_SCHEMA = /^playback\.v1\.\d{1,4}$/

interface DecodedBase {
  readonly offset: number
  readonly loggedAtMs: number
}

export interface TickRecord extends DecodedBase {
  readonly kind: 'tick'
}

export interface FrameRecord extends DecodedBase {
  readonly kind: 'frame'
  /** Length of the record's value in bytes. */
  readonly valueBytes: number
  readonly context: EnrichedContext
  /** Device clock at transmission, epoch ms. */
  readonly sentAtMs: number
  /** Gateway clock at arrival, epoch ms, never later than `loggedAtMs`. */
  readonly receivedAtMs: number
  /** Whether `receivedAt` in the record was later than `loggedAt` and was lowered to it. */
  readonly receivedAtClamped: boolean
  /** Seqs of this frame that the gateway rejected; they count as seen. */
  readonly rejectedSeqs: readonly number[]
  readonly events: readonly PlaybackEvent[]
}

/** What a fold consumes. Poison (a value that cannot be decoded) still moves time and offset. */
export interface PoisonRecord extends DecodedBase {
  readonly kind: 'poison'
  readonly reason: string
}

export type DecodedRecord = FrameRecord | TickRecord | PoisonRecord

export interface FrameToEncode {
  /** The enriched context's JSON. */
  readonly contextJson: Uint8Array
  readonly sentAtMs: number
  readonly receivedAtMs: number
  readonly rejectedSeqs: readonly number[]
  /** As they came, each one event, or several with a comma between two. */
  readonly events: readonly Uint8Array[]
}

/** Where a record's bytes go. */
export interface RecordMemory {
  /** Bytes that need not be clear. */
  take(bytes: number): Buffer
}

const ANYWHERE: RecordMemory = { take: (bytes) => Buffer.allocUnsafe(bytes) }

/** The value of a frame's record. */
export function encodeFrameRecord(frame: FrameToEncode, memory = ANYWHERE): Uint8Array {
  const { contextJson, sentAtMs, receivedAtMs, rejectedSeqs, events } = frame
  const rejected = rejectedSeqs.length === 0 ? '' : `,"rejectedSeqs":[${rejectedSeqs.join(',')}]`
  let bytes = FIXED_BYTES + contextJson.length + rejected.length
  bytes += digitsOf(sentAtMs) + digitsOf(receivedAtMs)
  for (const run of events) bytes += run.length + 1
  // Every byte is written; clearing them first would cost as much as copying them.
  const value = memory.take(events.length === 0 ? bytes : bytes - 1)
  let end = putBytes(value, 0, HEAD)
  value.set(contextJson, end)
  end = putBytes(value, end + contextJson.length, SENT_AT)
  end = putBytes(value, putWhole(value, end, sentAtMs), RECEIVED_AT)
  end = putWhole(value, end, receivedAtMs)
  if (rejected !== '') end += value.write(rejected, end, 'latin1')
  end = putBytes(value, end, EVENTS)
  for (let index = 0; index < events.length; index++) {
    const run = events[index] ?? NO_BYTES
    if (index > 0) value[end++] = COMMA
    value.set(run, end)
    end += run.length
  }
  putBytes(value, end, TAIL)
  return blankLineBreaks(value)
}

/** A tick: the record by which an idle partition lets time pass. */
export function encodeTick(): NewRecord {
  return { key: undefined, value: new Uint8Array(0), headers: { schema: TICK_SCHEMA } }
}

/** Decodes what the log holds; whatever cannot be read comes back as poison with its reason. */
export function decodeRecord(record: LogRecord): DecodedRecord {
  return decodeWith(record, (value) => scanner?.scan(value) ?? parseFrameValue(value))
}

/** The same the thorough way, which judges every record that is not plain. */
export function parseRecord(record: LogRecord): DecodedRecord {
  return decodeWith(record, parseFrameValue)
}

function decodeWith(
  record: LogRecord,
  read: (value: Uint8Array) => FrameValue | string,
): DecodedRecord {
  const { offset, loggedAtMs } = record
  const schema = record.headers['schema']
  if (schema === TICK_SCHEMA) return { kind: 'tick', offset, loggedAtMs }
  const poison = (reason: string): PoisonRecord => ({ kind: 'poison', offset, loggedAtMs, reason })
  if (schema !== FRAME_SCHEMA && (schema === undefined || !MINOR_OF_FRAME_SCHEMA.test(schema)))
    return poison(
      schema === undefined
        ? 'the record has no schema header'
        : `the record's schema is not known: ${schema.slice(0, 64)}`,
    )
  const value = read(record.value)
  if (typeof value === 'string') return poison(value)
  const { session, sentAt, receivedAt, rejectedSeqs, events } = value
  return {
    kind: 'frame',
    offset,
    loggedAtMs,
    valueBytes: record.value.length,
    context: session,
    sentAtMs: sentAt,
    receivedAtMs: Math.min(receivedAt, loggedAtMs),
    receivedAtClamped: receivedAt > loggedAtMs,
    rejectedSeqs: rejectedSeqs ?? NO_SEQS,
    events,
  }
}

/** The frame in a record's value, or what is wrong with it. */
function parseFrameValue(value: Uint8Array): FrameValue | string {
  const parsed = parseJsonBytes(value)
  if ('problem' in parsed) return `record: ${parsed.problem}`
  const verdict = frameValueSchema.safeParse(parsed.value)
  return verdict.success
    ? verdict.data
    : describeIssue('record', parsed.value, verdict.error.issues)
}

const frameValueSchema = z.object({
  session: enrichedContextSchema,
  sentAt: epochMsSchema,
  receivedAt: epochMsSchema,
  rejectedSeqs: z.array(seqSchema).optional(),
  events: z.array(eventSchema),
})

const scanner = createRecordScanner()
const NO_SEQS: readonly number[] = []
const LF = 0x0a
const CR = 0x0d
const BLANK = 0x20
const COMMA = 0x2c
const encoder = new TextEncoder()
const NO_BYTES = new Uint8Array(0)
const HEAD = encoder.encode('{"session":')
const SENT_AT = encoder.encode(',"sentAt":')
const RECEIVED_AT = encoder.encode(',"receivedAt":')
const EVENTS = encoder.encode(',"events":[')
const TAIL = encoder.encode(']}')
const FIXED_BYTES = HEAD.length + SENT_AT.length + RECEIVED_AT.length + EVENTS.length + TAIL.length

/** In valid JSON a line break stands only between tokens, where a blank means the same. */
function blankLineBreaks(value: Buffer): Buffer {
  for (const lineBreak of [LF, CR])
    for (let at = value.indexOf(lineBreak); at !== -1; at = value.indexOf(lineBreak, at + 1))
      value[at] = BLANK
  return value
}
