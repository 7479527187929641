/**
 * A lane collects records of all connections for one (topic, partition) and appends them batch by
 * batch, one append at a time, so that their order stands. It is bounded in records and bytes,
 * repeats what failed for a while, and tells the owner of a record that waits past its deadline.
 *
 *   idle ──offer──► lingering ──its turn──► appending ──done──► idle | lingering
 *                   │      ▲                    │
 *     nothing left  ▼      │ wait over          ▼ failed
 *                  idle    └──────────────── backingOff
 *
 * When its turn comes is the business of `lane-pacer.ts`.
 */
import type { Appended, EventLog, NewRecord } from '../shared/log/event-log.ts'
import { BackhaulError } from '../shared/runtime/errors.ts'
import type { Clock } from '../shared/runtime/clock.ts'
import type { Failpoints } from '../shared/runtime/failpoints.ts'
import type { Random } from '../shared/runtime/random.ts'
import type { ByteBudget } from './byte-budget.ts'
import type { LanePacer, PacedLane } from './lane-pacer.ts'
import type { RefusalReason } from './ledger.ts'
import {
  APPEND_RETRY_MAX_MS,
  APPEND_RETRY_MS,
  APPEND_STALL_MS,
  LANE_DEAD_ENTRIES_MAX,
  LANE_SLOW_MS,
  LOG_DOWN_HOLD_MS,
  RECORD_COST_BYTES,
} from './limits.ts'
import { RecordSlab } from './record-slab.ts'

/** What waits for records to become durable: a frame, a request. */
export interface RecordOwner {
  /** False once the records were given back: whatever is not under way is dropped. */
  readonly isLive: boolean
  /** `nowMs` is monotonic: when the log had taken it. */
  recordAppended(record: LaneRecord, nowMs: number): void
  /** The record left the lane unappended, after its owner was refused. */
  recordDropped(record: LaneRecord): void
  /** The log will never take the record. */
  recordFailed(record: LaneRecord, error: unknown): void
  /** The owner of the overdue `record` is given back; it discards its queued records. */
  refuse(reason: RefusalReason, record: LaneRecord): void
}

export type RecordKind = 'events' | 'rejectedEvent' | 'unreadable'

const NO_BYTES = new Uint8Array(0)

export class LaneRecord implements NewRecord {
  readonly key: string | undefined
  value: Uint8Array
  readonly headers: Readonly<Record<string, string>>
  readonly kind: RecordKind
  /** How many events, or unreadable frames, the record stands for. */
  readonly count: number
  readonly costBytes: number
  readonly owner: RecordOwner
  lane: Lane | undefined
  state: 'new' | 'queued' | 'appending' | 'settled' = 'new'
  queuedAtMs = 0

  constructor(record: NewRecord, kind: RecordKind, count: number, owner: RecordOwner) {
    this.key = record.key
    this.value = record.value
    this.headers = record.headers
    this.kind = kind
    this.count = count
    this.costBytes = record.value.length + (record.key?.length ?? 0) + RECORD_COST_BYTES
    this.owner = owner
  }
}

export interface LaneBounds {
  readonly maxRecords: number
  readonly maxBytes: number
  readonly batchMaxRecords: number
  readonly batchMaxBytes: number
  readonly deadlineMs: number
}

export interface LaneObserver {
  /** A record is in the log; called before its owner is told. */
  recordAppended?(record: LaneRecord): void
  appended(lane: Lane, batch: AppendedBatch): void
  failed(lane: Lane, error: unknown, attempt: number): void
}

export interface AppendedBatch {
  readonly records: number
  readonly bytes: number
  readonly durationMs: number
  /** The gateway's clock when the append was called and when it resolved. */
  readonly calledAtMs: number
  readonly resolvedAtMs: number
  readonly appendTimeMs: number
}

export interface LaneOptions {
  readonly topic: string
  readonly partition: number
  readonly bounds: LaneBounds
  readonly log: EventLog
  readonly pacer: LanePacer
  readonly budget: ByteBudget
  readonly clock: Clock
  readonly random: Random
  readonly failpoints: Failpoints
  readonly observer: LaneObserver
}

type LaneState = 'idle' | 'lingering' | 'appending' | 'backingOff'

const NEXT: Readonly<Record<LaneState, readonly LaneState[]>> = {
  idle: ['lingering', 'appending'],
  lingering: ['appending', 'idle'],
  appending: ['lingering', 'backingOff', 'idle'],
  backingOff: ['lingering'],
}

export class Lane implements PacedLane {
  readonly topic: string
  readonly partition: number
  /** Where the values of its records lie. */
  readonly slab = new RecordSlab()
  readonly #options: LaneOptions
  #state: LaneState = 'idle'
  #queue: LaneRecord[] = []
  #head = 0
  /** Entries of the queue, and of a batch that waits to be repeated, that are not discarded. */
  #queuedRecords = 0
  #queuedBytes = 0
  #batch: LaneRecord[] = []
  #attempt = 0
  /** Records still to be appended one by one, to find the one that the log will not take. */
  #isolate = 0
  #cancelRetry: () => void = () => undefined
  #wasSlow = false
  #calledAtMs = 0
  #appendingSinceMs = 0
  #failingSinceMs: number | undefined
  #lastFailureAtMs = 0

  constructor(options: LaneOptions) {
    this.topic = options.topic
    this.partition = options.partition
    this.#options = options
  }

  /** Records that wait, as bounded; those under way are counted by the process budget alone. */
  get backlogRecords(): number {
    return this.#queuedRecords
  }

  /** Bytes that wait, likewise. */
  get backlogBytes(): number {
    return this.#queuedBytes
  }

  /** Entries of the queue, settled ones included that are not yet compacted. */
  get queueEntries(): number {
    return this.#queue.length
  }

  get isIdle(): boolean {
    return this.#state === 'idle'
  }

  /** Whether its last append failed or was slow, so that others had better not wait for it. */
  get isSuspect(): boolean {
    return this.#attempt > 0 || this.#wasSlow
  }

  /** Since when the log has been failing or silent for this lane; `undefined` while it is not. */
  downSinceMs(nowMs: number): number | undefined {
    if (this.#state === 'appending' && nowMs - this.#appendingSinceMs > APPEND_STALL_MS)
      return this.#failingSinceMs ?? this.#appendingSinceMs
    if (this.#failingSinceMs === undefined) return undefined
    return nowMs - this.#lastFailureAtMs <= LOG_DOWN_HOLD_MS ? this.#failingSinceMs : undefined
  }

  /** Takes the record if there is room in the lane and in the process. */
  offer(record: LaneRecord): boolean {
    const { bounds, budget, clock } = this.#options
    if (this.#queuedRecords >= bounds.maxRecords) return false
    if (this.#queuedBytes + record.costBytes > bounds.maxBytes) return false
    if (!budget.take(record.costBytes)) return false
    if (this.#queue.length - this.#queuedRecords > this.#queuedRecords + LANE_DEAD_ENTRIES_MAX)
      this.#compact()
    record.lane = this
    record.state = 'queued'
    record.queuedAtMs = clock.monotonicMs()
    this.#queue.push(record)
    this.#queuedRecords += 1
    this.#queuedBytes += record.costBytes
    this.#wake()
    return true
  }

  /** Drops a queued record at once and frees its memory; its owner is told. */
  discard(record: LaneRecord): void {
    if (record.state !== 'queued') return
    record.state = 'settled'
    record.value = NO_BYTES
    this.#queuedRecords -= 1
    this.#queuedBytes -= record.costBytes
    this.#options.budget.give(record.costBytes)
    record.owner.recordDropped(record)
  }

  /** Refuses the owners of records that have waited past the deadline. */
  expire(nowMs: number): void {
    const dueMs = nowMs - this.#options.bounds.deadlineMs
    for (const record of this.#batch) if (!expireOne(record, dueMs)) break
    for (let index = this.#head; index < this.#queue.length; index++) {
      const record = this.#queue[index]
      if (record === undefined || !expireOne(record, dueMs)) break
    }
  }

  /** Ends the wait for a repeat; an append under way still settles its records. */
  stop(): void {
    this.#cancelRetry()
  }

  #wake(): void {
    if (this.#state === 'idle') this.#linger()
    else if (this.#state === 'lingering' && this.#isBatchFull) this.#options.pacer.ask(this, true)
  }

  #linger(): void {
    this.#transition('lingering')
    this.#options.pacer.ask(this, this.#isBatchFull)
  }

  get #isBatchFull(): boolean {
    const { batchMaxRecords, batchMaxBytes } = this.#options.bounds
    return this.#queuedRecords >= batchMaxRecords || this.#queuedBytes >= batchMaxBytes
  }

  /** Appends the next batch. A lane may have asked twice, once when its batch was full. */
  takeTurn(): void {
    if (this.#state !== 'lingering') return
    this.#fillBatch()
    if (this.#batch.length === 0) return this.#transition('idle')
    this.#transition('appending')
    this.#appendingSinceMs = this.#options.clock.monotonicMs()
    this.#calledAtMs = this.#options.clock.nowMs()
    this.#append(this.#batch).then(
      (appended) => this.#succeed(appended),
      (error: unknown) => this.#fail(error),
    )
  }

  /** What is left of a batch that failed goes first; a new batch is cut from the queue. */
  #fillBatch(): void {
    const { batchMaxRecords, batchMaxBytes } = this.#options.bounds
    const repeated = this.#batch.filter((record) => record.state === 'queued')
    if (this.#isolate > 0 && repeated.length > 1) {
      // All but the first go back to the front of the queue, in order.
      this.#queue.splice(0, this.#head, ...repeated.splice(1))
      this.#head = 0
    }
    this.#batch = repeated
    const recordsMax = this.#isolate > 0 ? 1 : batchMaxRecords
    let bytes = 0
    for (const record of this.#batch) bytes += record.costBytes
    while (this.#head < this.#queue.length && this.#batch.length < recordsMax) {
      const record = this.#queue[this.#head]
      if (record?.state === 'queued') {
        if (this.#batch.length > 0 && bytes + record.costBytes > batchMaxBytes) break
        bytes += record.costBytes
        this.#batch.push(record)
      }
      this.#head += 1
    }
    for (const record of this.#batch) this.#markAppending(record)
    if (this.#head === this.#queue.length || this.#head > LANE_DEAD_ENTRIES_MAX) this.#compact()
  }

  #markAppending(record: LaneRecord): void {
    record.state = 'appending'
    this.#queuedRecords -= 1
    this.#queuedBytes -= record.costBytes
  }

  #markQueued(record: LaneRecord): void {
    record.state = 'queued'
    this.#queuedRecords += 1
    this.#queuedBytes += record.costBytes
  }

  async #append(batch: readonly LaneRecord[]): Promise<Appended> {
    const { log, failpoints } = this.#options
    const before = failpoints.hit('gateway.beforeAppend')
    if (before !== undefined) await before
    const appended = await log.append(this.topic, this.partition, batch)
    const after = failpoints.hit('gateway.afterAppend')
    if (after !== undefined) await after
    return appended
  }

  #succeed(appended: Appended): void {
    const { clock, budget, observer, pacer } = this.#options
    const batch = this.#batch
    const nowMs = clock.monotonicMs()
    const durationMs = nowMs - this.#appendingSinceMs
    pacer.answered()
    this.#batch = []
    this.#attempt = 0
    this.#wasSlow = durationMs >= LANE_SLOW_MS
    this.#failingSinceMs = undefined
    this.#isolate = Math.max(0, this.#isolate - batch.length)
    let bytes = 0
    for (const record of batch) {
      record.state = 'settled'
      bytes += record.costBytes
      budget.give(record.costBytes)
      observer.recordAppended?.(record)
      // Whoever waits for the rest of a frame must not keep what is in the log.
      record.value = NO_BYTES
      record.owner.recordAppended(record, nowMs)
    }
    observer.appended(this, {
      records: batch.length,
      bytes,
      durationMs,
      calledAtMs: this.#calledAtMs,
      resolvedAtMs: clock.nowMs(),
      appendTimeMs: appended.appendTimeMs,
    })
    if (this.#queuedRecords > 0) this.#linger()
    else this.#transition('idle')
  }

  #fail(error: unknown): void {
    const { clock, random, observer, pacer } = this.#options
    pacer.answered()
    const retryable = error instanceof BackhaulError && error.spec.retryable
    observer.failed(this, error, this.#attempt)
    if (!retryable && this.#batch.length === 1) this.#failAlone(error)
    else {
      if (!retryable) this.#isolate = this.#batch.length
      for (const record of this.#batch) {
        this.#markQueued(record)
        if (!record.owner.isLive) this.discard(record)
      }
    }
    // A record that the log refuses says nothing about the log's health.
    if (retryable) {
      this.#lastFailureAtMs = clock.monotonicMs()
      this.#failingSinceMs ??= this.#lastFailureAtMs
    }
    const windowMs = Math.min(APPEND_RETRY_MAX_MS, APPEND_RETRY_MS * 2 ** this.#attempt)
    this.#attempt += 1
    this.#transition('backingOff')
    const waitMs = windowMs / 2 + random.below(Math.ceil(windowMs / 2))
    this.#cancelRetry = clock.after(waitMs, () => this.#linger())
  }

  /** The one record that the log will not take: others go on. */
  #failAlone(error: unknown): void {
    const [record] = this.#batch
    this.#batch = []
    this.#isolate = Math.max(0, this.#isolate - 1)
    if (record === undefined) return
    record.state = 'settled'
    this.#options.budget.give(record.costBytes)
    record.owner.recordFailed(record, error)
  }

  #compact(): void {
    this.#queue =
      this.#queuedRecords === 0
        ? []
        : this.#queue.filter((record, index) => index >= this.#head && record.state === 'queued')
    this.#head = 0
  }

  #transition(to: LaneState): void {
    if (!NEXT[this.#state].includes(to))
      throw new Error(`assertion failed: a lane does not go from ${this.#state} to ${to}`)
    this.#state = to
  }
}

/** Returns whether the next record may be overdue too. */
function expireOne(record: LaneRecord, dueMs: number): boolean {
  if (record.state === 'settled') return true
  if (record.queuedAtMs > dueMs) return false
  if (record.owner.isLive) record.owner.refuse('deadline', record)
  return true
}
