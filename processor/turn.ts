/**
 * Turns: work on the event loop in slices short enough for the others in the process (the gateway,
 * in standalone) to be served in between.
 */
import type { Clock } from '../shared/runtime/clock.ts'

/**
 * Hands turns out one per round of the event loop, first come, first served, to all partitions of
 * the process: however many there are, others wait for one turn only. Each partition waits here at
 * most four times: for its records, its checkpoint, its timed steps and its rows.
 */
export class TurnQueue {
  readonly #clock: Pick<Clock, 'nextTurn'>
  readonly #waiting: (() => void)[] = []
  #isScheduled = false

  constructor(clock: Pick<Clock, 'nextTurn'>) {
    this.#clock = clock
  }

  /** Resolves in a later round of the event loop. */
  next(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve)
      this.#schedule()
    })
  }

  #schedule(): void {
    if (this.#isScheduled || this.#waiting.length === 0) return
    this.#isScheduled = true
    this.#clock.nextTurn(() => {
      this.#isScheduled = false
      this.#waiting.shift()?.()
      this.#schedule()
    })
  }
}

export interface TurnLimits {
  readonly turnRecordsMax: number
  readonly turnMaxMs: number
}

/** One partition's turn. */
export class Turn {
  readonly #queue: TurnQueue
  readonly #clock: Clock
  readonly #limits: TurnLimits
  #records = 0
  #startedMs: number

  constructor(queue: TurnQueue, clock: Clock, limits: TurnLimits) {
    this.#queue = queue
    this.#clock = clock
    this.#limits = limits
    this.#startedMs = clock.monotonicMs()
  }

  /** Counts one record; true when the turn is over and `next` is to be awaited. */
  spend(): boolean {
    this.#records += 1
    return (
      this.#records >= this.#limits.turnRecordsMax ||
      this.#clock.monotonicMs() - this.#startedMs >= this.#limits.turnMaxMs
    )
  }

  /** Gives the event loop away and begins the next turn. */
  async next(): Promise<void> {
    await this.#queue.next()
    this.#records = 0
    this.#startedMs = this.#clock.monotonicMs()
  }
}
