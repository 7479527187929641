/**
 * The fold of one partition: records in, rows out. Per record: the watermark advances, waiting
 * events are released, sessions time out, the frame's events apply, and only then panes close.
 */
import { CommonContexts } from '../events/common-context.ts'
import { isSameContext } from '../events/same-context.ts'
import type { DecodedRecord, FrameRecord } from '../log/record.ts'
import type { FoldException, PartSummary } from '../speed/rows.ts'
import { COUNTER_NAMES } from './aggregates.ts'
import { CopyOnWrite } from './copy-on-write.ts'
import { DeadlineHeap } from './deadline-heap.ts'
import type {
  DirtyQueue,
  FoldCounters,
  FoldOptions,
  FoldOutput,
  FoldRestore,
  FoldSnapshot,
  FoldStatus,
  PartitionFold,
  RowTicket,
} from './fold.ts'
import { PaneStore, type HeldMinute, type Pane } from './panes.ts'
import { Session, type SessionHost } from './session.ts'
import type { ArrivedFrame, EventCounters, SerialisedSession } from './session-state.ts'
import { minuteOf } from './session-fold.ts'
import {
  SnapshotDecoder,
  SnapshotReader,
  type DecodedEntry,
  type SnapshotHeader,
} from './snapshot.ts'

const FRAMES = COUNTER_NAMES.indexOf('frames')
const BYTES = COUNTER_NAMES.indexOf('bytes')

export function createPartitionFold(options: FoldOptions): PartitionFold {
  return new Fold(options)
}

/**
 * Begins to read a fold from a snapshot; everything is dirty then, every unacknowledged output
 * pending. Throws a plain Error, here or later, when the bytes are not a snapshot of this version.
 */
export function beginRestore(options: FoldOptions, bytes: Uint8Array): FoldRestore {
  const fold = new Fold(options)
  const decoder = new SnapshotDecoder(bytes)
  fold.restoreHeader(decoder.header)
  return {
    next(maxEntries) {
      for (let count = 0; count < maxEntries; count += 1) {
        const entry = decoder.next()
        if (entry === undefined) return fold.restored()
        fold.restoreEntry(entry)
      }
      return undefined
    },
  }
}

/** The same in one go. */
export function restorePartitionFold(options: FoldOptions, bytes: Uint8Array): PartitionFold {
  const fold = beginRestore(options, bytes).next(Infinity)
  if (fold === undefined) throw new Error('assertion failed: a snapshot ends')
  return fold
}

class Fold implements PartitionFold, SessionHost {
  readonly options: FoldOptions
  readonly copyOnWrite = new CopyOnWrite()
  readonly panes: PaneStore
  readonly contexts = new CommonContexts()
  readonly counters: EventCounters = {
    applied: 0,
    duplicate: 0,
    late: 0,
    amended: 0,
    afterClose: 0,
    capped: 0,
    poison: 0,
    buffered: 0,
  }
  readonly #sessions = new Map<string, Session>()
  /** Let go by the fold, kept until their last row is durable. */
  readonly #retired = new Set<Session>()
  readonly #releases = new DeadlineHeap<Session>()
  readonly #timers = new DeadlineHeap<Session>()
  readonly #dirty = { session: new Set<Session>(), sessionUrgent: new Set<Session>() }
  /** Tickets not yet acknowledged; a weak map of this size would slow every garbage collection. */
  readonly #ticketSource = new Map<RowTicket, Pane | Session>()
  /** Closed sessions that the record being applied has changed. */
  readonly #amended = new Set<Session>()
  #outputs: FoldOutput[] = []
  #offset = 0
  #nextOffset = 0
  #lastLoggedAtMs = 0
  #ticks = 0
  #receivedAtClamped = 0
  #openSessions = 0

  constructor(options: FoldOptions) {
    this.options = options
    this.panes = new PaneStore(options, this.copyOnWrite)
  }

  get watermarkMs(): number {
    return this.#lastLoggedAtMs - this.options.limits.outOfOrdernessMs
  }

  get offset(): number {
    return this.#offset
  }

  get status(): FoldStatus {
    return {
      nextOffset: this.#nextOffset,
      watermarkMs: this.watermarkMs,
      lastLoggedAtMs: this.#lastLoggedAtMs,
      counters: this.#readCounters(),
      ticks: this.#ticks,
      sessions: this.#sessions.size,
      openSessions: this.#openSessions,
      panes: this.panes.count,
      pendingOutputs: this.#outputs.length,
      receivedAtClamped: this.#receivedAtClamped,
      keysToOther: this.panes.keysToOther,
    }
  }

  apply(record: DecodedRecord): void {
    this.#offset = record.offset
    this.panes.beginRecord(record.offset)
    this.#lastLoggedAtMs = Math.max(this.#lastLoggedAtMs, record.loggedAtMs)
    this.#releaseWaiting()
    this.#runTimers()
    if (record.kind === 'frame') this.#applyFrame(record)
    else if (record.kind === 'tick') this.#ticks += 1
    else this.counters.poison += 1
    if (this.#amended.size > 0) this.#restateAmended()
    this.panes.flush()
    this.panes.closeUpTo(this.watermarkMs)
    this.#nextOffset = record.offset + 1
  }

  emitException(exception: FoldException): void {
    this.#outputs.push({ kind: 'exception', exception })
  }

  changed(session: Session, urgent: boolean): void {
    if (session.closed) this.#amended.add(session)
    this.#markDirty(session, urgent)
  }

  #markDirty(session: Session, urgent: boolean): void {
    const { dirtyQueue } = session
    if (dirtyQueue === 'sessionUrgent' || (dirtyQueue === 'session' && !urgent)) return
    if (dirtyQueue === 'session') this.#dirty.session.delete(session)
    session.dirtyQueue = urgent ? 'sessionUrgent' : 'session'
    this.#dirty[session.dirtyQueue].add(session)
  }

  dirtyCount(queue: DirtyQueue): number {
    if (queue === 'narrow' || queue === 'wide') return this.panes.dirtyCount(queue)
    return this.#dirty[queue].size
  }

  takeDirty(queue: DirtyQueue, maxEntries: number): RowTicket[] {
    if (queue === 'narrow' || queue === 'wide')
      return this.panes
        .takeDirty(queue, maxEntries)
        .map((pane) => this.#ticket({ kind: 'minute', row: this.panes.row(pane) }, pane))
    const tickets: RowTicket[] = []
    for (const session of this.#dirty[queue]) {
      if (tickets.length === maxEntries) break
      this.#dirty[queue].delete(session)
      session.dirtyQueue = undefined
      session.inFlight += 1
      const ticket: RowTicket = {
        kind: 'session',
        row: session.row(),
        positions: session.positionRows(),
      }
      tickets.push(this.#ticket(ticket, session))
    }
    return tickets
  }

  acknowledge(tickets: readonly RowTicket[]): void {
    for (const ticket of tickets) {
      const source = this.#ticketSource.get(ticket)
      if (source === undefined) continue
      this.#ticketSource.delete(ticket)
      if (source instanceof Session) this.#acknowledgeSession(source, ticket)
      else this.panes.acknowledge(source)
    }
  }

  pendingOutputs(maxOutputs: number): readonly FoldOutput[] {
    return this.#outputs.slice(0, maxOutputs)
  }

  acknowledgeOutputs(count: number): void {
    this.#outputs = this.#outputs.slice(count)
  }

  beginSnapshot(): FoldSnapshot {
    const { read: _read, ...counters } = this.#readCounters()
    const header: SnapshotHeader = {
      nextOffset: this.#nextOffset,
      lastLoggedAtMs: this.#lastLoggedAtMs,
      ticks: this.#ticks,
      receivedAtClamped: this.#receivedAtClamped,
      counters,
    }
    const entries = [...this.#sessions.values(), ...this.#retired, ...this.panes.all()]
    return new SnapshotReader(header, this.#outputs, entries, this.copyOnWrite)
  }

  inspectSession(sessionId: string): unknown {
    const session = this.#sessions.get(sessionId)
    if (session === undefined) return undefined
    return {
      ...(JSON.parse(session.serialise()) as object),
      watermarkMs: this.watermarkMs,
      releaseDeadlineMs: session.releaseDeadlineMs,
      timerDeadlineMs: session.timerDeadlineMs,
      minutes: this.#explainMinutes(session.row().parts),
    }
  }

  #explainMinutes(parts: readonly PartSummary[]): HeldMinute[] {
    const [first, last] = [parts[0], parts.at(-1)]
    if (first === undefined || last === undefined) return []
    return this.panes.explainMinutes(first.firstEventTimeMs, last.lastEventTimeMs)
  }

  restoreHeader(header: SnapshotHeader): void {
    this.#nextOffset = header.nextOffset
    this.#offset = header.nextOffset
    this.#lastLoggedAtMs = header.lastLoggedAtMs
    this.#ticks = header.ticks
    this.#receivedAtClamped = header.receivedAtClamped
    Object.assign(this.counters, header.counters)
  }

  restoreEntry(entry: DecodedEntry): void {
    if (entry.kind === 'output') this.#outputs.push(entry.output)
    else if (entry.kind === 'pane') this.panes.restore(entry.saved)
    else this.#restoreSession(entry.saved)
  }

  /** The fold once every entry is restored. */
  restored(): PartitionFold {
    this.panes.closeUpTo(this.watermarkMs)
    return this
  }

  #restoreSession(saved: SerialisedSession): void {
    const session = Session.restore(this, saved)
    if (session.retired) this.#retired.add(session)
    else {
      this.#sessions.set(session.sessionId, session)
      if (!session.closed) this.#openSessions += 1
      this.#schedule(session)
    }
    this.#markDirty(session, false)
  }

  #readCounters(): FoldCounters {
    const c = this.counters
    const read =
      c.applied + c.duplicate + c.late + c.amended + c.afterClose + c.capped + c.poison + c.buffered
    return { read, ...c }
  }

  #applyFrame(record: FrameRecord): void {
    if (record.receivedAtClamped) this.#receivedAtClamped += 1
    const frame = this.#arrived(record, this.#sessions.get(record.context.sessionId))
    const sums = this.panes.sums(frame.keySet, minuteOf(record.receivedAtMs))
    sums.add(FRAMES, 1)
    sums.add(BYTES, record.valueBytes)
    if (record.events.length === 0 && record.rejectedSeqs.length === 0) return
    const session = this.#sessionOf(record)
    const wasClosed = session.closed
    let isNew = false
    for (const event of record.events) isNew = session.arrive(event, frame) || isNew
    for (const seq of record.rejectedSeqs) isNew = session.arriveRejected(seq, frame) || isNew
    if (isNew) session.addPosition(frame)
    if (wasClosed && !session.closed) this.#openSessions += 1
    this.#schedule(session)
  }

  #arrived(record: FrameRecord, session: Session | undefined): ArrivedFrame {
    const part = session?.currentPart
    const { context } = record
    const isUsual = part !== undefined && isSameContext(context, part)
    const isInForce = isUsual && part.cdn === context.cdn
    return {
      offset: record.offset,
      loggedAtMs: record.loggedAtMs,
      receivedAtMs: record.receivedAtMs,
      frameOffsetMs: record.receivedAtMs - record.sentAtMs,
      context,
      samePart: isUsual ? part : undefined,
      keySet: isInForce ? part.keySet : this.panes.keySet(context, context.cdn),
      watermarkMs: this.watermarkMs,
    }
  }

  #sessionOf(record: FrameRecord): Session {
    const { sessionId } = record.context
    let session = this.#sessions.get(sessionId)
    if (session === undefined) {
      session = Session.begin(this, record)
      this.#sessions.set(sessionId, session)
      this.#openSessions += 1
    }
    return session
  }

  #releaseWaiting(): void {
    for (;;) {
      const due = this.#releases.popBefore(this.watermarkMs)
      if (due === undefined) return
      const { keyMs, item: session } = due
      if (session.retired) continue
      if (session.releaseQueuedMs === keyMs) session.releaseQueuedMs = Number.NaN
      if (session.releaseDeadlineMs === keyMs) {
        const wasClosed = session.closed
        session.releaseDue(this.watermarkMs)
        if (wasClosed && !session.closed) this.#openSessions += 1
      }
      this.#schedule(session)
    }
  }

  #runTimers(): void {
    for (;;) {
      const due = this.#timers.popBefore(this.watermarkMs)
      if (due === undefined) return
      const { keyMs, item: session } = due
      if (session.retired) continue
      if (session.timerQueuedMs === keyMs) session.timerQueuedMs = Number.NaN
      if (session.timerDeadlineMs === keyMs) this.#timeOut(session)
      if (!session.retired) this.#schedule(session)
    }
  }

  /** An open session closes; one that is closed, or never had an event applied, is let go. */
  #timeOut(session: Session): void {
    if (session.awaitsClose) {
      session.close()
      this.#openSessions -= 1
      this.#putOut(session)
      return
    }
    this.#sessions.delete(session.sessionId)
    if (!session.closed) this.#openSessions -= 1
    this.copyOnWrite.beforeChange(session)
    session.retired = true
    this.#retired.add(session)
    this.#letGo(session)
  }

  /** A session that the record opened again is put out at its next close. */
  #restateAmended(): void {
    for (const session of this.#amended) if (session.closed) this.#putOut(session)
    this.#amended.clear()
  }

  #putOut(session: Session): void {
    this.#outputs.push({ kind: 'closedSession', row: session.row() })
  }

  #schedule(session: Session): void {
    const releaseMs = session.releaseDeadlineMs
    if (releaseMs !== undefined && isSooner(releaseMs, session.releaseQueuedMs)) {
      session.releaseQueuedMs = releaseMs
      this.#releases.push(releaseMs, session)
    }
    const timerMs = session.timerDeadlineMs
    if (isSooner(timerMs, session.timerQueuedMs)) {
      session.timerQueuedMs = timerMs
      this.#timers.push(timerMs, session)
    }
  }

  #ticket<Ticket extends RowTicket>(ticket: Ticket, source: Pane | Session): Ticket {
    this.#ticketSource.set(ticket, source)
    return ticket
  }

  #acknowledgeSession(session: Session, ticket: RowTicket): void {
    session.inFlight -= 1
    if (ticket.kind === 'session') {
      this.copyOnWrite.beforeChange(session)
      session.acknowledgePositions(ticket.positions)
    }
    this.#letGo(session)
  }

  /** A retired session leaves the state once its last row is durable. */
  #letGo(session: Session): void {
    const isDirty = session.dirtyQueue !== undefined
    if (session.retired && !isDirty && session.inFlight === 0) this.#retired.delete(session)
  }
}

/** Sooner than what is queued, if anything is. */
function isSooner(deadlineMs: number, queuedMs: number): boolean {
  return Number.isNaN(queuedMs) || deadlineMs < queuedMs
}
