/**
 * One record of the log as a line of a raw file:
 *
 *   {"offset":…,"loggedAt":…,"loggedBefore":…|null,"bytes":…,"key":…|null,"headers":{…},
 *    "value":…,"poison":"<reason>"?,"original":"<base64>"?,"erased":true?}
 *
 * `value` is the record's JSON as it stands in the log; `null` for a tick and for a record that
 * cannot be read, which says why in `poison`. `bytes` is the length of the record's value.
 * `loggedBefore` is the largest `loggedAt` of the records before it in the partition (`null` where
 * the history begins), so that a file can be flattened by itself. `original` holds the record's bytes wherever `value` is not the same bytes:
 * those of a poison record, and of JSON that other readers take otherwise than `JSON.parse` does
 * (names that are repeated, halves of surrogate pairs) or that has line breaks. Such a `value` is
 * written anew, with the fields that the schema knows.
 */
import { decodeException } from '../shared/log/exception-record.ts'
import type { LogRecord } from '../shared/log/event-log.ts'
import { decodeRecord, type FrameRecord, TICK_SCHEMA } from '../shared/log/record.ts'
import { decodeReject, encodeReject, type RejectRecord } from '../shared/log/reject-record.ts'
import { TOPICS } from '../shared/log/topics.ts'

/** What the records of a raw file are; `events` are the accepted ones. */
export interface RawCounts {
  readonly records: number
  readonly ticks: number
  /** Records that could not be read. */
  readonly poison: number
  /** Records that become rows: frames, rejects or exceptions. */
  readonly rows: number
  readonly events: number
  readonly rejectedSeqs: number
  /** Frames whose `receivedAt` was later than their `loggedAt` and is taken as that. */
  readonly clamped: number
  /** Records of forgotten viewers, of which only place and time are kept. */
  readonly erased: number
}

export interface RawLine {
  readonly bytes: Uint8Array
  /** What the record adds to its file's counts. */
  readonly counts: RawCounts
}

/** Topics that are kept in raw files and become tables. */
export const RAW_TOPICS = [TOPICS.events, TOPICS.rejects, TOPICS.exceptions] as const
export type RawTopic = (typeof RAW_TOPICS)[number]

/** The gateway sets it, and has refused what makes JSON ambiguous. */
const GATEWAY_HEADER = 'gateway'

export function encodeRawLine(
  topic: RawTopic,
  record: LogRecord,
  loggedBeforeMs: number | null,
): RawLine {
  const reading = READERS[topic](record)
  const { offset, loggedAtMs, key, headers, value } = record
  const head = JSON.stringify({
    offset,
    loggedAt: loggedAtMs,
    loggedBefore: loggedBeforeMs,
    bytes: value.length,
    key: key ?? null,
    headers,
  }).slice(0, -1)
  const parts: Uint8Array[] = [encoder.encode(`${head},"value":`), reading.value ?? NULL]
  if (reading.poison !== undefined)
    parts.push(encoder.encode(`,"poison":${JSON.stringify(reading.poison)}`))
  if (reading.value !== value && value.length > 0)
    parts.push(encoder.encode(`,"original":"${Buffer.from(value).toString('base64')}"`))
  parts.push(LINE_END)
  return { bytes: Buffer.concat(parts), counts: { ...ONE_RECORD, ...reading.counts } }
}

/** The line of a record that is forgotten: it keeps its place and its time, and reads as a tick. */
export function encodeErasedLine(
  { offset, loggedAtMs }: Pick<LogRecord, 'offset' | 'loggedAtMs'>,
  loggedBeforeMs: number | null,
): RawLine {
  const line = {
    offset,
    loggedAt: loggedAtMs,
    loggedBefore: loggedBeforeMs,
    bytes: 0,
    key: null,
    headers: { schema: TICK_SCHEMA },
    value: null,
    erased: true,
  }
  return {
    bytes: encoder.encode(`${JSON.stringify(line)}\n`),
    counts: { ...ONE_RECORD, erased: 1 },
  }
}

export const NO_COUNTS: RawCounts = {
  records: 0,
  ticks: 0,
  poison: 0,
  rows: 0,
  events: 0,
  rejectedSeqs: 0,
  clamped: 0,
  erased: 0,
}

export function addCounts(sum: RawCounts, more: RawCounts): RawCounts {
  return {
    records: sum.records + more.records,
    ticks: sum.ticks + more.ticks,
    poison: sum.poison + more.poison,
    rows: sum.rows + more.rows,
    events: sum.events + more.events,
    rejectedSeqs: sum.rejectedSeqs + more.rejectedSeqs,
    clamped: sum.clamped + more.clamped,
    erased: sum.erased + more.erased,
  }
}

interface Reading {
  /** The record's own bytes, or other JSON in their place; absent for ticks and poison. */
  readonly value?: Uint8Array
  readonly poison?: string
  readonly counts: Partial<RawCounts>
}

const READERS: Readonly<Record<RawTopic, (record: LogRecord) => Reading>> = {
  [TOPICS.events]: readEvents,
  [TOPICS.rejects]: readReject,
  [TOPICS.exceptions]: readException,
}

const ONE_RECORD: RawCounts = { ...NO_COUNTS, records: 1 }
const encoder = new TextEncoder()
const NULL = encoder.encode('null')
const LINE_END = encoder.encode('}\n')
const LF = 0x0a
const CR = 0x0d
const SURROGATE_ESCAPES = [Buffer.from('\\ud'), Buffer.from('\\uD')] as const

function readEvents(record: LogRecord): Reading {
  const decoded = decodeRecord(record)
  switch (decoded.kind) {
    case 'tick':
      return { counts: { ticks: 1 } }
    case 'poison':
      return poison(decoded.reason)
    case 'frame':
      return {
        value: isPlain(record) ? record.value : rewritten(decoded),
        counts: {
          rows: 1,
          events: decoded.events.length,
          rejectedSeqs: decoded.rejectedSeqs.length,
          clamped: decoded.receivedAtClamped ? 1 : 0,
        },
      }
  }
}

/** A record that we wrote is the same when it is encoded again. */
function readReject(record: LogRecord): Reading {
  let reject: RejectRecord
  try {
    reject = decodeReject(record.value)
  } catch {
    return poison('not a record of the reject topic')
  }
  if (isSame(encodeReject(reject), record.value)) return row(record.value)
  // The sealed bytes stay in `original`: no column is made of them.
  const { receivedAtMs, sealed: _, code, detail, ...rest } = reject
  return row(
    jsonBytes({
      ...rest,
      code: code.toWellFormed(),
      detail: detail.toWellFormed(),
      receivedAt: receivedAtMs,
    }),
  )
}

function readException(record: LogRecord): Reading {
  const exception = decodeException(record.value)
  if (exception === undefined) return poison('not a record of the exceptions topic')
  const value = jsonBytes(exception)
  return row(isSame(value, record.value) ? record.value : value)
}

function row(value: Uint8Array): Reading {
  return { value, counts: { rows: 1 } }
}

function poison(reason: string): Reading {
  return { poison: reason, counts: { poison: 1 } }
}

/** Whether every reader of JSON takes the record's bytes alike, and they are one line. */
function isPlain({ value, headers }: LogRecord): boolean {
  if (headers[GATEWAY_HEADER] === undefined) return false
  return !value.includes(LF) && !value.includes(CR) && !hasSurrogateEscape(value)
}

function isSame(encoded: Uint8Array, value: Uint8Array): boolean {
  return bufferOf(value).equals(encoded) && !hasSurrogateEscape(value)
}

function hasSurrogateEscape(value: Uint8Array): boolean {
  const bytes = bufferOf(value)
  return SURROGATE_ESCAPES.some((escape) => bytes.includes(escape))
}

/** What `decodeRecord` made of the record, as JSON without ambiguities. */
function rewritten(frame: FrameRecord): Uint8Array {
  const { context, sentAtMs, receivedAtMs, rejectedSeqs, events } = frame
  return jsonBytes({
    session: context,
    sentAt: sentAtMs,
    receivedAt: receivedAtMs,
    rejectedSeqs,
    events,
  })
}

function jsonBytes(value: unknown): Uint8Array {
  return encoder.encode(JSON.stringify(value))
}

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
