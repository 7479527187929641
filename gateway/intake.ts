/**
 * From decoded frames to records in lanes, the same for WebSocket, HTTP and CMCD: what was accepted
 * goes to `playback.events`, what was rejected to `playback.rejects`, all or nothing. Everything is
 * copied before these functions return, so the caller's bytes may go away.
 */
import type { decodeCmcd } from '../shared/events/cmcd.ts'
import type { DecodedFrame, FrameResult } from '../shared/events/decoded-frame.ts'
import type { FeedErrorCode, FrameErrorCode } from '../shared/events/event-errors.ts'
import type { SessionContext } from '../shared/events/schema.ts'
import { partitionOf } from '../shared/log/partitioner.ts'
import { encodeFrameRecord } from '../shared/log/record.ts'
import type { Clock } from '../shared/runtime/clock.ts'
import type { ByteBudget } from './byte-budget.ts'
import type { Enrichment, IngestSource } from './enrichment.ts'
import type { Lanes } from './lanes.ts'
import type { Ledgers, RefusalReason, Transport } from './ledger.ts'
import type { Rejected, Rejects } from './rejects.ts'
import { Submission, type SubmissionSink } from './submission.ts'

export interface IntakeOptions {
  readonly lanes: Lanes
  readonly rejects: Rejects
  readonly enrichment: Enrichment
  readonly budget: ByteBudget
  readonly ledgers: Ledgers
  readonly clock: Clock
}

/** One arrival: who waits for it, from where, when. */
export interface Arrival {
  readonly sink: SubmissionSink
  readonly source: IngestSource
  /** −1 without a number. */
  readonly frameNumber: number
  /** Gateway clock, epoch ms. */
  readonly receivedAtMs: number
}

type UnreadableFrame = Pick<Extract<FrameResult, { ok: false }>, 'detail'> & {
  readonly frameNumber?: number | undefined
  readonly code: FrameErrorCode | FeedErrorCode
}

interface FrameToKeep {
  readonly source: { readonly context: SessionContext; readonly contextBytes: Uint8Array }
  readonly sessionId: string
  readonly sentAtMs: number
  readonly acceptedCount: number
  /** Each one event, or several with a comma between two. */
  readonly accepted: readonly Uint8Array[]
  readonly rejectedSeqs: readonly number[]
}

const NO_SEQS: readonly number[] = []
const encoder = new TextEncoder()

export class Intake {
  readonly #options: IntakeOptions

  constructor(options: IntakeOptions) {
    this.#options = options
  }

  /** Returns undefined when there is no room: the frame counts as refused. */
  submitFrame(frame: DecodedFrame, arrival: Arrival): Submission | undefined {
    const { acceptedCount, rejected, sessionId, sentAtMs } = frame
    const count = acceptedCount + rejected.length
    if (this.#options.budget.isHigh && !this.#hasRoomFor(frame)) {
      this.countRefused({ events: count, reason: 'overload' })
      return undefined
    }
    this.#options.ledgers.events.arrive(count)
    const submission = this.#begin(arrival)
    const kept =
      this.#keepFrame(submission, arrival, {
        source: frame,
        sessionId,
        sentAtMs,
        acceptedCount,
        accepted: acceptedCount === 0 ? [] : [frame.acceptedBytes],
        rejectedSeqs: rejected.length === 0 ? NO_SEQS : seqsOf(rejected),
      }) && this.#keepRejectedEvents(submission, arrival, frame)
    return this.#settle(submission, kept, { events: count })
  }

  /** A frame that cannot be read at all is kept, sealed, and rejected as a whole. */
  submitUnreadable(
    bytes: Uint8Array,
    problem: UnreadableFrame,
    arrival: Arrival,
  ): Submission | undefined {
    this.#options.ledgers.unreadable.arrive(1)
    const submission = this.#begin(arrival)
    const { code, detail } = problem
    submission.isUnnumbered = problem.frameNumber === undefined
    submission.reject({ code, detail })
    const { receivedAtMs } = arrival
    const reject: Rejected = { stage: 'gateway', code, detail, bytes, receivedAtMs }
    const kept = this.#keepReject(submission, 'unreadable', reject)
    return this.#settle(submission, kept, { unreadable: 1 })
  }

  /** A CMCD body: frames of possibly several sessions, and lines that could not be used. */
  submitCmcd(body: ReturnType<typeof decodeCmcd>, arrival: Arrival): Submission | undefined {
    const { ledgers } = this.#options
    let events = 0
    for (const frame of body.frames) events += frame.events.length
    const unreadable = body.rejected.length
    ledgers.events.arrive(events)
    ledgers.unreadable.arrive(unreadable)
    const submission = this.#begin(arrival)
    let kept = true
    for (const { context, sentAtMs, events: accepted } of body.frames)
      kept &&= this.#keepFrame(submission, arrival, {
        source: { context, contextBytes: encoder.encode(JSON.stringify(context)) },
        sessionId: context.sessionId,
        sentAtMs,
        acceptedCount: accepted.length,
        accepted: accepted.map((event) => event.bytes),
        rejectedSeqs: NO_SEQS,
      })
    for (const { line, code, detail, bytes } of body.rejected) {
      submission.reject({ line, code, detail })
      const { receivedAtMs } = arrival
      const reject: Rejected = { stage: 'cmcd', code, detail, bytes, receivedAtMs }
      kept &&= this.#keepReject(submission, 'unreadable', reject)
    }
    return this.#settle(submission, kept, { events, unreadable })
  }

  countFrame(transport: Transport): void {
    this.#options.ledgers.frames[transport] += 1
  }

  /** Counts what was received and given back without being kept at all. */
  countRefused(refused: {
    readonly events?: number
    readonly unreadable?: number
    readonly reason: RefusalReason
  }): void {
    const { ledgers } = this.#options
    const { events = 0, unreadable = 0, reason } = refused
    ledgers.events.arrive(events)
    ledgers.events.refuse(events, reason)
    ledgers.unreadable.arrive(unreadable)
    ledgers.unreadable.refuse(unreadable, reason)
  }

  #begin(arrival: Arrival): Submission {
    const { ledgers, clock } = this.#options
    return new Submission({
      sink: arrival.sink,
      frameNumber: arrival.frameNumber,
      arrivedAtMs: clock.monotonicMs(),
      ledgers,
    })
  }

  /** A cheap look before the record is built and its rejects are sealed. */
  #hasRoomFor(frame: DecodedFrame): boolean {
    let bytes = frame.contextBytes.length + frame.acceptedBytes.length
    for (const event of frame.rejected) bytes += event.bytes.length
    return this.#options.budget.has(bytes)
  }

  #keepFrame(submission: Submission, arrival: Arrival, frame: FrameToKeep): boolean {
    if (frame.acceptedCount === 0 && frame.rejectedSeqs.length === 0) return true
    const { lanes, enrichment } = this.#options
    const { overrides, headers } = arrival.source
    const contextJson = enrichment.contexts.enrich(frame.source, overrides)
    const key = frame.sessionId
    const lane = lanes.events[partitionOf(key, lanes.events.length)]
    if (lane === undefined) throw new Error('assertion failed: every partition has a lane')
    const toEncode = {
      contextJson,
      sentAtMs: frame.sentAtMs,
      receivedAtMs: arrival.receivedAtMs,
      rejectedSeqs: frame.rejectedSeqs,
      events: frame.accepted,
    }
    const value = encodeFrameRecord(toEncode, lane.slab)
    return submission.add(lane, { key, value, headers }, 'events', frame.acceptedCount)
  }

  #keepRejectedEvents(submission: Submission, arrival: Arrival, frame: DecodedFrame): boolean {
    const { sessionId } = frame
    const { receivedAtMs } = arrival
    for (const { seq, code, detail, bytes } of frame.rejected) {
      submission.reject({ seq, code, detail })
      const reject: Rejected = {
        stage: 'gateway',
        sessionId,
        seq,
        code,
        detail,
        bytes,
        receivedAtMs,
      }
      if (!this.#keepReject(submission, 'rejectedEvent', reject)) return false
    }
    return true
  }

  #keepReject(
    submission: Submission,
    kind: 'rejectedEvent' | 'unreadable',
    rejected: Rejected,
  ): boolean {
    const { lanes, rejects } = this.#options
    const { partition, record } = rejects.place(rejected)
    const lane = lanes.rejects[partition]
    if (lane === undefined) throw new Error('assertion failed: every partition has a lane')
    return submission.add(lane, record, kind, 1)
  }

  /** Without room for all, what found room is given back with the rest. */
  #settle(
    submission: Submission,
    kept: boolean,
    arrived: { readonly events?: number; readonly unreadable?: number },
  ): Submission | undefined {
    if (kept) return submission
    submission.drop('overload')
    const { events = 0, unreadable = 0 } = arrived
    const { ledgers } = this.#options
    ledgers.events.refuse(events - submission.added.events, 'overload')
    ledgers.unreadable.refuse(unreadable - submission.added.unreadable, 'overload')
    return undefined
  }
}

function seqsOf(rejected: DecodedFrame['rejected']): readonly number[] {
  const seqs: number[] = []
  for (const { seq } of rejected) if (seq !== undefined) seqs.push(seq)
  return seqs
}
