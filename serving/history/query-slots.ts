/**
 * Bounds how many history queries run at a time and how many wait. One whose asker has given up
 * while it waited is never run; one that runs counts until the warehouse has answered.
 */
import { servingErrors } from '../errors.ts'

export interface QuerySlotsLimits {
  readonly historyQueriesInFlightMax: number
  readonly historyQueriesWaitingMax: number
}

export class QuerySlots {
  readonly #limits: QuerySlotsLimits
  readonly #waiting: (() => void)[] = []
  #inFlight = 0

  constructor(limits: QuerySlotsLimits) {
    this.#limits = limits
  }

  get inFlight(): number {
    return this.#inFlight
  }

  get waiting(): number {
    return this.#waiting.length
  }

  /** Runs `query` when there is room. Throws `SERVING_HISTORY_BUSY`, or what the query throws. */
  async run<Value>(query: () => Promise<Value>, signal: AbortSignal): Promise<Value> {
    if (this.#inFlight >= this.#limits.historyQueriesInFlightMax) await this.#turn()
    else this.#inFlight++
    try {
      if (signal.aborted) throw busy('an asker that still waits', 'none')
      return await query()
    } finally {
      // A slot is handed on, so that no newcomer takes it before one that waits.
      const next = this.#waiting.shift()
      if (next === undefined) this.#inFlight--
      else next()
    }
  }

  #turn(): Promise<void> {
    const max = this.#limits.historyQueriesWaitingMax
    if (this.#waiting.length >= max)
      return Promise.reject(busy(`at most ${max} queries that wait`, 'one more'))
    return new Promise((resolve) => this.#waiting.push(resolve))
  }
}

function busy(expected: string, received: string) {
  return servingErrors.create('SERVING_HISTORY_BUSY', { expected, received })
}
