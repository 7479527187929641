/**
 * A few connections that carry a whole audience. A client stamps its own device clock, so sessions
 * are shared out by their clock first; one session always takes the same connection.
 */
import type { ClientProblem } from '../../client/client-errors.ts'
import type { RejectedReport } from '../../client/connection.ts'
import type { ClientLimits } from '../../client/limits.ts'
import { PlaybackClient, type ClientMetrics } from '../../client/playback-client.ts'
import type { PlaybackEvent, SessionContext } from '../../shared/events/schema.ts'
import type { Clock } from '../../shared/runtime/clock.ts'
import type { Random } from '../../shared/runtime/random.ts'

export interface ClientPoolOptions {
  /** `ws://…/v1/events` */
  readonly url: string
  readonly token?: string | undefined
  /** Device clocks of the audience, each minus true time; repeated ones share connections. */
  readonly clockOffsetsMs: readonly number[]
  readonly connectionsPerClock: number
  readonly clock: Clock
  readonly random: Random
  readonly limits?: Partial<ClientLimits>
  readonly onProblem?: (problem: ClientProblem) => void
  readonly onRejected?: (reports: readonly RejectedReport[]) => void
}

/** Events of one session that travel together. */
export interface OutgoingFrame {
  readonly sessionId: string
  readonly clockOffsetMs: number
  readonly context: SessionContext
  readonly events: readonly PlaybackEvent[]
}

/** How long a full queue may go without an acknowledgement before the pool gives the gateway up. */
const ACKNOWLEDGEMENT_MAX_MS = 60_000
/** A full queue is tried again so often. */
const RETRY_MS = 100

export class ClientPool {
  readonly #clients: ReadonlyMap<number, readonly PlaybackClient[]>
  readonly #clock: Clock

  constructor(options: ClientPoolOptions) {
    this.#clock = options.clock
    const connect = (offsetMs: number) =>
      Array.from({ length: options.connectionsPerClock }, () => createClient(options, offsetMs))
    this.#clients = new Map(
      [...new Set(options.clockOffsetsMs)].map(
        (offsetMs) => [offsetMs, connect(offsetMs)] as const,
      ),
    )
  }

  connect(): void {
    for (const client of this.#all()) client.connect()
  }

  /** Whether the frame was accepted; a full queue takes it later. */
  offer(frame: OutgoingFrame): boolean {
    return this.#clientOf(frame).send(frame.context, frame.events).accepted
  }

  /** Sends frames as fast as the gateway's credit allows; an Error when it stops taking them. */
  async sendAll(frames: Iterable<OutgoingFrame>): Promise<void> {
    for (const frame of frames) if (!this.offer(frame)) await this.#sendLater(frame)
  }

  /** Whether everything accepted so far was acknowledged within `deadlineMs`. */
  async flush(deadlineMs: number): Promise<boolean> {
    const flushed = await Promise.all([...this.#all()].map((client) => client.flush(deadlineMs)))
    return flushed.every(Boolean)
  }

  close(): void {
    for (const client of this.#all()) client.close()
  }

  /** Sums over the connections. */
  get metrics(): ClientMetrics {
    const [first, ...others] = [...this.#all()].map((client) => client.metrics)
    if (first === undefined) throw new Error('a pool has at least one connection')
    return others.reduce(sumMetrics, first)
  }

  /** Waits for room; a gateway that is killed and started again may take long, but moves on. */
  async #sendLater(frame: OutgoingFrame): Promise<void> {
    const client = this.#clientOf(frame)
    let acknowledged = client.metrics.eventsAcknowledged
    let sinceMs = this.#clock.monotonicMs()
    while (!this.offer(frame)) {
      await this.#clock.sleep(RETRY_MS)
      const nowMs = this.#clock.monotonicMs()
      if (client.metrics.eventsAcknowledged > acknowledged) {
        acknowledged = client.metrics.eventsAcknowledged
        sinceMs = nowMs
      } else if (nowMs - sinceMs > ACKNOWLEDGEMENT_MAX_MS)
        throw new Error(`the gateway acknowledged nothing for ${ACKNOWLEDGEMENT_MAX_MS} ms`)
    }
  }

  *#all(): Generator<PlaybackClient> {
    for (const clients of this.#clients.values()) yield* clients
  }

  #clientOf({ clockOffsetMs, sessionId }: OutgoingFrame): PlaybackClient {
    const clients = this.#clients.get(clockOffsetMs) ?? []
    const client = clients[hash(sessionId) % clients.length]
    if (client === undefined) throw new Error(`no connection has the clock ${clockOffsetMs}`)
    return client
  }
}

function createClient(options: ClientPoolOptions, offsetMs: number): PlaybackClient {
  const { clock } = options
  return new PlaybackClient({
    url: options.url,
    token: options.token,
    limits: options.limits,
    onProblem: options.onProblem,
    onRejected: options.onRejected,
    random: options.random,
    clock: {
      nowMs: () => clock.nowMs() + offsetMs,
      after: (delayMs, task) => clock.after(delayMs, task),
    },
  })
}

function sumMetrics(a: ClientMetrics, b: ClientMetrics): ClientMetrics {
  const sum = { ...a }
  for (const name of Object.keys(a) as (keyof ClientMetrics)[]) sum[name] = a[name] + b[name]
  return sum
}

function hash(text: string): number {
  let mixed = 0
  for (let index = 0; index < text.length; index++)
    mixed = (Math.imul(mixed, 31) + text.charCodeAt(index)) >>> 0
  return mixed
}
