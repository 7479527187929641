/**
 * A body of CMCD v2 event mode (CTA-5004-B): records joined by LF, each a dictionary of structured
 * fields. Records of one session and context become one frame; a record that cannot be used is
 * rejected alone. Stateless: what a stall before the first start is, the fold knows.
 */
import { CmcdRecord } from './cmcd-record.ts'
import { mapContext, mapEvent } from './cmcd-mapping.ts'
import type { CmcdErrorCode } from './event-errors.ts'
import { describeReceived, shorten } from './issue-detail.ts'
import { CMCD_QUEUE_DELAY_MAX_MS, CMCD_RECORDS_MAX } from './limits.ts'
import {
  epochMsSchema,
  type PlaybackEventType,
  SEQ_MAX,
  type SessionContext,
  sessionContextSchema,
} from './schema.ts'
import { parseDictionary } from './structured-fields.ts'

export interface CmcdEvent {
  readonly seq: number
  readonly type: PlaybackEventType
  /** The event as JSON. */
  readonly bytes: Uint8Array
}

export interface CmcdFrame {
  readonly context: SessionContext
  /** Device clock at transmission, as far as it can be told, epoch ms. */
  readonly sentAtMs: number
  readonly events: readonly CmcdEvent[]
}

export interface CmcdRejection {
  /** Line of the body, from 1. */
  readonly line: number
  readonly code: CmcdErrorCode
  readonly detail: string
  readonly bytes: Uint8Array
}

export interface CmcdBody {
  readonly frames: CmcdFrame[]
  readonly rejected: CmcdRejection[]
}

export function decodeCmcd(body: Uint8Array, receivedAtMs: number): CmcdBody {
  const rejected: CmcdRejection[] = []
  const sessions = new Map<string, { context: SessionContext; events: CmcdEvent[] }>()
  let largestTsMs = 0
  let records = 0
  for (const line of linesOf(body)) {
    if (records === CMCD_RECORDS_MAX) {
      rejected.push(tooMany(body, line))
      break
    }
    records += 1
    const reading = readLine(line.bytes)
    if ('code' in reading) {
      const { code, detail } = reading
      rejected.push({ line: line.number, code, detail: shorten(detail), bytes: line.bytes })
      continue
    }
    largestTsMs = Math.max(largestTsMs, reading.at)
    const key = JSON.stringify(reading.context)
    const session = sessions.get(key)
    if (session !== undefined) session.events.push(reading.event)
    else sessions.set(key, { context: reading.context, events: [reading.event] })
  }
  const sentAtMs = sendTime(receivedAtMs, largestTsMs)
  const frames = [...sessions.values()].map((session) => ({ ...session, sentAtMs }))
  return { frames, rejected }
}

/**
 * CMCD has no send time. A body whose newest record is up to ten minutes old was queued, and the
 * device's clock is believed; otherwise the clock is wrong, and the newest record was just sent.
 */
function sendTime(receivedAtMs: number, largestTsMs: number): number {
  const delayMs = receivedAtMs - largestTsMs
  return delayMs >= 0 && delayMs <= CMCD_QUEUE_DELAY_MAX_MS ? receivedAtMs : largestTsMs
}

interface Line {
  /** From 1. */
  readonly number: number
  /** Where it starts in the body. */
  readonly start: number
  /** Without the line break and blanks around it; never empty. */
  readonly bytes: Uint8Array
}

const LF = 0x0a
const CR = 0x0d
const BLANK = 0x20
const TAB = 0x09

function* linesOf(body: Uint8Array): Generator<Line> {
  let number = 0
  for (let start = 0; start < body.length; number += 1) {
    const lineBreak = body.indexOf(LF, start)
    const end = lineBreak === -1 ? body.length : lineBreak
    const bytes = trim(body.subarray(start, end))
    if (bytes.length > 0) yield { number: number + 1, start, bytes }
    start = end + 1
  }
}

function trim(line: Uint8Array): Uint8Array {
  let start = 0
  let end = line.length
  while (start < end && isBlank(line[start])) start += 1
  while (end > start && isBlank(line[end - 1])) end -= 1
  return line.subarray(start, end)
}

function isBlank(byte: number | undefined): boolean {
  return byte === BLANK || byte === TAB || byte === CR
}

/** One rejection for all that is beyond the limit. */
function tooMany(body: Uint8Array, line: Line): CmcdRejection {
  return {
    line: line.number,
    code: 'CMCD_TOO_MANY_RECORDS',
    detail: `expected at most ${CMCD_RECORDS_MAX} records; this line and all after it are rejected`,
    bytes: body.subarray(line.start),
  }
}

interface Reading {
  readonly context: SessionContext
  readonly event: CmcdEvent
  /** Epoch ms. */
  readonly at: number
}
interface Problem {
  readonly code: CmcdErrorCode
  readonly detail: string
}

const decoder = new TextDecoder('utf-8', { fatal: true })
const encoder = new TextEncoder()

function readLine(bytes: Uint8Array): Reading | Problem {
  let text: string
  try {
    text = decoder.decode(bytes)
  } catch {
    return { code: 'CMCD_LINE_UNREADABLE', detail: 'expected UTF-8, received other bytes' }
  }
  const parsed = parseDictionary(text)
  if (!parsed.ok)
    return {
      code: 'CMCD_LINE_UNREADABLE',
      detail: `expected ${parsed.expected} at character ${parsed.at}`,
    }
  return readRecord(new CmcdRecord(parsed.dictionary))
}

function readRecord(record: CmcdRecord): Reading | Problem {
  const identity = {
    sid: record.text('sid'),
    sn: record.integer('sn'),
    ts: record.whole('ts'),
    e: record.token('e'),
  }
  const { sid, sn, ts, e } = identity
  if (sid === undefined || sn === undefined || ts === undefined || e === undefined) {
    const missing = Object.entries(identity).filter(([, value]) => value === undefined)
    const names = missing.map(([name]) => name).join(', ')
    return { code: 'CMCD_KEY_MISSING', detail: `expected sid, sn, ts and e, received no ${names}` }
  }
  const contentId = record.text('cid')
  const problem = rangeProblem({ sid, cid: contentId, sn, ts })
  if (problem !== undefined) return { code: 'CMCD_KEY_INVALID', detail: problem }
  const { type, event } = mapEvent({ seq: sn, at: ts, token: e }, record)
  return {
    context: mapContext(sid, contentId, record),
    event: { seq: sn, type, bytes: encoder.encode(JSON.stringify(event)) },
    at: ts,
  }
}

const { sessionId: sidSchema, contentId: cidSchema } = sessionContextSchema.shape

interface Identity {
  readonly sid: string
  readonly cid: string | undefined
  readonly sn: number
  readonly ts: number
}

function rangeProblem({ sid, cid, sn, ts }: Identity): string | undefined {
  if (!sidSchema.safeParse(sid).success)
    return `sid: expected 1 to 64 characters, received ${describeReceived(sid)}`
  if (!cidSchema.safeParse(cid).success)
    return `cid: expected at most 128 characters, received ${describeReceived(cid)}`
  if (sn < 0 || sn > SEQ_MAX) return `sn: expected 0 to ${SEQ_MAX}, received ${sn}`
  if (!epochMsSchema.safeParse(ts).success) return `ts: expected epoch milliseconds, received ${ts}`
  return undefined
}
