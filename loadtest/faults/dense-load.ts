/**
 * A load that knows what it sent: sessions with dense seqs from 0, over the real client, at a steady
 * pace for as long as it runs. Once it is flushed, all of it was sent and acknowledged.
 */
import type { Clock } from '../../shared/runtime/clock.ts'
import type { Random } from '../../shared/runtime/random.ts'
import { ClientPool, type OutgoingFrame } from '../simulator/client-pool.ts'

export interface DenseLoadOptions {
  /** `ws://…/v1/events` */
  readonly url: string
  readonly token?: string | undefined
  readonly connections: number
  readonly sessions: number
  readonly eventsPerFrame: number
  readonly framesPerSecond: number
  readonly clock: Clock
  readonly random: Random
}

const PACE_MS = 20
const DEVICE_CLOCK = 0

export class DenseLoad {
  /** What the names of its sessions begin with. */
  readonly prefix: string
  readonly #options: DenseLoadOptions
  readonly #pool: ClientPool
  /** Events of each session that the client has taken. */
  readonly #taken = new Map<string, number>()
  #next = 0
  #cancel: (() => void) | undefined

  constructor(options: DenseLoadOptions) {
    const { url, token, connections, clock, random } = options
    this.#options = options
    this.prefix = `dense-${random.uuid().slice(0, 8)}-`
    this.#pool = new ClientPool({
      url,
      token,
      clockOffsetsMs: [DEVICE_CLOCK],
      connectionsPerClock: connections,
      clock,
      random,
      limits: { connectTimeoutMs: 3_000, backoffBaseMs: 50, backoffMaxMs: 500 },
    })
  }

  start(): void {
    const { clock, framesPerSecond } = this.#options
    this.#pool.connect()
    const startedAtMs = clock.monotonicMs()
    let offered = 0
    this.#cancel = clock.every(PACE_MS, () => {
      const due = ((clock.monotonicMs() - startedAtMs) * framesPerSecond) / 1_000
      for (; offered < due; offered++) this.#offer()
    })
  }

  /** Sends nothing new; whether all that was sent is acknowledged within `deadlineMs`. */
  async flush(deadlineMs: number): Promise<boolean> {
    this.#cancel?.()
    return this.#pool.flush(deadlineMs)
  }

  close(): void {
    this.#cancel?.()
    this.#pool.close()
  }

  /** Events of each session that were sent, seqs 0 to that. */
  get sent(): ReadonlyMap<string, number> {
    return this.#taken
  }

  get metrics() {
    return this.#pool.metrics
  }

  /** A full queue skips the session's turn: its seqs stay dense. */
  #offer(): void {
    const { sessions, eventsPerFrame, clock } = this.#options
    const sessionId = `${this.prefix}${this.#next++ % sessions}`
    const first = this.#taken.get(sessionId) ?? 0
    const events: OutgoingFrame['events'] = Array.from({ length: eventsPerFrame }, (_, index) => ({
      seq: first + index,
      type: 'heartbeat',
      at: clock.nowMs(),
    }))
    const frame = { sessionId, clockOffsetMs: DEVICE_CLOCK, context: { sessionId }, events }
    if (this.#pool.offer(frame)) this.#taken.set(sessionId, first + eventsPerFrame)
  }
}
