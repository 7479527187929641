/**
 * Writes the fold's changed rows, each class through its own queue with its own budget of writes
 * under way, so that wide cuts never hold narrow ones up. When which rows are due is said in
 * `row-pacing.ts`.
 *
 * A write that fails is repeated with the same rows until it succeeds or the task ends. Rows past
 * their retention count as durable without being written.
 */
import type { DirtyQueue, PartitionFold, RowTicket } from '../shared/qoe/fold.ts'
import type { Clock } from '../shared/runtime/clock.ts'
import type { Failpoints } from '../shared/runtime/failpoints.ts'
import type { MinuteRow, PositionRow, SessionRow } from '../shared/speed/rows.ts'
import type { SpeedStore } from '../shared/speed/speed-store.ts'
import type { CatchUp } from './catch-up.ts'
import type { ProcessorConfig } from './config.ts'
import { CATCH_UP_DIRTY_SHARE } from './limits.ts'
import { retry, type RetryContext } from './retry.ts'
import { pacings, UrgentGate } from './row-pacing.ts'
import type { ProcessorTelemetry } from './telemetry.ts'
import type { TurnQueue } from './turn.ts'
import type { PartitionRole } from './view-role.ts'
import { WriteQueue, type DurableRows, type Reach } from './write-queue.ts'

/** How far each write class is durable in the store. */
export interface ClassReach {
  readonly narrow: Reach
  readonly wide: Reach
  readonly session: Reach
}

export interface QueueDepth {
  readonly queue: DirtyQueue
  /** Changed rows that wait. */
  readonly dirtyRows: number
  readonly writesInFlight: number
}

export interface RowWriterParts {
  readonly partition: number
  readonly fold: PartitionFold
  readonly speed: SpeedStore
  readonly clock: Clock
  readonly turns: Pick<TurnQueue, 'next'>
  readonly config: ProcessorConfig
  readonly telemetry: ProcessorTelemetry
  readonly failpoints: Failpoints
  /** Whether readers are given the view whose rows these are. */
  readonly role: Pick<PartitionRole, 'isPrimary'>
  readonly catchUp: Pick<CatchUp, 'waitMs'>
  /** What was durable when the checkpoint was cut. */
  readonly reached: ClassReach
  /** Offset that recovery began at; a new fold does not know it before its first record. */
  readonly startOffset: number
  retryContext(call: string): RetryContext
  /** A failure that a repeat cannot mend. */
  onFailure(error: unknown): void
}

export class RowWriter {
  readonly #parts: RowWriterParts
  readonly #queues: readonly WriteQueue[]
  readonly #session: WriteQueue
  readonly #urgent: WriteQueue
  readonly #gate: UrgentGate
  readonly #writes = new Set<Promise<void>>()
  #reached: ClassReach
  #flushing = false
  /** Of the queue that begins the next write: they take turns. */
  #nextQueue = 0
  #isTurnComing = false
  /** How long rows may wait because the partition catches up. */
  #waitMs = 0
  /** Append time of the first record folded since the last mark of the narrow queue. */
  #oldestLoggedAtMs: number | undefined

  constructor(parts: RowWriterParts) {
    this.#parts = parts
    this.#reached = parts.reached
    this.#gate = new UrgentGate(parts.clock.monotonicMs())
    const pacing = pacings(parts.config, this.#waitMs)
    const queue = (name: DirtyQueue, onReached: (reach: Reach) => void) =>
      new WriteQueue({
        name,
        pacing: pacing[name],
        onReached,
        onDurable: (done) => this.#tellDurable(name, done),
        ...(name === 'narrow' ? { takeOldestLoggedAtMs: () => this.#takeOldest() } : {}),
        now: () => parts.clock.monotonicMs(),
        onMarkSkipped: () => parts.telemetry.markSkipped(parts.partition, name),
      })
    const narrow = queue('narrow', (reach) => (this.#reached = { ...this.#reached, narrow: reach }))
    const wide = queue('wide', (reach) => (this.#reached = { ...this.#reached, wide: reach }))
    this.#urgent = queue('sessionUrgent', (session) => {
      this.#reached = { ...this.#reached, session }
    })
    // An entry may move from the patient session queue to the urgent one. So the class has reached
    // a mark only when the urgent queue has written what it held once the patient one got there.
    this.#session = queue('session', (reach) => {
      const waiting = parts.fold.dirtyCount('sessionUrgent')
      this.#urgent.mark(reach, waiting, parts.clock.monotonicMs())
    })
    this.#queues = [narrow, this.#urgent, this.#session, wide]
  }

  get reached(): ClassReach {
    return this.#reached
  }

  /** Changed rows that wait, over all queues. */
  get dirtyRows(): number {
    return this.#queues.reduce((sum, { name }) => sum + this.#parts.fold.dirtyCount(name), 0)
  }

  /** Of every queue: rows that wait, and writes under way. */
  get depths(): QueueDepth[] {
    return this.#queues.map(({ name, inFlight }) => ({
      queue: name,
      dirtyRows: this.#parts.fold.dirtyCount(name),
      writesInFlight: inFlight,
    }))
  }

  oldestWriteMs(): number {
    const nowMs = this.#parts.clock.monotonicMs()
    return Math.max(...this.#queues.map((queue) => queue.oldestFlightMs(nowMs)))
  }

  /** A record is about to be folded: rows that it changes are as old as it is. */
  noteRecord(loggedAtMs: number): void {
    this.#oldestLoggedAtMs ??= loggedAtMs
  }

  /** Begins the writes that are due, in this turn and further ones; never waits for one. */
  pump(): void {
    const { fold, clock, telemetry, partition } = this.#parts
    const here = this.#here()
    const nowMs = clock.monotonicMs()
    const pacing = this.#pacingNow()
    for (const queue of this.#queues) {
      queue.pace(pacing[queue.name])
      const waiting = fold.dirtyCount(queue.name)
      // The urgent queue's marks come from the patient one; its entries are always due.
      if (queue !== this.#urgent) queue.markByTime(here, waiting, nowMs)
    }
    this.#nextQueue = 0
    this.#beginTurn()
    for (const { queue, dirtyRows, writesInFlight } of this.depths)
      telemetry.queueReported(partition, queue, { dirty: dirtyRows, inFlight: writesInFlight })
    telemetry.oldestWrite(partition, this.oldestWriteMs())
    telemetry.rowsMayWait(partition, this.#waitMs)
  }

  /** Writes everything that is dirty now, without regard to pacing, and waits for it. */
  async flush(): Promise<void> {
    this.#flushing = true
    for (;;) {
      this.#beginTurn()
      if (this.#writes.size === 0) break
      await Promise.race(this.#writes)
    }
    const nowMs = this.#parts.clock.monotonicMs()
    for (const queue of this.#queues) queue.mark(this.#here(), 0, nowMs)
    this.#flushing = false
  }

  /** Also while the partition catches up, rows must not gather until it has to pause for them. */
  #pacingNow() {
    const { config, catchUp } = this.#parts
    const hasRoom = this.dirtyRows < CATCH_UP_DIRTY_SHARE * config.dirtyRowsMax
    this.#waitMs = hasRoom ? catchUp.waitMs() : 0
    return pacings(config, this.#waitMs)
  }

  #takeOldest(): number | undefined {
    const oldest = this.#oldestLoggedAtMs
    this.#oldestLoggedAtMs = undefined
    return oldest
  }

  #tellDurable(name: DirtyQueue, { rows, afterMs, oldestLoggedAtMs }: DurableRows): void {
    const { telemetry, clock, role } = this.#parts
    telemetry.rowsDurable(name, afterMs)
    // A view that is built beside the served one catches up with what is old.
    if (oldestLoggedAtMs === undefined || !role.isPrimary) return
    telemetry.narrowRowsDurable(rows, Math.max(0, clock.nowMs() - oldestLoggedAtMs))
  }

  #here(): Reach {
    const { fold, startOffset } = this.#parts
    const { nextOffset, watermarkMs } = fold.status
    return { offset: Math.max(startOffset, nextOffset), watermarkMs }
  }

  /** Rows cost time to take and to send: what is due beyond a turn's time is begun in the next. */
  #beginTurn(): void {
    const { clock, config } = this.#parts
    const endMs = clock.monotonicMs() + config.turnMaxMs
    while (this.#beginOne()) if (clock.monotonicMs() >= endMs) return this.#beginNextTurn()
  }

  #beginNextTurn(): void {
    if (this.#isTurnComing) return
    this.#isTurnComing = true
    const { turns, onFailure } = this.#parts
    const begun = turns.next().then(() => {
      this.#isTurnComing = false
      this.#beginTurn()
    })
    void begun.catch(onFailure)
  }

  /** Begins one write of the next queue that has any to begin; false when none has. */
  #beginOne(): boolean {
    for (let looked = 0; looked < this.#queues.length; looked += 1) {
      const queue = this.#queues[this.#nextQueue]
      this.#nextQueue = (this.#nextQueue + 1) % this.#queues.length
      if (queue !== undefined && this.#beginWrite(queue)) return true
    }
    return false
  }

  #beginWrite(queue: WriteQueue): boolean {
    const { fold, config } = this.#parts
    if (queue.inFlight >= config.writesInFlightMax) return false
    const due = this.#due(queue)
    const tickets =
      due === 0 ? [] : fold.takeDirty(queue.name, Math.min(due, config.rowsPerWriteMax))
    if (tickets.length === 0) return false
    if (queue === this.#urgent) this.#gate.took(tickets.length)
    const write = this.#write(queue, tickets).catch(this.#parts.onFailure)
    this.#writes.add(write)
    void write.then(() => this.#writes.delete(write))
    return true
  }

  #due(queue: WriteQueue): number {
    const { fold, clock } = this.#parts
    const nowMs = clock.monotonicMs()
    const waiting = fold.dirtyCount(queue.name)
    const paced = queue.due(waiting, nowMs)
    if (this.#flushing) return waiting
    return queue === this.#urgent ? this.#gate.due(waiting, this.#waitMs, nowMs) : paced
  }

  async #write(queue: WriteQueue, tickets: readonly RowTicket[]): Promise<void> {
    const { fold, clock, telemetry, failpoints, partition } = this.#parts
    const startedMs = clock.monotonicMs()
    const flight = queue.began(tickets.length, startedMs)
    const rows = rowsToWrite(tickets, clock.nowMs())
    if (rows.expired > 0) telemetry.rowsExpired(partition, queue.name, rows.expired)
    await retry(this.#parts.retryContext('speed'), () => this.#put(rows))
    const durationMs = clock.monotonicMs() - startedMs
    telemetry.rowsWritten(partition, queue.name, {
      rows: tickets.length - rows.expired,
      durationMs,
    })
    await failpoints.hit('processor.afterSomeRows')
    fold.acknowledge(tickets)
    queue.ended(flight)
    this.#beginNextTurn()
    if (queue.inFlight === 0) await failpoints.hit('processor.afterRows')
  }

  async #put(rows: RowsToWrite): Promise<void> {
    const { speed } = this.#parts
    if (rows.minutes.length > 0) await speed.putMinutes(rows.minutes)
    if (rows.sessions.length > 0) await speed.putSessions(rows.sessions, rows.positions)
  }
}

interface RowsToWrite {
  readonly minutes: readonly MinuteRow[]
  readonly sessions: readonly SessionRow[]
  readonly positions: readonly PositionRow[]
  /** Tickets whose row is past its retention. */
  readonly expired: number
}

function rowsToWrite(tickets: readonly RowTicket[], nowMs: number): RowsToWrite {
  const live = tickets.filter(({ row }) => row.expiresAtMs > nowMs)
  const sessions = live.filter((ticket) => ticket.kind === 'session')
  return {
    minutes: live.flatMap((ticket) => (ticket.kind === 'minute' ? [ticket.row] : [])),
    sessions: sessions.map(({ row }) => row),
    positions: sessions.flatMap(({ positions }) => positions),
    expired: tickets.length - live.length,
  }
}
