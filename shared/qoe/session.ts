/**
 * The state of one session (one incarnation of a sessionId): which seqs are known, what waits, its
 * clock offset, its parts, and where its frames stand in the log. `arrive` is called for every copy
 * of an event in log order; an event is judged when its turn comes.
 */
import { wholeContext, type CommonContexts, type KeptContext } from '../events/common-context.ts'
import type { EnrichedContext, PlaybackEvent } from '../events/schema.ts'
import type { FrameRecord } from '../log/record.ts'
import type { FoldException, PositionRow, RepairName, SessionRow } from '../speed/rows.ts'
import { COUNTER_NAMES } from './aggregates.ts'
import { clampCorrected, correctedMs } from './clock-offset.ts'
import type { CopyOnWrite, SnapshotEntry } from './copy-on-write.ts'
import type { FoldOptions } from './fold.ts'
import { orUndefined, packedNumbers } from './packed-numbers.ts'
import type { PaneStore } from './panes.ts'
import { Part } from './part.ts'
import { SeqTracker } from './seq-tracker.ts'
import { minuteOf, SessionFold } from './session-fold.ts'
import {
  NO_QUALITY,
  restoreTracker,
  serialiseTracker,
  type ArrivedFrame,
  type EventCounters,
  type SerialisedSession,
  type SessionBirth,
  type SessionQuality,
  type SessionValues,
  type WaitingEvent,
} from './session-state.ts'
import { TimelinePositions } from './timeline-positions.ts'

const DUPLICATES = COUNTER_NAMES.indexOf('duplicates')
const LATE = COUNTER_NAMES.indexOf('late')

/** The parts of the partition's fold that a session works on. */
export interface SessionHost {
  readonly options: FoldOptions
  readonly panes: PaneStore
  readonly contexts: CommonContexts
  readonly copyOnWrite: CopyOnWrite
  readonly counters: EventCounters
  /** Watermark as advanced by the record being applied. */
  readonly watermarkMs: number
  /** Offset of the record being applied. */
  readonly offset: number
  emitException(exception: FoldException): void
  /** The session's row has changed. */
  changed(session: Session, urgent: boolean): void
}

const SessionNumbers = packedNumbers({
  firstReceivedAtMs: 0,
  clockOffsetMs: Number.NaN,
  /** Largest `loggedAt` of the winning copies of applied events; before one, of the first record. */
  lastLoggedAtMs: 0,
  lastOffset: 0,
  /** Keys under which the session stands in the deadline heaps. */
  releaseQueuedMs: Number.NaN,
  timerQueuedMs: Number.NaN,
  heldMinuteMs: Number.NaN,
})

export class Session extends SessionNumbers implements SnapshotEntry {
  readonly sessionId: string
  /** Offset of the incarnation's first record: its number, and its order among sessions. */
  readonly order: number
  savedIn: number
  /** Row tickets not yet acknowledged. */
  inFlight = 0
  /** Let go by the fold; kept until its last row is durable. */
  retired = false
  /** The queue of the fold that the session stands in. */
  dirtyQueue: 'session' | 'sessionUrgent' | undefined
  closed = false
  readonly #host: SessionHost
  /** Of the first frame, while there is no part. */
  #firstContext: KeptContext | undefined
  readonly #tracker: SeqTracker<WaitingEvent>
  readonly #fold: SessionFold
  readonly #timeline: TimelinePositions
  #quality = NO_QUALITY

  private constructor(host: SessionHost, birth: SessionBirth, saved?: SerialisedSession) {
    super()
    const { skippedRangesMax } = host.options.limits
    this.#host = host
    this.sessionId = birth.sessionId
    this.order = birth.firstOffset
    this.savedIn = host.copyOnWrite.snapshotNumber
    this.firstReceivedAtMs = birth.firstReceivedAtMs
    this.lastLoggedAtMs = birth.firstLoggedAtMs
    this.lastOffset = birth.firstOffset
    this.#timeline = new TimelinePositions(saved)
    if (saved === undefined) {
      this.#tracker = new SeqTracker(skippedRangesMax)
      this.#fold = new SessionFold(host)
      this.#firstContext = host.contexts.keep(birth.firstContext)
      return
    }
    this.#tracker = SeqTracker.restore(restoreTracker(saved.tracker, host.panes), skippedRangesMax)
    const parts = saved.parts.map((part) =>
      Part.restore(
        part,
        host.contexts.keep(part.context),
        host.panes.keySet(part.context, part.cdn),
      ),
    )
    this.#fold = new SessionFold(host, parts)
    if (parts.length === 0) this.#firstContext = host.contexts.keep(birth.firstContext)
    this.#restoreValues(saved)
    this.retired = saved.retired
    if (this.awaitsClose) this.#holdMinute()
  }

  /** A session that begins with this frame. */
  static begin(host: SessionHost, frame: FrameRecord): Session {
    return new Session(host, {
      sessionId: frame.context.sessionId,
      firstOffset: frame.offset,
      firstReceivedAtMs: frame.receivedAtMs,
      firstLoggedAtMs: frame.loggedAtMs,
      firstContext: frame.context,
    })
  }

  static restore(host: SessionHost, saved: SerialisedSession): Session {
    return new Session(host, { ...saved, firstLoggedAtMs: saved.lastLoggedAtMs }, saved)
  }

  /** The part that the next event most likely belongs to. */
  get currentPart(): Part | undefined {
    return this.#fold.current
  }

  /** Open, with something applied: a trailing close will come. */
  get awaitsClose(): boolean {
    return this.#hasApplied && !this.closed
  }

  /** When the lowest waiting event stops waiting: the watermark must lie beyond it. */
  get releaseDeadlineMs(): number | undefined {
    const lowest = this.#tracker.lowestWaiting()
    if (lowest === undefined) return undefined
    return lowest.frame.loggedAtMs + this.#host.options.limits.reorderMs
  }

  /** When the session closes or, closed, is let go; never while an event waits. */
  get timerDeadlineMs(): number {
    const { sessionTimeoutMs, sessionKeepMs } = this.#host.options.limits
    const keepMs = this.awaitsClose ? 0 : sessionKeepMs
    const deadlineMs = this.lastLoggedAtMs + sessionTimeoutMs + keepMs
    return Math.max(deadlineMs, this.releaseDeadlineMs ?? deadlineMs)
  }

  /**
   * One copy of an event has come. Returns whether its identity is new, as far as is remembered:
   * only then does its frame become a position, so that resends cannot grow a timeline.
   */
  arrive(event: PlaybackEvent, frame: ArrivedFrame): boolean {
    const standing = this.#tracker.standing(event.seq)
    const counters = this.#host.counters
    this.#touch(false)
    if (standing === 'known') {
      counters.duplicate += 1
      this.#ownQuality().duplicates += 1
      this.#countArrival(frame, DUPLICATES)
      return false
    }
    if (standing === 'new') {
      this.#arriveNew(event, frame)
      return true
    }
    if (standing === 'forgotten') {
      this.#exclude(event, frame, 'amended', true)
      return false
    }
    this.#tracker.leaveSkipped(event.seq)
    if (this.closed) this.#exclude(event, frame, 'afterClose')
    else {
      this.#tracker.markSeen(event.seq)
      this.#exclude(event, frame, 'amended')
    }
    return true
  }

  /** One copy of a rejected seq has come: it counts as seen and fills its gap. */
  arriveRejected(seq: number, frame: ArrivedFrame): boolean {
    const standing = this.#tracker.standing(seq)
    if (standing === 'known') return false
    this.#touch(false)
    if (standing === 'new') this.#makeRoom(seq)
    if (standing === 'skipped') this.#tracker.leaveSkipped(seq)
    if (standing === 'forgotten') this.#except({ seq, type: 'rejected' }, frame, 'amended', true)
    else if (this.closed) this.#except({ seq, type: 'rejected' }, frame, 'afterClose')
    else {
      this.#tracker.markSeen(seq)
      this.#ownQuality().rejected += 1
    }
    if (standing === 'new') {
      if (seq === this.#tracker.mark) this.#tracker.passMark()
      else this.#tracker.insertAhead({ seq, waiting: undefined })
      this.#takeTurns()
    }
    return standing !== 'forgotten'
  }

  /** Skips gaps whose time to wait is over, lowest first. */
  releaseDue(watermarkMs: number): void {
    for (;;) {
      const deadlineMs = this.releaseDeadlineMs
      if (deadlineMs === undefined || watermarkMs <= deadlineMs) return
      this.#touch(false)
      this.#tracker.skipLowestGap()
      this.#takeTurns()
    }
  }

  /** The trailing close. Pending gaps are skipped first, so that what fills them is known late. */
  close(): void {
    this.#touch(true)
    for (;;) {
      const mark = this.#tracker.mark
      this.#tracker.skipLowestGap()
      this.#takeTurns()
      if (this.#tracker.mark === mark) break
    }
    this.#fold.closeByTimeout()
    const added = Math.max(0, this.#tracker.missingCount - this.#quality.lost)
    if (added > 0) this.#ownQuality().lost += added
    this.#fold.countLost(added)
    this.closed = true
    this.#releaseMinute()
  }

  /** A frame that brought something new becomes a position of the timeline. */
  addPosition({ offset, loggedAtMs }: ArrivedFrame): void {
    this.#timeline.add({ offset, loggedAtMs })
  }

  row(): SessionRow {
    return {
      ...this.#host.options.origin,
      sessionId: this.sessionId,
      incarnation: this.order,
      stampUs: this.#stampUs(this.lastOffset),
      lastOffset: this.lastOffset,
      expiresAtMs: this.lastLoggedAtMs + this.#host.options.rowRetentionMs,
      contextJson: JSON.stringify(this.#context),
      parts: this.#fold.parts.map((part) => part.summary()),
      quality: { ...this.#quality, repairs: { ...this.#quality.repairs } },
      closed: this.closed,
      clockOffsetMs: orUndefined(this.clockOffsetMs) ?? 0,
      firstReceivedAtMs: this.firstReceivedAtMs,
      lastLoggedAtMs: this.lastLoggedAtMs,
      positionCount: this.#timeline.count,
    }
  }

  /** The position rows that are not durable yet, the open one included. */
  positionRows(): PositionRow[] {
    const { origin, rowRetentionMs } = this.#host.options
    return this.#timeline.rows().map((draft) => ({
      ...origin,
      sessionId: this.sessionId,
      incarnation: this.order,
      ...draft,
      stampUs: this.#stampUs(draft.lastOffset),
      expiresAtMs: (draft.positions.at(-1)?.loggedAtMs ?? 0) + rowRetentionMs,
    }))
  }

  acknowledgePositions(rows: readonly PositionRow[]): void {
    this.#timeline.acknowledge(rows)
  }

  serialise(): string {
    const state: SerialisedSession = {
      ...this.#values(),
      sessionId: this.sessionId,
      firstOffset: this.order,
      firstReceivedAtMs: this.firstReceivedAtMs,
      firstContext: this.#context,
      tracker: serialiseTracker(this.#tracker),
      parts: this.#fold.parts.map((part) => part.serialised(this.sessionId)),
      partCount: this.#fold.partCount,
      lastTimeMs: this.#fold.lastTimeMs ?? null,
      ...this.#timeline.state(),
      retired: this.retired,
    }
    return JSON.stringify({ k: 'session', ...state })
  }

  get #hasApplied(): boolean {
    return this.#fold.current !== undefined
  }

  get #context(): EnrichedContext {
    const kept = this.#fold.current ?? this.#firstContext
    if (kept === undefined) throw new Error('assertion failed: a session has a context')
    return wholeContext(this.sessionId, kept)
  }

  #values(): SessionValues {
    return {
      closed: this.closed,
      clockOffsetMs: orUndefined(this.clockOffsetMs),
      lastLoggedAtMs: this.lastLoggedAtMs,
      lastOffset: this.lastOffset,
      hasApplied: this.#hasApplied,
      ...this.#quality,
    }
  }

  #restoreValues(saved: SessionValues): void {
    this.closed = saved.closed
    this.clockOffsetMs = saved.clockOffsetMs ?? Number.NaN
    this.lastLoggedAtMs = saved.lastLoggedAtMs
    this.lastOffset = saved.lastOffset
    const { lost, duplicates, late, amended, afterClose, rejected, repairs } = saved
    this.#quality = { lost, duplicates, late, amended, afterClose, rejected, repairs }
  }

  #arriveNew(event: PlaybackEvent, frame: ArrivedFrame): void {
    this.#makeRoom(event.seq)
    if (event.seq === this.#tracker.mark) {
      this.#tracker.passMark()
      this.#judge(event, frame)
    } else {
      this.#tracker.insertAhead({ seq: event.seq, waiting: { event, frame } })
      this.#host.counters.buffered += 1
      while (this.#tracker.waitingCount > this.#host.options.limits.waitingEventsPerSessionMax) {
        this.#tracker.skipLowestGap()
        this.#takeTurns()
      }
    }
    this.#takeTurns()
  }

  /** A seq too far above the mark: the gaps below it are skipped at once. */
  #makeRoom(seq: number): void {
    while (seq - this.#tracker.mark > this.#host.options.limits.seqAheadMax) {
      this.#tracker.skipLowestGap(seq)
      this.#takeTurns()
    }
  }

  #takeTurns(): void {
    for (;;) {
      const entry = this.#tracker.takeAtMark()
      if (entry === undefined) return
      if (entry.waiting === undefined) continue
      this.#host.counters.buffered -= 1
      this.#judge(entry.waiting.event, entry.waiting.frame)
    }
  }

  /** The event's turn: it is after close, late, or applied. */
  #judge(event: PlaybackEvent, frame: ArrivedFrame): void {
    const { limits } = this.#host.options
    const clock = {
      atMs: event.at,
      frameOffsetMs: frame.frameOffsetMs,
      receivedAtMs: frame.receivedAtMs,
    }
    const corrected = correctedMs(clock, orUndefined(this.clockOffsetMs), limits)
    const clamped = clampCorrected(corrected, frame.receivedAtMs, limits)
    const lastTimeMs = this.#fold.lastTimeMs
    const timeMs = Math.max(clamped, lastTimeMs ?? clamped)
    if (this.closed && timeMs <= (lastTimeMs ?? 0) + limits.sessionTimeoutMs) {
      this.#exclude(event, frame, 'afterClose')
      return
    }
    this.#tracker.markSeen(event.seq)
    if (timeMs < frame.watermarkMs - limits.allowedLatenessMs) {
      this.#exclude(event, frame, 'late')
      this.#countArrival(frame, LATE)
      return
    }
    if (corrected !== clamped) this.#countRepair('clamped')
    if (clamped < timeMs) this.#countRepair('backwards')
    this.#apply(event, frame, timeMs)
  }

  #apply(event: PlaybackEvent, frame: ArrivedFrame, timeMs: number): void {
    this.closed = false
    if (Number.isNaN(this.clockOffsetMs)) this.clockOffsetMs = frame.frameOffsetMs
    this.lastLoggedAtMs = this.#hasApplied
      ? Math.max(this.lastLoggedAtMs, frame.loggedAtMs)
      : frame.loggedAtMs
    this.#host.counters.applied += 1
    const applied = this.#fold.apply(event, timeMs, frame)
    if (applied.unexpected) this.#countRepair('state')
    if (applied.contextDiffers) this.#countRepair('context')
    if (applied.notable) this.#touch(true)
    this.#firstContext = undefined
    this.#holdMinute()
  }

  /** To be changed: from the first change on, the session has its own. */
  #ownQuality(): SessionQuality {
    if (this.#quality === NO_QUALITY) this.#quality = { ...NO_QUALITY }
    return this.#quality
  }

  #countRepair(name: RepairName): void {
    const quality = this.#ownQuality()
    quality.repairs = { ...quality.repairs, [name]: quality.repairs[name] + 1 }
  }

  #exclude(
    event: PlaybackEvent,
    frame: ArrivedFrame,
    reason: 'late' | 'amended' | 'afterClose',
    forgotten = false,
  ): void {
    this.#ownQuality()[reason] += 1
    this.#host.counters[reason] += 1
    this.#except(event, frame, reason, forgotten)
  }

  #except(
    { seq, type }: Pick<FoldException, 'seq' | 'type'>,
    frame: ArrivedFrame,
    reason: FoldException['reason'],
    forgotten = false,
  ): void {
    const { partition } = this.#host.options.origin
    const { sessionId } = this
    const { offset } = frame
    this.#host.emitException({ sessionId, seq, partition, offset, reason, type, forgotten })
  }

  #countArrival(frame: ArrivedFrame, counter: number): void {
    for (const pane of this.#host.panes.forWrite(frame.keySet, minuteOf(frame.receivedAtMs)))
      pane.add(counter, 1)
  }

  #touch(urgent: boolean): void {
    this.#host.copyOnWrite.beforeChange(this)
    this.lastOffset = this.#host.offset
    this.#host.changed(this, urgent)
  }

  /** The minute of the last event keeps its panes until the close, for `lost`. */
  #holdMinute(): void {
    const lastTimeMs = this.#fold.lastTimeMs
    if (lastTimeMs === undefined) return
    const minuteMs = minuteOf(lastTimeMs)
    if (minuteMs === this.heldMinuteMs) return
    this.#releaseMinute()
    this.#host.panes.hold(minuteMs)
    this.heldMinuteMs = minuteMs
  }

  #releaseMinute(): void {
    if (!Number.isNaN(this.heldMinuteMs)) this.#host.panes.release(this.heldMinuteMs)
    this.heldMinuteMs = Number.NaN
  }

  #stampUs(lastOffset: number): number {
    return this.firstReceivedAtMs * 1_000 + (lastOffset - this.order + 1)
  }
}
