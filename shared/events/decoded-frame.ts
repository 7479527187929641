/** What a frame was found to be, whichever way it was read. */
import type { EventErrorCode, FrameErrorCode } from './event-errors.ts'
import type { FrameLimits } from './limits.ts'
import {
  EVENT_TYPES,
  type PlaybackEventType,
  type SessionContext,
  sessionContextSchema,
} from './schema.ts'

export interface FrameOptions {
  /** Whether the frame must carry its number (WebSocket) or carries none (HTTP). */
  readonly numbered: boolean
  readonly limits: FrameLimits
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

/** Where an accepted event lies in its frame, and what it is. */
export interface AcceptedSpan {
  readonly start: number
  /** Exclusive. */
  readonly end: number
  readonly seq: number
  readonly type: PlaybackEventType
}

interface FrameParts {
  readonly frameNumber: number | undefined
  readonly sentAtMs: number
  readonly sessionId: string
  /** `undefined` when it was found valid without being read. */
  readonly context: SessionContext | undefined
  readonly contextStart: number
  readonly contextEnd: number
  /** Start, end, seq and index of the type of each accepted event, one after another. */
  readonly accepted: readonly number[]
  readonly rejected: readonly RejectedEvent[]
}

/** Numbers that stand for one event in `FrameParts.accepted`. */
const PACKED = 4
const COMMA = 0x2c
const NO_BYTES = new Uint8Array(0)
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

export function packed(spans: readonly AcceptedSpan[]): number[] {
  return spans.flatMap(({ start, end, seq, type }) => [start, end, seq, EVENT_TYPES.indexOf(type)])
}

/** Views into the frame's bytes; what few callers need is made when it is asked for. */
export class DecodedFrame {
  /** Absent in a frame that came without a number (HTTP). */
  readonly frameNumber: number | undefined
  /** Device clock at transmission, epoch ms. */
  readonly sentAtMs: number
  readonly sessionId: string
  /** In the frame's order. */
  readonly rejected: readonly RejectedEvent[]
  readonly #bytes: Uint8Array
  readonly #contextStart: number
  readonly #contextEnd: number
  readonly #accepted: readonly number[]
  #context: SessionContext | undefined

  constructor(bytes: Uint8Array, parts: FrameParts) {
    this.frameNumber = parts.frameNumber
    this.sentAtMs = parts.sentAtMs
    this.sessionId = parts.sessionId
    this.rejected = parts.rejected
    this.#bytes = bytes
    this.#contextStart = parts.contextStart
    this.#contextEnd = parts.contextEnd
    this.#accepted = parts.accepted
    this.#context = parts.context
  }

  /** The context's own bytes, a view into the frame. */
  get contextBytes(): Uint8Array {
    return this.#bytes.subarray(this.#contextStart, this.#contextEnd)
  }

  /** Read from the frame's bytes, which must still be there. */
  get context(): SessionContext {
    this.#context ??= sessionContextSchema.parse(JSON.parse(decoder.decode(this.contextBytes)))
    return this.#context
  }

  get acceptedCount(): number {
    return this.#accepted.length / PACKED
  }

  /** In the frame's order; a seq that comes twice is here twice. */
  get accepted(): AcceptedEvent[] {
    return Array.from({ length: this.acceptedCount }, (_, index) => {
      const [start, end, seq = 0, type = 0] = this.#accepted.slice(index * PACKED)
      return { seq, type: typeAt(type), bytes: this.#bytes.subarray(start, end) }
    })
  }

  /**
   * The accepted events as they came, with a comma between two: a view into the frame where they
   * stand like that in it, as most clients write them.
   */
  get acceptedBytes(): Uint8Array {
    const accepted = this.#accepted
    if (accepted.length === 0) return NO_BYTES
    for (let at = PACKED; at < accepted.length; at += PACKED)
      // What stands in one byte between two events is their comma.
      if (accepted[at] !== (accepted[at - PACKED + 1] ?? 0) + 1) return this.#joined()
    return this.#bytes.subarray(accepted[0], accepted[accepted.length - PACKED + 1])
  }

  #joined(): Uint8Array {
    const bytes = new Uint8Array(this.#bytes.length)
    let end = 0
    for (let at = 0; at < this.#accepted.length; at += PACKED) {
      if (at > 0) bytes[end++] = COMMA
      const event = this.#bytes.subarray(this.#accepted[at], this.#accepted[at + 1])
      bytes.set(event, end)
      end += event.length
    }
    return bytes.subarray(0, end)
  }
}

function typeAt(index: number): PlaybackEventType {
  const type = EVENT_TYPES[index]
  if (type === undefined) throw new Error(`assertion failed: no event type ${index}`)
  return type
}
