/**
 * What a client sent as one unit (a frame, a request) on its way into the log. It is durable when
 * all of its records are; until then it can be given back as a whole. Its records keep the books.
 */
import { LaneRecord, type Lane, type RecordKind, type RecordOwner } from './lane.ts'
import type { NewRecord } from '../shared/log/event-log.ts'
import type { Ledgers, RefusalReason } from './ledger.ts'

/** What is told to the client about an event, line or frame that will not be accepted. */
export interface Rejection {
  readonly seq?: number | undefined
  /** Line of a CMCD body, from 1. */
  readonly line?: number | undefined
  readonly code: string
  readonly detail: string
}

/** Exactly one of these is called, once, unless the submission is dropped first. */
export interface SubmissionSink {
  durable(submission: Submission): void
  /** Given back: nothing of it may be acknowledged, and it may be sent again. */
  refused(submission: Submission, reason: RefusalReason): void
  /** The log will never take it. */
  failed(submission: Submission, error: unknown): void
}

export interface SubmissionOptions {
  readonly sink: SubmissionSink
  readonly ledgers: Ledgers
  /** The frame's number on its connection; −1 where there is none. */
  readonly frameNumber: number
  readonly arrivedAtMs: number
}

export class Submission implements RecordOwner {
  readonly frameNumber: number
  /** Monotonic. */
  readonly arrivedAtMs: number
  readonly #sink: SubmissionSink
  readonly #ledgers: Ledgers
  /** Nearly all have one record; a list would be the largest thing that a frame on its way keeps. */
  #record: LaneRecord | undefined
  #others: LaneRecord[] | undefined
  #waitsFor = 0
  #state: 'live' | 'durable' | 'dropped' = 'live'
  #reason: RefusalReason = 'overload'
  rejections: Rejection[] | undefined
  /** A frame whose own number could not be read. */
  isUnnumbered = false

  constructor(options: SubmissionOptions) {
    this.frameNumber = options.frameNumber
    this.arrivedAtMs = options.arrivedAtMs
    this.#sink = options.sink
    this.#ledgers = options.ledgers
  }

  get isLive(): boolean {
    return this.#state === 'live'
  }

  get isDurable(): boolean {
    return this.#state === 'durable'
  }

  /** What its records stand for. */
  get added(): { readonly events: number; readonly unreadable: number } {
    let events = 0
    let unreadable = 0
    for (const { kind, count } of this.#all())
      if (kind === 'unreadable') unreadable += count
      else events += count
    return { events, unreadable }
  }

  /** Puts a record into its lane; false when there is no room. `count` of its kind has arrived. */
  add(lane: Lane, record: NewRecord, kind: RecordKind, count: number): boolean {
    const entry = new LaneRecord(record, kind, count, this)
    if (!lane.offer(entry)) return false
    if (this.#record === undefined) this.#record = entry
    else (this.#others ??= []).push(entry)
    this.#waitsFor += 1
    return true
  }

  reject(rejection: Rejection): void {
    this.rejections ??= []
    this.rejections.push(rejection)
  }

  /** Gives everything back without a word to the sink; what is being appended may still become durable. */
  drop(reason: RefusalReason): void {
    if (!this.isLive) return
    this.#state = 'dropped'
    this.#reason = reason
    for (const record of this.#all()) record.lane?.discard(record)
  }

  refuse(reason: RefusalReason): void {
    if (!this.isLive) return
    this.drop(reason)
    this.#sink.refused(this, reason)
  }

  recordAppended(record: LaneRecord, nowMs: number): void {
    if (record.kind === 'events')
      this.#ledgers.events.accept(record.count, nowMs - this.arrivedAtMs)
    else if (record.kind === 'rejectedEvent') this.#ledgers.events.reject(record.count)
    else this.#ledgers.unreadable.reject(record.count)
    this.#waitsFor -= 1
    if (this.#waitsFor > 0 || !this.isLive) return
    this.#state = 'durable'
    this.#sink.durable(this)
  }

  recordDropped(record: LaneRecord): void {
    this.#refuseInLedger(record, this.#reason)
  }

  recordFailed(record: LaneRecord, error: unknown): void {
    this.#refuseInLedger(record, 'append')
    if (!this.isLive) return
    this.drop('append')
    this.#sink.failed(this, error)
  }

  #all(): readonly LaneRecord[] {
    return this.#record === undefined ? [] : [this.#record, ...(this.#others ?? [])]
  }

  #refuseInLedger(record: LaneRecord, reason: RefusalReason): void {
    const ledger = record.kind === 'unreadable' ? this.#ledgers.unreadable : this.#ledgers.events
    ledger.refuse(record.count, reason)
  }
}
