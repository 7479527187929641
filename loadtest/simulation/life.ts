/**
 * A process as the world sees it: it runs, it stands still as under SIGSTOP, or it is dead. What
 * reaches it while it stands still waits; what reaches a dead one is lost.
 */
import type { Clock } from '../../shared/runtime/clock.ts'
import type { Scheduler } from './scheduler.ts'

export class Life {
  readonly name: string
  readonly #scheduler: Scheduler
  readonly #waiting: (() => void)[] = []
  #state: 'running' | 'frozen' | 'dead' = 'running'

  constructor(name: string, scheduler: Scheduler) {
    this.name = name
    this.#scheduler = scheduler
  }

  get isDead(): boolean {
    return this.#state === 'dead'
  }

  get isFrozen(): boolean {
    return this.#state === 'frozen'
  }

  kill(): void {
    this.#scheduler.trace(`${this.name} dies\n`)
    this.#state = 'dead'
    this.#waiting.length = 0
  }

  freeze(): void {
    if (this.#state === 'running') this.#state = 'frozen'
  }

  /** Goes on; what waited reaches it piece by piece, in an order that the seed decides. */
  thaw(): void {
    if (this.#state !== 'frozen') return
    this.#state = 'running'
    for (const task of this.#waiting.splice(0))
      this.#scheduler.after(0, `${this.name} catches up`, () => this.reach(task))
  }

  /** Runs `task` in the process: now, when it goes on, or never. */
  reach(task: () => void): void {
    if (this.#state === 'running') task()
    else if (this.#state === 'frozen') this.#waiting.push(task)
  }
}

/** The process's own clock: virtual time, with a wall clock that is wrong by `skewMs`. */
export function clockOf(life: Life, scheduler: Scheduler, skewMs: number): Clock {
  const { name } = life
  const startedMs = scheduler.nowMs
  const after = (delayMs: number, task: () => void) =>
    scheduler.after(delayMs, `${name} timer`, () => life.reach(task))
  return {
    nowMs: () => scheduler.nowMs + skewMs,
    monotonicMs: () => scheduler.nowMs - startedMs,
    after,
    every(periodMs, task) {
      let cancel: () => void = () => undefined
      const next = () => {
        cancel = after(periodMs, () => {
          next()
          task()
        })
      }
      next()
      return () => cancel()
    },
    sleep(delayMs, signal) {
      return new Promise((resolve) => {
        if (signal?.aborted) return resolve()
        const cancel = after(delayMs, () => {
          signal?.removeEventListener('abort', done)
          resolve()
        })
        const done = () => {
          cancel()
          resolve()
        }
        signal?.addEventListener('abort', done, { once: true })
      })
    },
    nextTurn: (task) => void scheduler.after(0, `${name} turn`, () => life.reach(task)),
  }
}
