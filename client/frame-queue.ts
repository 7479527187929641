/**
 * Frames that wait for their acknowledgement. An event is serialised once, when it is accepted;
 * a transmission only puts number and send time in front, so resent bytes never change.
 */
import type { PlaybackEvent, SessionContext } from './protocol-types.ts'

export interface QueuedEvent {
  readonly seq: number
  readonly json: string
  readonly bytes: number
}

export interface QueuedFrame {
  readonly sessionId: string
  /** The session context, serialised. */
  readonly contextJson: string
  readonly contextBytes: number
  readonly events: readonly QueuedEvent[]
  /** UTF-8 bytes of everything behind the prefix. */
  readonly bodyBytes: number
  /** Whether it was sent before, on this connection or an earlier one. */
  transmitted: boolean
}

export interface FrameBounds {
  readonly bytesMax: number
  readonly eventsMax: number
}

/** Longest prefix: a frame number and a time of 16 digits each. */
const PREFIX_BYTES_MAX = framePrefix(Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER).length
const BODY_FRAME_BYTES = '"session":,"events":[]}'.length

/** Largest the frame can be on the wire. */
export function frameBytesAtMost(frame: QueuedFrame): number {
  return PREFIX_BYTES_MAX + frame.bodyBytes
}

/** The part that changes with every transmission; ASCII, so its length is its bytes. */
export function framePrefix(frameNumber: number | undefined, sentAtMs: number): string {
  return frameNumber === undefined
    ? `{"v":1,"sentAt":${sentAtMs},`
    : `{"v":1,"frame":${frameNumber},"sentAt":${sentAtMs},`
}

export function frameBody(frame: QueuedFrame): string {
  return `"session":${frame.contextJson},"events":[${frame.events.map((event) => event.json).join(',')}]}`
}

export interface CutFrames {
  readonly frames: readonly QueuedFrame[]
  /** Events that do not fit a frame of their own. */
  readonly tooLarge: readonly QueuedEvent[]
}

/** Serialises a session's events into as few frames as the bounds allow, in order. */
export function cutFrames(
  session: SessionContext,
  events: readonly PlaybackEvent[],
  bounds: FrameBounds,
): CutFrames {
  const contextJson = JSON.stringify(session)
  const queued = events.map((event): QueuedEvent => {
    const json = JSON.stringify(event)
    return { seq: event.seq, json, bytes: utf8Length(json) }
  })
  const head = { sessionId: session.sessionId, contextJson, contextBytes: utf8Length(contextJson) }
  return cut({ ...head, transmitted: false }, queued, bounds)
}

/** Cuts a frame that was made for a more generous server; the events' bytes stay as they are. */
export function recutFrame(frame: QueuedFrame, bounds: FrameBounds): CutFrames {
  return cut(frame, frame.events, bounds)
}

type FrameHead = Omit<QueuedFrame, 'events' | 'bodyBytes'>

function cut(head: FrameHead, events: readonly QueuedEvent[], bounds: FrameBounds): CutFrames {
  const { sessionId, contextJson, contextBytes, transmitted } = head
  const fixedBytes = BODY_FRAME_BYTES + contextBytes
  const bodyBytesMax = bounds.bytesMax - PREFIX_BYTES_MAX
  const frames: QueuedFrame[] = []
  const tooLarge: QueuedEvent[] = []
  let open: QueuedEvent[] = []
  let bodyBytes = fixedBytes
  const finish = () => {
    if (open.length === 0) return
    frames.push({ sessionId, contextJson, contextBytes, events: open, bodyBytes, transmitted })
    open = []
    bodyBytes = fixedBytes
  }
  for (const event of events) {
    if (fixedBytes + event.bytes > bodyBytesMax) {
      tooLarge.push(event)
      continue
    }
    const comma = open.length === 0 ? 0 : 1
    if (open.length >= bounds.eventsMax || bodyBytes + comma + event.bytes > bodyBytesMax) finish()
    bodyBytes += event.bytes + (open.length === 0 ? 0 : 1)
    open.push(event)
  }
  finish()
  return { frames, tooLarge }
}

/** Length in UTF-8 of a well-formed string, as `JSON.stringify` makes them. */
export function utf8Length(text: string): number {
  let bytes = text.length
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index)
    if (unit < 0x80) continue
    // Two units of a surrogate pair are four bytes: two for each.
    bytes += unit < 0x800 || (unit >= 0xd800 && unit <= 0xdfff) ? 1 : 2
  }
  return bytes
}

/** First in, first out; bounded by the client before it pushes. */
export class FrameQueue {
  readonly #frames: QueuedFrame[] = []
  #bytes = 0
  #events = 0

  get frames(): number {
    return this.#frames.length
  }

  /** Bytes of all frames, each at its largest. */
  get bytes(): number {
    return this.#bytes
  }

  get events(): number {
    return this.#events
  }

  at(index: number): QueuedFrame | undefined {
    return this.#frames[index]
  }

  push(frames: readonly QueuedFrame[]): void {
    for (const frame of frames) {
      this.#frames.push(frame)
      this.#count(frame, 1)
    }
  }

  removeFirst(count: number): readonly QueuedFrame[] {
    return this.#splice(0, count, [])
  }

  /** Puts smaller frames in the place of one. */
  replace(index: number, frames: readonly QueuedFrame[]): void {
    this.#splice(index, 1, frames)
  }

  /** The frames from `index` on, in order. */
  from(index: number): readonly QueuedFrame[] {
    return this.#frames.slice(index)
  }

  /** The first `count` frames, in order. */
  first(count: number): readonly QueuedFrame[] {
    return this.#frames.slice(0, count)
  }

  #splice(start: number, count: number, put: readonly QueuedFrame[]): readonly QueuedFrame[] {
    const removed = this.#frames.splice(start, count, ...put)
    for (const frame of removed) this.#count(frame, -1)
    for (const frame of put) this.#count(frame, 1)
    return removed
  }

  #count(frame: QueuedFrame, sign: 1 | -1): void {
    this.#bytes += sign * frameBytesAtMost(frame)
    this.#events += sign * frame.events.length
  }
}
