/**
 * Reads a frame the thorough way: `JSON.parse`, the schema, and the spans of its events. It judges
 * every frame that is not plain, and says what is wrong; the scanner must agree with it.
 */
import { z } from 'zod'
import { assert } from '../runtime/errors.ts'
import {
  type AcceptedSpan,
  DecodedFrame,
  type FrameOptions,
  type FrameResult,
  packed,
  type RejectedEvent,
} from './decoded-frame.ts'
import type { EventErrorCode, FrameErrorCode } from './event-errors.ts'
import { type EventSpan, findFrameSpans, type FrameSpans } from './frame-spans.ts'
import { describeIssue, describeReceived, shorten } from './issue-detail.ts'
import { isObject, type JsonObject, kindOfJson, parseJsonBytes } from './json-text.ts'
import type { FrameLimits } from './limits.ts'
import {
  epochMsSchema,
  eventSchema,
  type PlaybackEventType,
  seqSchema,
  sessionContextSchema,
} from './schema.ts'

export const PROTOCOL_VERSION = 1

const frameNumberSchema = z.int().min(0)

/** The whole frame, whatever it is. */
export function parseFrame(bytes: Uint8Array, options: FrameOptions): FrameResult {
  const spans = findFrameSpans(bytes, options.limits)
  if (spans.tooDeep)
    return refusal('FRAME_TOO_DEEP', `expected at most ${options.limits.depthMax} levels`)
  const parsed = parseJsonBytes(bytes)
  if ('problem' in parsed) return refusal('FRAME_NOT_JSON', parsed.problem)
  if (!isObject(parsed.value))
    return refusal('FRAME_NOT_OBJECT', `expected an object, received ${kindOfJson(parsed.value)}`)
  return decodeMembers(bytes, spans, parsed.value, options)
}

function decodeMembers(
  bytes: Uint8Array,
  spans: FrameSpans,
  members: JsonObject,
  options: FrameOptions,
): FrameResult {
  const envelope = checkEnvelope(members, options)
  if ('code' in envelope) return envelope
  const { frameNumber, sentAtMs, events } = envelope
  const context = sessionContextSchema.safeParse(members['session'])
  if (!context.success)
    return refusal(
      'CONTEXT_INVALID',
      describeIssue('session', members['session'], context.error.issues, holdsViewerId),
      frameNumber,
    )
  assert(
    spans.session !== undefined && spans.events.length === events.length,
    'the spans of valid JSON must match its parsed members',
  )
  const accepted: AcceptedSpan[] = []
  const rejected: RejectedEvent[] = []
  for (const [index, span] of spans.events.entries()) {
    const verdict = judgeEvent(events[index], index, span)
    const { start, end } = span
    if ('type' in verdict) accepted.push({ ...verdict, start, end })
    else rejected.push({ ...verdict, bytes: bytes.subarray(start, end) })
  }
  const { start, end } = spans.session
  const frame = new DecodedFrame(bytes, {
    frameNumber,
    sentAtMs,
    sessionId: context.data.sessionId,
    context: context.data,
    contextStart: start,
    contextEnd: end,
    accepted: packed(accepted),
    rejected,
  })
  return { ok: true, frame }
}

interface Envelope {
  readonly frameNumber: number | undefined
  readonly sentAtMs: number
  readonly events: readonly unknown[]
}

function checkEnvelope(
  members: JsonObject,
  { numbered, limits }: FrameOptions,
): Envelope | Extract<FrameResult, { ok: false }> {
  const { v, frame, sentAt, events } = members as Record<
    'v' | 'frame' | 'sentAt' | 'events',
    unknown
  >
  const number = numbered ? frameNumberSchema.safeParse(frame).data : undefined
  if (v !== PROTOCOL_VERSION)
    return refusal(
      'FRAME_VERSION_UNSUPPORTED',
      `v: expected ${PROTOCOL_VERSION}, received ${describeReceived(v)}`,
      number,
    )
  if (numbered && number === undefined)
    return refusal(
      'FRAME_NUMBER_INVALID',
      `frame: expected a whole number from 0, received ${describeReceived(frame)}`,
    )
  const sentAtMs = epochMsSchema.safeParse(sentAt).data
  if (sentAtMs === undefined)
    return refusal(
      'FRAME_SENT_AT_INVALID',
      `sentAt: expected epoch milliseconds, received ${describeReceived(sentAt)}`,
      number,
    )
  if (!Array.isArray(events) || events.length === 0)
    return refusal(
      'FRAME_EVENTS_INVALID',
      `events: expected an array of at least one event, received ${kindOfJson(events)}`,
      number,
    )
  if (events.length > limits.eventsMax)
    return refusal(
      'FRAME_TOO_MANY_EVENTS',
      `events: expected at most ${limits.eventsMax}, received ${events.length}`,
      number,
    )
  return { frameNumber: number, sentAtMs, events }
}

export type Verdict =
  | { readonly seq: number; readonly type: PlaybackEventType }
  | {
      /** Known when the event carries a valid one, even though the event is rejected. */
      readonly seq: number | undefined
      readonly code: EventErrorCode
      readonly detail: string
    }

const ALONE_HEAD = new TextEncoder().encode('{"events":[')
const ALONE_TAIL = new TextEncoder().encode(']}')

/**
 * The verdict on what stands in `bytes` as the event of that index of a frame; `undefined` when it
 * is not one value of JSON that is nested as a frame may be: then the frame is not, either.
 */
export function judgeEventAlone(
  bytes: Uint8Array,
  index: number,
  limits: FrameLimits,
): Verdict | undefined {
  const frame = Buffer.concat([ALONE_HEAD, bytes, ALONE_TAIL])
  const { tooDeep, events } = findFrameSpans(frame, limits)
  const parsed = parseJsonBytes(frame)
  const [span] = events
  if (tooDeep || 'problem' in parsed || span === undefined || events.length > 1) return undefined
  const { events: values } = parsed.value as { readonly events: readonly unknown[] }
  return judgeEvent(values[0], index, span)
}

function judgeEvent(event: unknown, index: number, span: EventSpan): Verdict {
  const seq = validSeq(event)
  if (!isObject(event))
    return {
      seq,
      code: 'EVENT_NOT_OBJECT',
      detail: `events[${index}]: expected an object, received ${kindOfJson(event)}`,
    }
  const verdict = eventSchema.safeParse(event)
  if (!verdict.success) {
    const { issues } = verdict.error
    const detail = describeIssue(`events[${index}]`, event, issues)
    return { seq, code: codeOf(seq, issues), detail }
  }
  // Names given twice would be read as the last by one reader and as the first by another.
  const names = Object.keys(event).length
  if (span.members !== names)
    return {
      seq,
      code: 'EVENT_FIELD_REPEATED',
      detail: `events[${index}]: expected each field once, received ${span.members} fields with ${names} names`,
    }
  if (span.loneSurrogate)
    return {
      seq,
      code: 'EVENT_TEXT_INVALID',
      detail: `events[${index}]: expected well-formed Unicode, received half a surrogate pair`,
    }
  return { seq: seq ?? verdict.data.seq, type: verdict.data.type }
}

/** −0 is a valid seq, and is 0. */
function validSeq(event: unknown): number | undefined {
  const seq = isObject(event) ? seqSchema.safeParse(event['seq']).data : undefined
  return seq === undefined ? undefined : seq + 0
}

function codeOf(seq: number | undefined, issues: readonly z.core.$ZodIssue[]): EventErrorCode {
  if (issues[0]?.code === 'invalid_union') return 'EVENT_TYPE_UNKNOWN'
  return seq === undefined ? 'EVENT_SEQ_INVALID' : 'EVENT_FIELD_INVALID'
}

/** A wrong context may hold the raw viewer id anywhere: only the kind of what came is told. */
function holdsViewerId(path: readonly PropertyKey[]): boolean {
  return path.length === 0 || path[0] === 'viewerId'
}

function refusal(
  code: FrameErrorCode,
  detail: string,
  frameNumber?: number,
): Extract<FrameResult, { ok: false }> {
  return { ok: false, frameNumber, code, detail: shorten(detail) }
}
