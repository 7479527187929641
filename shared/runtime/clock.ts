/**
 * Time as an argument. Product code asks a `Clock`; only this file touches the machine's clock, so
 * that tests and the simulation can move time by hand and a lint rule can ban `Date.now` elsewhere.
 */
export interface Clock {
  /** Wall clock, epoch milliseconds, integer. May step. */
  nowMs(): number
  /** Monotonic milliseconds since an arbitrary start, fractional. Never steps; for durations. */
  monotonicMs(): number
  /** Runs `task` once after `delayMs`; returns its cancellation. */
  after(delayMs: number, task: () => void): () => void
  /** Runs `task` every `periodMs` until cancelled. */
  every(periodMs: number, task: () => void): () => void
  /** Resolves after `delayMs`, or at once when `signal` aborts (it never rejects). */
  sleep(delayMs: number, signal?: AbortSignal): Promise<void>
  /** Runs `task` in a later round of the event loop, after what waits there now. */
  nextTurn(task: () => void): void
}

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  after(delayMs, task) {
    const timer = setTimeout(task, delayMs)
    return () => clearTimeout(timer)
  },
  every(periodMs, task) {
    const timer = setInterval(task, periodMs)
    return () => clearInterval(timer)
  },
  sleep(delayMs, signal) {
    return new Promise((resolve) => {
      if (signal?.aborted) return resolve()
      const done = () => {
        clearTimeout(timer)
        signal?.removeEventListener('abort', done)
        resolve()
      }
      const timer = setTimeout(done, delayMs)
      signal?.addEventListener('abort', done, { once: true })
    })
  },
  nextTurn: (task) => void setImmediate(task),
}

interface Scheduled {
  dueMs: number
  readonly order: number
  readonly periodMs: number | undefined
  readonly task: () => void
}

/** A clock that stands still until `advance` moves it; due tasks run in due order. */
export class ManualClock implements Clock {
  #nowMs: number
  readonly #startMs: number
  #order = 0
  readonly #scheduled = new Set<Scheduled>()

  constructor(startMs = 1_800_000_000_000) {
    this.#nowMs = startMs
    this.#startMs = startMs
  }

  nowMs(): number {
    return this.#nowMs
  }

  monotonicMs(): number {
    return this.#nowMs - this.#startMs
  }

  after(delayMs: number, task: () => void): () => void {
    return this.#schedule(delayMs, undefined, task)
  }

  every(periodMs: number, task: () => void): () => void {
    return this.#schedule(periodMs, periodMs, task)
  }

  sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal?.aborted) return resolve()
      const cancel = this.after(delayMs, resolve)
      signal?.addEventListener('abort', () => (cancel(), resolve()), { once: true })
    })
  }

  /** By the machine's event loop: a turn takes no time. */
  nextTurn(task: () => void): void {
    setImmediate(task)
  }

  /** Moves time forward, running what falls due; lets pending microtasks run between tasks. */
  async advance(byMs: number): Promise<void> {
    const untilMs = this.#nowMs + byMs
    for (;;) {
      const next = this.#nextDue(untilMs)
      if (next === undefined) break
      this.#nowMs = Math.max(this.#nowMs, next.dueMs)
      if (next.periodMs === undefined) this.#scheduled.delete(next)
      else next.dueMs += next.periodMs
      next.task()
      await Promise.resolve()
    }
    this.#nowMs = untilMs
    await Promise.resolve()
  }

  #nextDue(untilMs: number): Scheduled | undefined {
    let best: Scheduled | undefined
    for (const entry of this.#scheduled) {
      if (entry.dueMs > untilMs) continue
      if (
        !best ||
        entry.dueMs < best.dueMs ||
        (entry.dueMs === best.dueMs && entry.order < best.order)
      )
        best = entry
    }
    return best
  }

  #schedule(delayMs: number, periodMs: number | undefined, task: () => void): () => void {
    const entry: Scheduled = { dueMs: this.#nowMs + delayMs, order: this.#order++, periodMs, task }
    this.#scheduled.add(entry)
    return () => this.#scheduled.delete(entry)
  }
}
