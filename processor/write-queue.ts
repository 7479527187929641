/**
 * One queue of changed rows on its way to the store: when its entries are due, what of it is under
 * way, and how far it is durable.
 *
 * The fold hands entries out oldest change first, so a queue is a sequence: the count of entries
 * that ever entered is `taken + waiting`. A mark remembers that count together with the offset
 * folded at that moment. Entries up to a mark are due by its pacing, and once all of them are
 * durable, so is every row that records below the mark's offset changed.
 */
import type { DirtyQueue } from '../shared/qoe/fold.ts'
import { MARKS_PER_QUEUE_MAX } from './limits.ts'

export interface Pacing {
  /** A mark is set this often, ms. */
  readonly markEveryMs: number
  /** Entries up to a mark are due this long after it, ms. */
  readonly delayMs: number
  /** Whether they fall due evenly over the `markEveryMs` that follow, rather than all at once. */
  readonly spread: boolean
}

/** How far something reaches in the log. */
export interface Reach {
  readonly offset: number
  readonly watermarkMs: number
}

interface Mark {
  readonly reach: Reach
  readonly setAtMs: number
  /** Append time of the oldest record since the mark before, where it is asked for. */
  readonly oldestLoggedAtMs: number | undefined
  /** Entries that had ever entered the queue. */
  entered: number
}

export interface Flight {
  readonly entries: number
  readonly startedMs: number
  durable: boolean
}

/** Rows that entered a queue between two marks, all of them in the store. */
export interface DurableRows {
  readonly rows: number
  /** Since the later mark was set, ms. */
  readonly afterMs: number
  /** Append time of the oldest record that changed one of them, epoch ms. */
  readonly oldestLoggedAtMs: number | undefined
}

export interface WriteQueueOptions {
  readonly name: DirtyQueue
  /** To begin with. */
  readonly pacing: Pacing
  /** Called with each mark whose entries are all durable, in order. */
  onReached(reach: Reach): void
  /** Called before, when there were entries since the last mark. */
  onDurable(done: DurableRows): void
  /** Append time of the oldest record folded since the last mark; asked once for each. */
  takeOldestLoggedAtMs?(): number | undefined
  /** Monotonic, ms. */
  now(): number
  onMarkSkipped(): void
}

export class WriteQueue {
  readonly name: DirtyQueue
  readonly #options: WriteQueueOptions
  #pacing: Pacing
  #taken = 0
  #durable = 0
  /** `entered` of the last mark reached. */
  #reachedEntered = 0
  #lastMarkMs = Number.NEGATIVE_INFINITY
  readonly #flights: Flight[] = []
  readonly #marks: Mark[] = []

  constructor(options: WriteQueueOptions) {
    this.name = options.name
    this.#options = options
    this.#pacing = options.pacing
  }

  get inFlight(): number {
    return this.#flights.length
  }

  oldestFlightMs(nowMs: number): number {
    const oldest = this.#flights[0]
    return oldest === undefined ? 0 : nowMs - oldest.startedMs
  }

  /** Holds for the marks that are set already, too. */
  pace(pacing: Pacing): void {
    this.#pacing = pacing
  }

  /** Sets a mark when the pacing asks for one. */
  markByTime(reach: Reach, waiting: number, nowMs: number): void {
    if (nowMs - this.#lastMarkMs < this.#pacing.markEveryMs) return
    this.mark(reach, waiting, nowMs)
  }

  mark(reach: Reach, waiting: number, nowMs: number): void {
    if (this.#marks.length >= MARKS_PER_QUEUE_MAX) {
      this.#options.onMarkSkipped()
      return
    }
    this.#lastMarkMs = nowMs
    const oldestLoggedAtMs = this.#options.takeOldestLoggedAtMs?.()
    const entered = this.#taken + waiting
    this.#marks.push({ reach, setAtMs: nowMs, oldestLoggedAtMs, entered })
    this.#settleMarks()
  }

  /**
   * How many entries are to be taken by now. `waiting` is the queue's length: an entry may leave
   * it for a more urgent queue, so no mark may count on more than are there.
   */
  due(waiting: number, nowMs: number): number {
    const present = this.#taken + waiting
    for (const mark of this.#marks) mark.entered = Math.min(mark.entered, present)
    this.#settleMarks()
    return Math.max(0, this.#enteredDue(nowMs) - this.#taken)
  }

  #enteredDue(nowMs: number): number {
    const { delayMs, markEveryMs, spread } = this.#pacing
    let entered = this.#reachedEntered
    for (const mark of this.#marks) {
      const overdueMs = nowMs - mark.setAtMs - delayMs
      if (overdueMs < 0) break
      const share = spread ? Math.min(1, overdueMs / markEveryMs) : 1
      entered += Math.ceil((mark.entered - entered) * share)
      if (share < 1) break
    }
    return entered
  }

  /** `entries` were taken from the fold and are being written. */
  began(entries: number, nowMs: number): Flight {
    const flight = { entries, startedMs: nowMs, durable: false }
    this.#taken += entries
    this.#flights.push(flight)
    return flight
  }

  /** The rows of `flight` are durable; flights may end in any order. */
  ended(flight: Flight): void {
    flight.durable = true
    while (this.#flights[0]?.durable === true) {
      this.#durable += this.#flights[0].entries
      this.#flights.shift()
    }
    this.#settleMarks()
  }

  #settleMarks(): void {
    for (;;) {
      const mark = this.#marks[0]
      if (mark === undefined || mark.entered > this.#durable) return
      this.#marks.shift()
      const rows = mark.entered - this.#reachedEntered
      const { oldestLoggedAtMs } = mark
      if (rows > 0)
        this.#options.onDurable({
          rows,
          afterMs: this.#options.now() - mark.setAtMs,
          oldestLoggedAtMs,
        })
      this.#reachedEntered = mark.entered
      this.#options.onReached(mark.reach)
    }
  }
}
