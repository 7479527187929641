/**
 * Which events of a session are applied, in which order and at which session time: the words on
 * identity, reorder, gaps, lateness, time-out and incarnations, for one incarnation of a session.
 *
 * Nothing is done "while time passes". W is known at every record beforehand, so the record at
 * which something falls due is looked up, and only the order of what falls due matters.
 */
import type { PlaybackEvent } from '../../shared/events/schema.ts'
import type { FoldLimits } from '../../shared/qoe/fold.ts'
import type { FoldException } from '../../shared/speed/rows.ts'
import type { FrameRecord } from '../../shared/log/record.ts'
import { SeenSeqs } from './seen-seqs.ts'
import type { Watermarks } from './watermarks.ts'

/** A frame of the session, by its index among the records of the partition. */
export interface Arrival {
  readonly recordIndex: number
  readonly frame: FrameRecord
}

interface CarriedEvent extends Arrival {
  readonly event: PlaybackEvent
}

export interface AppliedEvent extends CarriedEvent {
  /** The record before which, or with which, it was applied. */
  readonly appliedAtRecord: number
  readonly sessionTimeMs: number
  readonly clamped: boolean
  readonly raised: boolean
  /** The record at which the trailing close came after this event, if it did. */
  closedAtRecord: number | undefined
  /** What that close added to `lost`. */
  lostAtClose: number
}

export interface Excluded extends Arrival {
  readonly seq: number
  readonly type: FoldException['type']
  readonly reason: FoldException['reason']
  readonly forgotten: boolean
  /** The record at which the decision fell. */
  readonly decidedAtRecord: number
}

export class SessionOrder {
  readonly applied: AppliedEvent[] = []
  readonly excluded: Excluded[] = []
  /** One entry per accepted copy that is not the winner. */
  readonly duplicates: Arrival[] = []
  /** Offsets of the frames that brought an identity not known before: the timeline. */
  readonly positions = new Set<number>()
  rejected = 0
  lost = 0
  closed = false
  clockOffsetMs: number | undefined
  largestLoggedAtMs: number
  readonly #waiting = new Map<number, CarriedEvent>()
  readonly #seen: SeenSeqs
  readonly #limits: FoldLimits
  readonly #watermarks: Watermarks
  /** The first record at which something may still fall due. */
  #nextRecord: number

  constructor(first: Arrival, limits: FoldLimits, watermarks: Watermarks) {
    this.largestLoggedAtMs = first.frame.loggedAtMs
    this.#nextRecord = first.recordIndex
    this.#seen = new SeenSeqs(limits.skippedRangesMax)
    this.#limits = limits
    this.#watermarks = watermarks
  }

  get waitingCount(): number {
    return this.#waiting.size
  }

  get #last(): AppliedEvent | undefined {
    return this.applied.at(-1)
  }

  /**
   * Does what falls due up to and including record `untilRecord`, before its events. Returns
   * false when the session is no longer kept then.
   */
  passTime(untilRecord: number): boolean {
    const { reorderMs, sessionTimeoutMs, sessionKeepMs } = this.#limits
    for (;;) {
      const lowest = this.#lowestWaiting()
      const closeMs = this.largestLoggedAtMs + sessionTimeoutMs
      if (lowest !== undefined) {
        if (!this.#reach(lowest.frame.loggedAtMs + reorderMs, untilRecord)) return true
        this.#skipLowestGap(lowest.event.seq)
      } else if (this.#last !== undefined && !this.closed) {
        if (!this.#reach(closeMs, untilRecord)) return true
        this.#close(this.#last)
      } else {
        return !this.#reach(closeMs + sessionKeepMs, untilRecord)
      }
    }
  }

  /** Takes the frame's events in their order, then its rejected seqs. */
  take(arrival: Arrival): void {
    this.#nextRecord = arrival.recordIndex
    for (const event of arrival.frame.events) this.#takeEvent({ ...arrival, event })
    for (const seq of arrival.frame.rejectedSeqs) this.#takeRejected(arrival, seq)
    this.#nextRecord = arrival.recordIndex + 1
  }

  /** Moves to the first record whose W is beyond the threshold, if that is not after `until`. */
  #reach(thresholdMs: number, until: number): boolean {
    const due = this.#watermarks.firstBeyond(thresholdMs, this.#nextRecord)
    if (due === undefined || due > until) return false
    this.#nextRecord = due
    return true
  }

  #takeEvent(carried: CarriedEvent): void {
    const { seq } = carried.event
    const copy = this.#seen.judgeCopy(seq)
    if (copy === 'forgotten') return this.#exclude(carried, 'amended', true)
    if (copy === 'known') {
      this.duplicates.push(carried)
      return
    }
    this.positions.add(carried.frame.offset)
    if (copy === 'skipped') {
      this.#seen.fillSkipped(seq, !this.closed)
      return this.#exclude(carried, this.closed ? 'afterClose' : 'amended')
    }
    this.#makeRoom(seq)
    this.#seen.hold(seq)
    this.#waiting.set(seq, carried)
    this.#takeTurns()
    while (this.#waiting.size > this.#limits.waitingEventsPerSessionMax) {
      this.#skipLowestGap(this.#lowestWaiting()?.event.seq ?? seq)
    }
  }

  #takeRejected(arrival: Arrival, seq: number): void {
    const excluded = { ...arrival, seq, type: 'rejected' } as const
    const copy = this.#seen.judgeCopy(seq)
    if (copy === 'forgotten') return this.#list(excluded, 'amended', true)
    if (copy === 'known') return
    this.positions.add(arrival.frame.offset)
    if (copy === 'new') this.#makeRoom(seq)
    const counts = !this.closed
    if (copy === 'skipped') this.#seen.fillSkipped(seq, counts)
    else this.#seen.fill(seq, counts)
    if (counts) this.rejected += 1
    else this.#list(excluded, 'afterClose')
    this.#takeTurns()
  }

  /** More than `seqAheadMax` above the mark, the gaps below are skipped at once, lowest first. */
  #makeRoom(seq: number): void {
    while (seq - this.#seen.mark > this.#limits.seqAheadMax) this.#skipLowestGap(seq)
  }

  #skipLowestGap(boundSeq: number): void {
    this.#seen.skipLowestGap(boundSeq)
    this.#takeTurns()
  }

  #takeTurns(): void {
    for (;;) {
      const next = this.#waiting.get(this.#seen.mark)
      if (next === undefined) return
      this.#waiting.delete(next.event.seq)
      this.#takeTurn(next)
    }
  }

  /** The turn of the event at the mark: every lower seq has been applied, listed or skipped. */
  #takeTurn(carried: CarriedEvent): void {
    const timed = this.#sessionTime(carried)
    const last = this.#last
    const { sessionTimeoutMs, allowedLatenessMs } = this.#limits
    const afterClose =
      this.closed &&
      last !== undefined &&
      timed.sessionTimeMs <= last.sessionTimeMs + sessionTimeoutMs
    this.#seen.pass(carried.event.seq, !afterClose)
    if (afterClose) return this.#exclude(carried, 'afterClose')
    const oldestMs = this.#watermarks.at(carried.recordIndex) - allowedLatenessMs
    if (timed.sessionTimeMs < oldestMs) return this.#exclude(carried, 'late')
    this.closed = false
    this.clockOffsetMs ??= carried.frame.receivedAtMs - carried.frame.sentAtMs
    this.largestLoggedAtMs = Math.max(this.largestLoggedAtMs, carried.frame.loggedAtMs)
    this.applied.push({
      ...carried,
      ...timed,
      appliedAtRecord: this.#nextRecord,
      closedAtRecord: undefined,
      lostAtClose: 0,
    })
  }

  #sessionTime(carried: CarriedEvent) {
    const { clockStepMs, maxAgeMs } = this.#limits
    const { sentAtMs, receivedAtMs } = carried.frame
    const ownOffsetMs = receivedAtMs - sentAtMs
    const sessionOffsetMs = this.clockOffsetMs ?? ownOffsetMs
    const stepped = Math.abs(ownOffsetMs - sessionOffsetMs) > clockStepMs
    const onServerClockMs = carried.event.at + (stepped ? ownOffsetMs : sessionOffsetMs)
    const earliestMs = receivedAtMs - maxAgeMs
    const latestMs = receivedAtMs + clockStepMs
    const correctedMs = Math.min(Math.max(onServerClockMs, earliestMs), latestMs)
    const previousMs = this.#last?.sessionTimeMs ?? correctedMs
    return {
      sessionTimeMs: Math.max(correctedMs, previousMs),
      clamped: correctedMs !== onServerClockMs,
      raised: correctedMs < previousMs,
    }
  }

  #close(last: AppliedEvent): void {
    this.#seen.skipAllGaps()
    const added = Math.max(0, this.#seen.missing - this.lost)
    this.lost += added
    this.closed = true
    last.closedAtRecord = this.#nextRecord
    last.lostAtClose = added
  }

  #lowestWaiting(): CarriedEvent | undefined {
    if (this.#waiting.size === 0) return undefined
    return this.#waiting.get(Math.min(...this.#waiting.keys()))
  }

  #exclude(carried: CarriedEvent, reason: FoldException['reason'], forgotten = false): void {
    const { recordIndex, frame, event } = carried
    this.#list({ recordIndex, frame, seq: event.seq, type: event.type }, reason, forgotten)
  }

  #list(
    identity: Omit<Excluded, 'reason' | 'forgotten' | 'decidedAtRecord'>,
    reason: FoldException['reason'],
    forgotten = false,
  ): void {
    this.excluded.push({ ...identity, reason, forgotten, decidedAtRecord: this.#nextRecord })
  }
}
