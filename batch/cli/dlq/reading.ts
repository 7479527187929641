/** What the sealed bytes of a reject are by the schema of today. */
import { decodeCmcd } from '../../../shared/events/cmcd.ts'
import type { ContextEnricher } from '../../../shared/events/context.ts'
import type { RejectedEvent } from '../../../shared/events/decoded-frame.ts'
import { decodeFrame } from '../../../shared/events/frame.ts'
import { DEFAULT_FRAME_LIMITS } from '../../../shared/events/limits.ts'
import type { SessionContext } from '../../../shared/events/schema.ts'
import { decodeRecord, FRAME_SCHEMA } from '../../../shared/log/record.ts'
import type { RejectRecord } from '../../../shared/log/reject-record.ts'

export interface ReadEvent {
  readonly seq: number
  readonly bytes: Uint8Array
}

export interface ReadFrame {
  readonly sessionId: string
  /** The enriched context's JSON. */
  readonly contextJson: Uint8Array
  readonly sentAtMs: number
  readonly receivedAtMs: number
  readonly events: readonly ReadEvent[]
  /** Events of the frame that are refused again, alone. */
  readonly rejected: readonly RejectedEvent[]
  /** Whether the bytes passed the checks of a gateway, which leave no JSON that is ambiguous. */
  readonly isChecked: boolean
}

export type Reading =
  | { readonly kind: 'frames'; readonly frames: readonly ReadFrame[] }
  /** An event alone; its context is that of its session. */
  | { readonly kind: 'event'; readonly sessionId: string; readonly event: ReadEvent }
  | { readonly kind: 'invalid'; readonly code: string; readonly detail: string }

const encoder = new TextEncoder()

export function readSealed(
  reject: RejectRecord,
  bytes: Uint8Array,
  contexts: ContextEnricher,
): Reading {
  if (reject.stage === 'processor') return readPoison(bytes)
  if (reject.stage === 'cmcd') return readCmcd(reject, bytes, contexts)
  if (reject.sessionId !== undefined) return readEvent(reject.sessionId, reject, bytes)
  const result = decodeFrame(bytes, { numbered: false, limits: DEFAULT_FRAME_LIMITS })
  if (!result.ok) return { kind: 'invalid', code: result.code, detail: result.detail }
  const { context, contextBytes, sentAtMs, accepted, rejected } = result.frame
  const [refused] = rejected
  if (accepted.length === 0 && refused !== undefined)
    return { kind: 'invalid', code: refused.code, detail: refused.detail }
  const frame = { ...enriched(contexts, context, contextBytes), sentAtMs, rejected }
  return {
    kind: 'frames',
    frames: [{ ...frame, receivedAtMs: reject.receivedAtMs, events: accepted, isChecked: true }],
  }
}

/** An event is judged as in a frame of its own. */
function readEvent(sessionId: string, { receivedAtMs }: RejectRecord, bytes: Uint8Array): Reading {
  const frame = Buffer.concat([
    encoder.encode(
      `{"v":1,"sentAt":${receivedAtMs},"session":${JSON.stringify({ sessionId })},"events":[`,
    ),
    bytes,
    encoder.encode(']}'),
  ])
  const result = decodeFrame(frame, { numbered: false, limits: DEFAULT_FRAME_LIMITS })
  if (!result.ok) return { kind: 'invalid', code: result.code, detail: result.detail }
  const { accepted, rejected } = result.frame
  const [event] = accepted
  const [refused] = rejected
  if (event !== undefined && refused === undefined) return { kind: 'event', sessionId, event }
  return {
    kind: 'invalid',
    code: refused?.code ?? 'FRAME_EVENTS_INVALID',
    detail: refused?.detail ?? 'expected one event',
  }
}

function readCmcd(
  { receivedAtMs }: RejectRecord,
  bytes: Uint8Array,
  contexts: ContextEnricher,
): Reading {
  const { frames, rejected } = decodeCmcd(bytes, receivedAtMs)
  const [refused] = rejected
  if (refused !== undefined) return { kind: 'invalid', code: refused.code, detail: refused.detail }
  return {
    kind: 'frames',
    frames: frames.map(({ context, sentAtMs, events }) => ({
      ...enriched(contexts, context, encoder.encode(JSON.stringify(context))),
      sentAtMs,
      receivedAtMs,
      events,
      rejected: [],
      isChecked: true,
    })),
  }
}

/** A poison record has passed the gateway: its context is enriched already. */
function readPoison(value: Uint8Array): Reading {
  const headers = { schema: FRAME_SCHEMA }
  const maxMs = Number.MAX_SAFE_INTEGER
  const decoded = decodeRecord({
    value,
    headers,
    key: undefined,
    partition: 0,
    offset: 0,
    loggedAtMs: maxMs,
  })
  if (decoded.kind !== 'frame')
    return {
      kind: 'invalid',
      code: 'PROCESSOR_RECORD_POISON',
      detail: decoded.kind === 'poison' ? decoded.reason : 'a tick',
    }
  const { context, sentAtMs, receivedAtMs, events } = decoded
  return {
    kind: 'frames',
    frames: [
      {
        sessionId: context.sessionId,
        contextJson: encoder.encode(JSON.stringify(context)),
        sentAtMs,
        receivedAtMs,
        events: events.map((event) => ({
          seq: event.seq,
          bytes: encoder.encode(JSON.stringify(event)),
        })),
        rejected: [],
        isChecked: false,
      },
    ],
  }
}

/** The token and the country header that came with it are not kept: only what the context says. */
function enriched(contexts: ContextEnricher, context: SessionContext, bytes: Uint8Array) {
  // What comes back stands until the next call, and this is kept for longer.
  const contextJson = contexts.enrich({ contextBytes: bytes, context }, {}).slice()
  return { sessionId: context.sessionId, contextJson }
}
