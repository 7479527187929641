/**
 * From a feed's messages to records in the log, for one connection: mapped, offered to the intake as
 * any client's frames are, offered again while there is no room, and followed until the log has them.
 * What is in the log without a gap is the position that may be saved and acknowledged.
 *
 *   message ──room──► entry: its parts ──intake──► log ──► done ──► position moves on
 *      └──no room──► spool ──room──► entry      └─given back─► offered again
 */
import { decodeCmcd } from '../../shared/events/cmcd.ts'
import { decodeFrame } from '../../shared/events/frame.ts'
import { shorten } from '../../shared/events/issue-detail.ts'
import type { FrameLimits } from '../../shared/events/limits.ts'
import type { Clock } from '../../shared/runtime/clock.ts'
import type { IngestSource } from '../enrichment.ts'
import type { Intake } from '../intake.ts'
import type { Submission, SubmissionSink } from '../submission.ts'
import { MESSAGES_IN_FLIGHT_MAX, OFFER_AGAIN_MS, SPOOL_RESUME_SHARE } from './limits.ts'
import {
  assertMapped,
  MessageInvalid,
  type FeedMapping,
  type FeedPosition,
  type MappedMessage,
  type NumberedFrame,
  type UnnumberedFrame,
} from './mapping.ts'
import { SessionNumbers, type NumberedSession, type NumberingStep } from './session-numbers.ts'
import type { SpooledMessage } from './spool.ts'

export interface PipelineOptions {
  readonly feedId: string
  /** Of the feed, from 0. */
  readonly connection: number
  readonly intake: Intake
  readonly source: IngestSource
  readonly mapping: FeedMapping
  readonly frameLimits: FrameLimits
  readonly inFlightMaxBytes: number
  /** Whether numbers of messages go on over connections. */
  readonly numbersGoOn: boolean
  /** Whether the feed goes on from a cursor. */
  readonly resumable: boolean
  readonly spool: SpoolLike
  readonly from: PipelineStart
  readonly sessionsMax: number
  readonly clock: Clock
  readonly observer: PipelineObserver
}

export interface SpoolLike {
  readonly usedBytes: number
  readonly messages: number
  append(message: SpooledMessage): boolean
  take(): SpooledMessage | undefined
  clear(): void
}

/** Where the connection stands when it is taken over. */
export interface PipelineStart {
  readonly cursor: string
  readonly number: number | undefined
  /** Part of the identities of sessions that begin where the feed has no cursor. */
  readonly ownership: number
  readonly sessions: readonly NumberedSession[]
}

export interface PipelineObserver {
  /** Messages that came, of which the feed's numbers say that so many before them did not. */
  took(message: { readonly bytes: number; readonly missing: number }): void
  /** A message of the feed that was taken before. */
  repeated(): void
  rejected(code: string): void
  /** It will never be in the log; everything else goes on. */
  failed(position: FeedPosition, error: unknown): void
  /** More is in the log without a gap. */
  advanced(): void
  /** The disk failed: what was in the spool is gone, and nothing more can be put there. */
  spoolFailed(error: unknown): void
}

/** A part of a message that becomes one submission. */
type Body =
  | { readonly kind: 'frame'; readonly bytes: Uint8Array }
  | { readonly kind: 'cmcd'; readonly decoded: ReturnType<typeof decodeCmcd> }
  | { readonly kind: 'invalid'; readonly bytes: Uint8Array; readonly detail: string }

interface Entry {
  readonly bytes: number
  readonly receivedAtMs: number
  readonly position: FeedPosition
  readonly steps: readonly NumberingStep[]
  /** Parts that are not yet in the log. */
  open: number
}

interface Part {
  readonly entry: Entry
  readonly body: Body
  /** Rises with each part of the connection. */
  readonly order: number
}

const SOURCE_SESSION_LABEL = 'sourceSession'
const LABEL_MAX_CHARS = 64

export class Pipeline {
  readonly #options: PipelineOptions
  /** In the feed's order; the first ones are settled first. */
  readonly #entries: Entry[] = []
  /** Parts that have no room yet, in order unless some were given back. */
  #waiting: Part[] = []
  #isWaitingSorted = true
  /** Parts on their way into the log, in order. */
  readonly #submitted = new Map<Part, Submission>()
  #inFlightBytes = 0
  #cancelOffer: (() => void) | undefined
  #isStopped = false
  /** As of the last message that was mapped. */
  readonly #ahead: SessionNumbers
  #cursor: string
  #number: number | undefined
  #parts = 0
  /** Messages since the cursor changed. */
  #sinceCursor = 0
  #isUnspooling = false
  #numbersSessions: boolean
  /** As of everything that is in the log without a gap. */
  readonly #durable: SessionNumbers
  #durablePosition: FeedPosition

  constructor(options: PipelineOptions) {
    this.#options = options
    const { from, sessionsMax } = options
    this.#ahead = new SessionNumbers(sessionsMax, from.sessions)
    this.#durable = new SessionNumbers(sessionsMax, from.sessions)
    this.#numbersSessions = from.sessions.length > 0
    this.#cursor = from.cursor
    this.#number = from.number
    this.#durablePosition = from
  }

  /** Age of the oldest message that is not yet in the log; those in the spool are younger. */
  lagMs(nowMs: number): number {
    const [oldest] = this.#entries
    return oldest === undefined ? 0 : Math.max(0, nowMs - oldest.receivedAtMs)
  }

  get inFlightBytes(): number {
    return this.#inFlightBytes
  }

  get isIdle(): boolean {
    return this.#entries.length === 0 && this.#options.spool.messages === 0
  }

  /** Whether a feed may be opened again after it had to be closed for want of room. */
  get hasRoomAgain(): boolean {
    return this.#isLight && this.#options.spool.messages === 0
  }

  /** From where a connection that is opened now goes on. */
  get cursor(): string {
    return this.#cursor
  }

  /** What may be saved: everything up to it is in the log. */
  get durable(): FeedPosition & { readonly sessions: NumberedSession[] } {
    return { ...this.#durablePosition, sessions: this.#durable.sessions }
  }

  get durablePosition(): FeedPosition {
    return this.#durablePosition
  }

  /** Whether identities are made here: then they belong to the position. */
  get numbersSessions(): boolean {
    return this.#numbersSessions
  }

  get sessions(): number {
    return this.#ahead.size
  }

  /** A connection begins; numbers that do not go on begin with it. */
  begin(isResumed: boolean): void {
    if (!this.#options.numbersGoOn) this.#number = undefined
    // What is in the spool comes again.
    if (isResumed) this.#options.spool.clear()
  }

  /** False when there is no room for the message, in memory or in the spool. */
  receive(bytes: Uint8Array): boolean {
    const { spool, clock, inFlightMaxBytes } = this.#options
    const message = { bytes, receivedAtMs: clock.nowMs() }
    const hasRoom = this.#inFlightBytes + bytes.length <= inFlightMaxBytes
    if (hasRoom && spool.messages === 0 && this.#entries.length < MESSAGES_IN_FLIGHT_MAX) {
      this.#take(message)
      return true
    }
    try {
      return spool.append(message)
    } catch (error) {
      this.#options.observer.spoolFailed(error)
      return false
    }
  }

  /** What is under way is given up: nothing more is offered, saved or told. */
  stop(): void {
    this.#isStopped = true
    this.#cancelOffer?.()
    this.#waiting = []
  }

  get #isLight(): boolean {
    return (
      this.#inFlightBytes <= this.#options.inFlightMaxBytes * SPOOL_RESUME_SHARE &&
      this.#entries.length <= MESSAGES_IN_FLIGHT_MAX * SPOOL_RESUME_SHARE
    )
  }

  #take({ bytes, receivedAtMs }: SpooledMessage): void {
    const mapped = this.#map(bytes)
    const { cursor, number } = mapped.position ?? {}
    if (this.#isRepeat(number)) return this.#options.observer.repeated()
    const missing = this.#follow(number)
    this.#sinceCursor = cursor === undefined || cursor === this.#cursor ? this.#sinceCursor + 1 : 0
    this.#cursor = cursor ?? this.#cursor
    const steps: NumberingStep[] = []
    const bodies = this.#bodiesOf({ ...mapped, bytes }, receivedAtMs, steps)
    this.#options.observer.took({ bytes: bytes.length, missing })
    const entry: Entry = {
      bytes: bytes.length,
      receivedAtMs,
      position: { cursor: this.#cursor, number: this.#number },
      steps,
      open: bodies.length,
    }
    this.#entries.push(entry)
    this.#inFlightBytes += entry.bytes
    for (const body of bodies) this.#waiting.push({ entry, body, order: (this.#parts += 1) })
    this.#offer()
    this.#settle()
  }

  #map(bytes: Uint8Array): MappedMessage & { readonly invalid?: Body } {
    try {
      const mapped = this.#options.mapping.map(bytes)
      assertMapped(mapped)
      this.#refuseWithoutPlace(mapped)
      return mapped
    } catch (error) {
      return { invalid: invalid(bytes, error) }
    }
  }

  /** The feed repeats what follows a cursor: what has none of its own would be numbered twice. */
  #refuseWithoutPlace({ frames = [], position }: MappedMessage): void {
    const { resumable, numbersGoOn } = this.#options
    const hasPlace = position?.cursor !== undefined && position.cursor !== this.#cursor
    if (!resumable || hasPlace || (numbersGoOn && position?.number !== undefined)) return
    if (frames.some((frame) => !(frame instanceof Uint8Array) && 'sourceSession' in frame))
      throw new MessageInvalid(
        'expected a cursor of its own, since its events have no numbers, received none that is new',
      )
  }

  #isRepeat(number: number | undefined): boolean {
    const { numbersGoOn } = this.#options
    return numbersGoOn && (number ?? Infinity) <= (this.#number ?? -Infinity)
  }

  /** Messages that are missing before this one. */
  #follow(number: number | undefined): number {
    if (number === undefined) return 0
    const expected = this.#number === undefined ? number : this.#number + 1
    this.#number = number
    return Math.max(0, number - expected)
  }

  #bodiesOf(
    message: MappedMessage & { readonly invalid?: Body; readonly bytes: Uint8Array },
    receivedAtMs: number,
    steps: NumberingStep[],
  ): Body[] {
    const { frames = [], cmcd, bytes } = message
    if (message.invalid !== undefined) return [message.invalid]
    try {
      const bodies = frames.map((frame, index): Body => {
        if (frame instanceof Uint8Array) return { kind: 'frame', bytes: frame }
        const numbered = 'sourceSession' in frame ? this.#numbered(frame, index, steps) : frame
        const { session, events, sentAt = receivedAtMs } = numbered
        const text = JSON.stringify({ v: 1, sentAt, session, events })
        return { kind: 'frame', bytes: Buffer.from(text) }
      })
      const decoded = cmcd && decodeCmcd(cmcd, receivedAtMs)
      // A blank body is none.
      if (decoded !== undefined && decoded.frames.length + decoded.rejected.length > 0)
        bodies.push({ kind: 'cmcd', decoded })
      return bodies
    } catch (error) {
      // It holds what no JSON can. Numbers that were taken stay taken, in the state as well.
      return [invalid(bytes, error)]
    }
  }

  #numbered(frame: UnnumberedFrame, index: number, steps: NumberingStep[]): NumberedFrame {
    const { sourceSession: source, session, events, ends = false } = frame
    this.#numbersSessions = true
    const taken = { source, count: events.length, ends, startKey: this.#startKey(index) }
    const { sessionId, firstSeq, step } = this.#ahead.take(taken)
    steps.push(step)
    const labels = { ...session.labels, [SOURCE_SESSION_LABEL]: source.slice(0, LABEL_MAX_CHARS) }
    return {
      session: { ...session, labels, sessionId },
      sentAt: frame.sentAt,
      events: events.map((event, at) => ({ ...event, seq: firstSeq + at })),
    }
  }

  /** The same whenever the feed repeats the message; where it cannot, of this ownership alone. */
  #startKey(index: number): string {
    const { from, feedId, connection } = this.#options
    const place = this.#cursor === '' ? `${from.ownership}` : this.#cursor
    return JSON.stringify([feedId, connection, place, this.#sinceCursor, index])
  }

  /** Offers what waits, in order, until there is no room. */
  #offer(): void {
    this.#cancelOffer?.()
    this.#cancelOffer = undefined
    if (!this.#isWaitingSorted) this.#waiting.sort((a, b) => a.order - b.order)
    this.#isWaitingSorted = true
    let offered = 0
    for (const part of this.#waiting) {
      const submission = this.#submit(part)
      if (submission === undefined) break
      this.#submitted.set(part, submission)
      offered += 1
    }
    if (offered > 0) this.#waiting = this.#waiting.slice(offered)
    if (this.#waiting.length > 0) this.#offerLater()
  }

  #offerLater(): void {
    this.#cancelOffer ??= this.#options.clock.after(OFFER_AGAIN_MS, () => {
      this.#cancelOffer = undefined
      this.#offer()
    })
  }

  #submit(part: Part): Submission | undefined {
    const { intake, source, frameLimits, observer } = this.#options
    const { entry, body } = part
    const { receivedAtMs } = entry
    const arrival = { sink: this.#sinkOf(part), source, frameNumber: -1, receivedAtMs }
    intake.countFrame('relay')
    const submission = submitBody()
    for (const { code } of submission?.rejections ?? []) observer.rejected(code)
    return submission

    function submitBody(): Submission | undefined {
      if (body.kind === 'cmcd') return intake.submitCmcd(body.decoded, arrival)
      if (body.kind === 'invalid') {
        const problem = { code: 'FEED_MESSAGE_INVALID', detail: body.detail } as const
        return intake.submitUnreadable(body.bytes, problem, arrival)
      }
      const result = decodeFrame(body.bytes, { numbered: false, limits: frameLimits })
      return result.ok
        ? intake.submitFrame(result.frame, arrival)
        : intake.submitUnreadable(body.bytes, result, arrival)
    }
  }

  #sinkOf(part: Part): SubmissionSink {
    return {
      durable: () => this.#done(part),
      refused: () => this.#giveBack(part),
      failed: (_submission, error) => {
        if (!this.#isStopped) this.#options.observer.failed(part.entry.position, error)
        this.#done(part)
      },
    }
  }

  /** What comes after it waits as well, so that a session's events keep their order. */
  #giveBack(refused: Part): void {
    if (this.#isStopped) return
    for (const [part, submission] of this.#submitted) {
      if (part.order < refused.order) continue
      submission.drop('behindRefused')
      this.#submitted.delete(part)
      this.#waiting.push(part)
    }
    this.#isWaitingSorted = false
    this.#offerLater()
  }

  #done(part: Part): void {
    this.#submitted.delete(part)
    part.entry.open -= 1
    if (!this.#isStopped && part.entry.open === 0) this.#settle()
  }

  /** What is in the log without a gap leaves, and makes room. */
  #settle(): void {
    let settled = 0
    for (const { open, bytes, steps, position } of this.#entries) {
      if (open > 0) break
      settled += 1
      this.#inFlightBytes -= bytes
      for (const step of steps) this.#durable.apply(step)
      this.#durablePosition = position
    }
    if (settled === 0) return
    this.#entries.splice(0, settled)
    this.#options.observer.advanced()
    this.#unspool()
  }

  #unspool(): void {
    if (this.#isUnspooling) return
    this.#isUnspooling = true
    while (this.#isLight) {
      const message = this.#fromSpool()
      if (message === undefined) break
      this.#take(message)
    }
    this.#isUnspooling = false
  }

  #fromSpool(): SpooledMessage | undefined {
    const { spool, observer } = this.#options
    try {
      return spool.take()
    } catch (error) {
      spool.clear()
      observer.spoolFailed(error)
      return undefined
    }
  }
}

function invalid(bytes: Uint8Array, error: unknown): Body {
  // A mapping that fails on a message does not understand it, whatever it throws.
  const detail = error instanceof MessageInvalid ? error.message : `mapping: ${String(error)}`
  return { kind: 'invalid', bytes, detail: shorten(detail) }
}
