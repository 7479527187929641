/**
 * One frame of `playback.v1` from bytes to verdicts:
 *
 *   {"v":1,"frame":17,"sentAt":…,"session":{…context…},"events":[{"seq":41,"type":…},…]}
 *
 * A frame is refused whole when it cannot be read or its context is invalid; an event that breaks
 * the schema is rejected alone. Whatever the bytes are, nothing throws.
 */
import { z } from 'zod'
import { assert } from '../runtime/errors.ts'
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
  type SessionContext,
  sessionContextSchema,
} from './schema.ts'

export interface AcceptedEvent {
  readonly seq: number
  readonly type: PlaybackEventType
  /** The client's own bytes, a view into the frame. */
  readonly bytes: Uint8Array
}

export interface RejectedEvent {
  /** Known when the event carries a valid one, even though the event is rejected. */
  readonly seq: number | undefined
  readonly code: EventErrorCode
  readonly detail: string
  readonly bytes: Uint8Array
}

export interface DecodedFrame {
  /** Absent in a frame that came without a number (HTTP). */
  readonly frameNumber: number | undefined
  /** Device clock at transmission, epoch ms. */
  readonly sentAtMs: number
  readonly context: SessionContext
  /** The context's own bytes, a view into the frame. */
  readonly contextBytes: Uint8Array
  /** In the frame's order; a seq that comes twice is here twice. */
  readonly accepted: AcceptedEvent[]
  readonly rejected: RejectedEvent[]
}

export type FrameResult =
  | { readonly ok: true; readonly frame: DecodedFrame }
  | {
      readonly ok: false
      /** Known when the frame could be parsed and carries a valid number. */
      readonly frameNumber: number | undefined
      readonly code: FrameErrorCode
      readonly detail: string
    }

export interface FrameOptions {
  /** Whether the frame must carry its number (WebSocket) or carries none (HTTP). */
  readonly numbered: boolean
  readonly limits: FrameLimits
}

const PROTOCOL_VERSION = 1

const frameNumberSchema = z.int().min(0)

export function decodeFrame(bytes: Uint8Array, options: FrameOptions): FrameResult {
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
  const frame: DecodedFrame = {
    frameNumber,
    sentAtMs,
    context: context.data,
    contextBytes: bytes.subarray(spans.session.start, spans.session.end),
    accepted: [],
    rejected: [],
  }
  for (const [index, span] of spans.events.entries()) {
    const verdict = judgeEvent(events[index], index, span)
    const eventBytes = bytes.subarray(span.start, span.end)
    if ('type' in verdict) frame.accepted.push({ ...verdict, bytes: eventBytes })
    else frame.rejected.push({ ...verdict, seq: validSeq(events[index]), bytes: eventBytes })
  }
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

type Verdict =
  | { readonly seq: number; readonly type: PlaybackEventType }
  | { readonly code: EventErrorCode; readonly detail: string }

function judgeEvent(event: unknown, index: number, span: EventSpan): Verdict {
  if (!isObject(event))
    return {
      code: 'EVENT_NOT_OBJECT',
      detail: `events[${index}]: expected an object, received ${kindOfJson(event)}`,
    }
  const verdict = eventSchema.safeParse(event)
  if (!verdict.success) {
    const { issues } = verdict.error
    return { code: codeOf(event, issues), detail: describeIssue(`events[${index}]`, event, issues) }
  }
  // Names given twice would be read as the last by one reader and as the first by another.
  const names = Object.keys(event).length
  if (span.members !== names)
    return {
      code: 'EVENT_FIELD_REPEATED',
      detail: `events[${index}]: expected each field once, received ${span.members} fields with ${names} names`,
    }
  if (span.loneSurrogate)
    return {
      code: 'EVENT_TEXT_INVALID',
      detail: `events[${index}]: expected well-formed Unicode, received half a surrogate pair`,
    }
  // −0 is a valid seq, and is 0.
  return { seq: verdict.data.seq + 0, type: verdict.data.type }
}

function validSeq(event: unknown): number | undefined {
  const seq = isObject(event) ? seqSchema.safeParse(event['seq']).data : undefined
  return seq === undefined ? undefined : seq + 0
}

function codeOf(event: JsonObject, issues: readonly z.core.$ZodIssue[]): EventErrorCode {
  if (issues[0]?.code === 'invalid_union') return 'EVENT_TYPE_UNKNOWN'
  return validSeq(event) === undefined ? 'EVENT_SEQ_INVALID' : 'EVENT_FIELD_INVALID'
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
