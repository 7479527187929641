/**
 * One place in the pool and the process that fills it. A process that ends by itself is replaced,
 * after a wait that doubles while it keeps ending early.
 *
 *   starting ──says so──► ready ◄──► unready
 *      │   ▲                │           │
 *      ▼   │ wait over      ▼ ended     ▼
 *     waiting ◄─────────────┴───────────┘      (from every state: draining ──ended──► stopped)
 */
import type { ChildProcess } from 'node:child_process'
import type { Clock } from '../../shared/runtime/clock.ts'
import type { Random } from '../../shared/runtime/random.ts'
import {
  POOL_METRICS_TIMEOUT_MS,
  POOL_RESTART_MAX_MS,
  POOL_RESTART_MS,
  POOL_STABLE_MS,
  POOL_STOP_MARGIN_MS,
} from '../limits.ts'
import { countsOf } from './counts.ts'
import type { ChildMessage, Metrics, ParentMessage } from './messages.ts'

export type MemberState = 'starting' | 'ready' | 'unready' | 'waiting' | 'draining' | 'stopped'

const NEXT: Readonly<Record<MemberState, readonly MemberState[]>> = {
  starting: ['ready', 'unready', 'waiting', 'draining'],
  ready: ['unready', 'waiting', 'draining'],
  unready: ['ready', 'waiting', 'draining'],
  waiting: ['starting', 'stopped'],
  draining: ['stopped'],
  stopped: ['starting'],
}

export interface MemberObserver {
  started(member: PoolMember): void
  /** It ended without being asked to, and is started again after `restartAfterMs`. */
  ended(member: PoolMember, how: string, restartAfterMs: number): void
  drained(member: PoolMember, how: string): void
}

export interface MemberOptions {
  readonly index: number
  readonly fork: () => ChildProcess
  readonly drainGraceMs: number
  readonly clock: Clock
  readonly random: Random
  readonly observer: MemberObserver
  /** Is given what a process said last of its metrics, once it has ended, for whatever reason. */
  readonly counted: (last: Metrics) => void
}

export class PoolMember {
  readonly index: number
  readonly #options: MemberOptions
  #state: MemberState = 'stopped'
  #child: ChildProcess | undefined
  #unreadyCode: string | undefined
  #last: Metrics = []
  #startedAtMs = 0
  #earlyEnds = 0
  #requests = 0
  #cancelRestart: () => void = () => undefined
  readonly #waiters = new Set<() => void>()

  constructor(options: MemberOptions) {
    this.index = options.index
    this.#options = options
  }

  get state(): MemberState {
    return this.#state
  }

  get pid(): number | undefined {
    return this.#child?.pid
  }

  /** Why it takes nobody new; `undefined` when it does. */
  get unreadyCode(): string | undefined {
    if (this.#state === 'ready') return undefined
    return this.#state === 'unready' ? this.#unreadyCode : 'GATEWAY_PROCESS_DOWN'
  }

  /** What its process said last of its metrics; nothing while there is no process. */
  get lastMetrics(): Metrics {
    return this.#last
  }

  start(): void {
    const { fork, clock, observer } = this.#options
    this.#transition('starting')
    this.#startedAtMs = clock.monotonicMs()
    const child = fork()
    this.#child = child
    child.on('message', (message) => this.#hear(message as ChildMessage))
    // Later than `exit`: when all that it said has been heard.
    child.once('close', (code, signal) => {
      if (child === this.#child) this.#ended(signal ?? `code ${code}`)
    })
    // A channel that breaks shows as an exit; a process that cannot be started at all does not.
    child.once('error', (error) => {
      if (child.pid === undefined) this.#ended(error.message)
    })
    observer.started(this)
  }

  /** Resolves once the process has said how it stands, or has ended: then false. */
  async hasStarted(): Promise<boolean> {
    while (this.#state === 'starting') await this.#change()
    return this.#state === 'ready' || this.#state === 'unready'
  }

  async isReady(): Promise<void> {
    while (this.#state !== 'ready') await this.#change()
  }

  turnAway(): void {
    this.#say({ kind: 'turnAway' })
  }

  /** Drains the process and waits for its end; past the grace it is killed. */
  async drain(): Promise<void> {
    this.#cancelRestart()
    if (this.#state === 'stopped' || this.#state === 'draining') return
    if (this.#state === 'waiting') return this.#transition('stopped')
    this.#transition('draining')
    this.#say({ kind: 'drain' })
    const { clock, drainGraceMs } = this.#options
    const cancel = clock.after(drainGraceMs + POOL_STOP_MARGIN_MS, () =>
      this.#child?.kill('SIGKILL'),
    )
    // Changed by the exit of the process.
    while (this.state !== 'stopped') await this.#change()
    cancel()
  }

  /** Asks the process for its metrics; of one that does not answer in time the counts stand. */
  askMetrics(): Promise<void> {
    const child = this.#child
    if (child === undefined || !child.connected) return Promise.resolve()
    const request = (this.#requests += 1)
    return new Promise((resolve) => {
      const done = () => {
        cancel()
        child.off('message', listen)
        child.off('close', done)
        resolve()
      }
      const listen = (message: unknown) => {
        const said = message as ChildMessage
        if (said.kind === 'metrics' && said.request === request) done()
      }
      const cancel = this.#options.clock.after(POOL_METRICS_TIMEOUT_MS, () => {
        if (child === this.#child) this.#last = countsOf(this.#last)
        done()
      })
      child.on('message', listen)
      child.once('close', done)
      this.#say({ kind: 'tellMetrics', request })
    })
  }

  #say(message: ParentMessage): void {
    // A process that has just gone is noticed by its exit.
    if (this.#child?.connected === true) this.#child.send(message, () => undefined)
  }

  #hear(message: ChildMessage): void {
    if (message.kind === 'metrics') {
      this.#last = message.metrics
      return
    }
    if (this.#state === 'draining') return
    this.#unreadyCode = message.unreadyCode
    const state = message.unreadyCode === undefined ? 'ready' : 'unready'
    if (state !== this.#state) this.#transition(state)
  }

  #ended(how: string): void {
    const { clock, random, observer, counted } = this.#options
    this.#child = undefined
    counted(this.#last)
    this.#last = []
    if (this.#state === 'draining') {
      this.#transition('stopped')
      return observer.drained(this, how)
    }
    const livedMs = clock.monotonicMs() - this.#startedAtMs
    this.#earlyEnds = livedMs >= POOL_STABLE_MS ? 0 : this.#earlyEnds + 1
    const windowMs = Math.min(POOL_RESTART_MAX_MS, POOL_RESTART_MS * 2 ** this.#earlyEnds)
    const restartAfterMs = windowMs / 2 + random.below(Math.ceil(windowMs / 2))
    this.#transition('waiting')
    this.#cancelRestart = clock.after(restartAfterMs, () => this.start())
    observer.ended(this, how, restartAfterMs)
  }

  #change(): Promise<void> {
    return new Promise((resolve) => this.#waiters.add(resolve))
  }

  #transition(to: MemberState): void {
    if (!NEXT[this.#state].includes(to))
      throw new Error(`assertion failed: a pool member does not go from ${this.#state} to ${to}`)
    this.#state = to
    const waiters = [...this.#waiters]
    this.#waiters.clear()
    for (const waiter of waiters) waiter()
  }
}
