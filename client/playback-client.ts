/**
 * The reference client of protocol `playback.v1`. It keeps every accepted event until the gateway
 * has acknowledged it: across `slow`, drains, lost connections and reconnects, in order, within the
 * credit it was given and within its own bounds. What it cannot keep it refuses, and says so.
 *
 * One client is one connection; it may carry many sessions, one session per frame.
 */
import { Backoff } from './backoff.ts'
import { clientProblem, type ClientProblem } from './client-errors.ts'
import { Connection, type RejectedReport } from './connection.ts'
import {
  cutFrames,
  frameBody,
  frameBytesAtMost,
  framePrefix,
  FrameQueue,
  recutFrame,
  type QueuedFrame,
} from './frame-queue.ts'
import { resolveLimits, type ClientLimits } from './limits.ts'
import type { PlaybackEvent, SessionContext } from './protocol-types.ts'
import {
  deviceClock,
  deviceRandom,
  openWebSocket,
  type ClientClock,
  type ClientRandom,
  type OpenSocket,
} from './runtime.ts'

export interface PlaybackClientOptions {
  /** `ws://…/v1/events` or `wss://…/v1/events`. */
  readonly url: string
  /** A token of scope `write`, or what gives one for every connection. */
  readonly token?: string | (() => string | Promise<string>) | undefined
  readonly limits?: Partial<ClientLimits> | undefined
  /** Events that the gateway refused for good, or that fit no frame of it. */
  readonly onRejected?: ((reports: readonly RejectedReport[]) => void) | undefined
  readonly onProblem?: ((problem: ClientProblem) => void) | undefined
  readonly onState?: ((state: ClientState) => void) | undefined
  readonly clock?: ClientClock | undefined
  readonly random?: ClientRandom | undefined
  readonly openSocket?: OpenSocket | undefined
}

/**
 *   idle ─► connecting ─► ready ─► leaving
 *              ▲  │         │         │        resting: the server closed an idle connection;
 *              │  ▼         ▼         ▼                 the next `send` connects again
 *              waiting ◄──────────────┘        stopped: only `connect` tries again
 *                                              closed: for good
 */
export type ClientState =
  'idle' | 'connecting' | 'ready' | 'leaving' | 'waiting' | 'resting' | 'stopped' | 'closed'

const NEXT_STATES: Readonly<Record<ClientState, readonly ClientState[]>> = {
  idle: ['connecting', 'closed'],
  connecting: ['ready', 'waiting', 'stopped', 'closed'],
  ready: ['leaving', 'waiting', 'resting', 'stopped', 'closed'],
  leaving: ['waiting', 'stopped', 'closed'],
  waiting: ['connecting', 'closed'],
  resting: ['connecting', 'closed'],
  stopped: ['connecting', 'closed'],
  closed: [],
}

export type SendResult =
  | { readonly accepted: true }
  | { readonly accepted: false; readonly reason: 'queueFull' | 'eventTooLarge' | 'closed' }

/**
 * At every moment eventsAccepted = eventsAcknowledged + eventsUndeliverable + eventsQueued;
 * `eventsRejected` are among the acknowledged.
 */
export interface ClientMetrics {
  readonly eventsAccepted: number
  readonly eventsAcknowledged: number
  readonly eventsRejected: number
  readonly eventsUndeliverable: number
  readonly eventsQueued: number
  /** Events of refused `send` calls; the client never had them. */
  readonly eventsRefused: number
  /** Transmissions, resent ones included. */
  readonly framesSent: number
  readonly framesResent: number
  readonly framesAcknowledged: number
  readonly framesQueued: number
  readonly framesInFlight: number
  readonly bytesQueued: number
  readonly connections: number
}

/** A server closes with it what brought nothing for long. */
const IDLE_CLOSE_CODE = 4408

interface FlushWaiter {
  /** Settled when this many events have left the queue since the start. */
  readonly settledEvents: number
  readonly resolve: (flushed: boolean) => void
  readonly cancelTimer: () => void
}

interface Departure {
  /** A random part of the time that the server named: when to be back, at the earliest. */
  readonly returnAtMs: number
  /** How long the acknowledgements of what is in flight are waited for. */
  readonly leaveAtMs: number
}

export class PlaybackClient {
  readonly #options: PlaybackClientOptions
  readonly #limits: ClientLimits
  readonly #clock: ClientClock
  readonly #backoff: Backoff
  readonly #queue = new FrameQueue()
  readonly #waiters = new Set<FlushWaiter>()
  readonly #counters = {
    eventsAccepted: 0,
    eventsAcknowledged: 0,
    eventsRejected: 0,
    eventsUndeliverable: 0,
    eventsRefused: 0,
    framesSent: 0,
    framesResent: 0,
    framesAcknowledged: 0,
    connections: 0,
  }
  #state: ClientState = 'idle'
  #connection: Connection | undefined
  /** Tells a token that comes late from one for the present attempt. */
  #attempt = 0
  #cancelTimer: () => void = () => undefined
  #readySinceMs: number | undefined
  /** Set by a draining server. */
  #departure: Departure | undefined

  /** Throws a TypeError for a URL that is not a WebSocket's, a RangeError for contradictory limits. */
  constructor(options: PlaybackClientOptions) {
    const { protocol } = new URL(options.url)
    if (protocol !== 'ws:' && protocol !== 'wss:')
      throw new TypeError(`url must begin with ws: or wss:, received ${protocol}`)
    this.#options = options
    this.#limits = resolveLimits(options.limits)
    this.#clock = options.clock ?? deviceClock
    this.#backoff = new Backoff(
      { baseMs: this.#limits.backoffBaseMs, maxMs: this.#limits.backoffMaxMs },
      options.random ?? deviceRandom,
    )
  }

  get state(): ClientState {
    return this.#state
  }

  get metrics(): ClientMetrics {
    return {
      ...this.#counters,
      eventsQueued: this.#queue.events,
      framesQueued: this.#queue.frames,
      framesInFlight: this.#connection?.inFlightFrames ?? 0,
      bytesQueued: this.#queue.bytes,
    }
  }

  /** Connects, and from then on reconnects by itself. Does nothing while that is under way. */
  connect(): void {
    if (['idle', 'resting', 'stopped'].includes(this.#state)) this.#open()
  }

  /**
   * Takes the events of one session, in `seq` order; all of them or none. They are serialised here:
   * later changes to the objects change nothing.
   */
  send(session: SessionContext, events: readonly PlaybackEvent[]): SendResult {
    const reason = this.#enqueue(session, events)
    if (reason !== undefined) {
      this.#counters.eventsRefused += events.length
      return { accepted: false, reason }
    }
    this.#counters.eventsAccepted += events.length
    if (this.#state === 'resting' && this.#queue.frames > 0) this.#open()
    else this.#connection?.pump()
    return { accepted: true }
  }

  /** True once everything accepted so far is acknowledged; false after `deadlineMs` or `close`. */
  flush(deadlineMs: number): Promise<boolean> {
    if (this.#queue.events === 0) return Promise.resolve(true)
    if (this.#state === 'closed') return Promise.resolve(false)
    return new Promise((resolve) => {
      const waiter: FlushWaiter = {
        settledEvents: this.#settledEvents + this.#queue.events,
        resolve,
        cancelTimer: this.#clock.after(deadlineMs, () => {
          this.#waiters.delete(waiter)
          resolve(false)
        }),
      }
      this.#waiters.add(waiter)
    })
  }

  /**
   * Bodies for `fetch(…/v1/events, { method: 'POST', keepalive: true })` when the page goes away:
   * what is not acknowledged, unsent frames first, up to the browser's bound on such bodies.
   * Nothing leaves the queue, because the page may come back and a repeat is harmless.
   */
  pageHide(): string[] {
    const inFlight = this.#connection?.inFlightFrames ?? 0
    const bytesMax = this.#limits.keepaliveBytesMax
    const bounds = { bytesMax, eventsMax: this.#limits.frameEventsMax }
    const sentAtMs = this.#clock.nowMs()
    const bodies: string[] = []
    let bytes = 0
    for (const queued of [...this.#queue.from(inFlight), ...this.#queue.first(inFlight)])
      for (const frame of recutFrame(queued, bounds).frames) {
        bytes += frameBytesAtMost(frame)
        if (bytes > bytesMax) return bodies
        bodies.push(framePrefix(undefined, sentAtMs) + frameBody(frame))
      }
    return bodies
  }

  /** Closes at once and for good. What is not acknowledged is abandoned: `flush` first. */
  close(): void {
    if (this.#state === 'closed') return
    this.#dropConnection()
    this.#enter('closed')
    for (const waiter of this.#waiters) this.#settle(waiter, false)
  }

  get #settledEvents(): number {
    return this.#counters.eventsAcknowledged + this.#counters.eventsUndeliverable
  }

  #enqueue(
    session: SessionContext,
    events: readonly PlaybackEvent[],
  ): (SendResult & { accepted: false })['reason'] | undefined {
    if (this.#state === 'closed') return 'closed'
    const { frameBytesMax, frameEventsMax, queueFramesMax, queueBytesMax } = this.#limits
    if (this.#queue.frames >= queueFramesMax) return 'queueFull'
    const bounds = { bytesMax: frameBytesMax, eventsMax: frameEventsMax }
    const { frames, tooLarge } = cutFrames(session, events, bounds)
    if (tooLarge.length > 0) return 'eventTooLarge'
    const bytes = frames.reduce((sum, frame) => sum + frameBytesAtMost(frame), 0)
    if (this.#queue.frames + frames.length > queueFramesMax) return 'queueFull'
    if (this.#queue.bytes + bytes > queueBytesMax) return 'queueFull'
    this.#queue.push(frames)
    return undefined
  }

  #open(): void {
    this.#enter('connecting')
    this.#attempt += 1
    this.#counters.connections += 1
    const { token } = this.#options
    if (typeof token !== 'function') return this.#openSocket(token)
    const attempt = this.#attempt
    const isCurrent = () => this.#state === 'connecting' && this.#attempt === attempt
    Promise.resolve()
      .then(token)
      .then(
        (value) => {
          if (isCurrent()) this.#openSocket(value)
        },
        (error: unknown) => {
          if (isCurrent()) this.#ended(clientProblem('CLIENT_TOKEN_UNAVAILABLE', String(error)))
        },
      )
  }

  #openSocket(token: string | undefined): void {
    const subprotocols =
      token === undefined ? ['playback.v1'] : ['playback.v1', `bearer.${base64Url(token)}`]
    try {
      this.#connection = new Connection({
        url: this.#options.url,
        subprotocols,
        openSocket: this.#options.openSocket ?? openWebSocket,
        queue: this.#queue,
        clock: this.#clock,
        limits: this.#limits,
        tokenRenewable: typeof this.#options.token === 'function',
        observer: this.#observer,
      })
    } catch (error) {
      this.#ended(clientProblem('CLIENT_CONNECTION_LOST', String(error)))
    }
  }

  readonly #observer = {
    welcomed: () => {
      this.#readySinceMs = this.#clock.nowMs()
      this.#enter('ready')
    },
    transmitted: (frame: QueuedFrame) => {
      this.#counters.framesSent += 1
      if (frame.transmitted) this.#counters.framesResent += 1
      frame.transmitted = true
    },
    acknowledged: (frames: readonly QueuedFrame[]) => {
      this.#backoff.reset()
      this.#counters.framesAcknowledged += frames.length
      for (const frame of frames) this.#counters.eventsAcknowledged += frame.events.length
      this.#settleFlushed()
      this.#departWhenDue()
    },
    rejected: (reports: readonly RejectedReport[]) => {
      this.#counters.eventsRejected += reports.length
      this.#options.onRejected?.(reports)
    },
    undeliverable: (reports: readonly RejectedReport[]) => {
      this.#counters.eventsUndeliverable += reports.length
      this.#settleFlushed()
      this.#options.onRejected?.(reports)
    },
    leaving: (reconnectAfterMs: number) => {
      const nowMs = this.#clock.nowMs()
      const returnAtMs = nowMs + this.#backoff.within(reconnectAfterMs)
      this.#departure = { returnAtMs, leaveAtMs: nowMs + reconnectAfterMs }
      this.#enter('leaving')
      this.#departWhenDue()
    },
    ended: (problem: ClientProblem) => this.#ended(problem),
  }

  #ended(problem: ClientProblem): void {
    const isIdle = problem.closeCode === IDLE_CLOSE_CODE && this.#queue.frames === 0
    if (isIdle && this.#state === 'ready') {
      this.#dropConnection()
      return this.#enter('resting')
    }
    const announced = this.#departure !== undefined && problem.code === 'CLIENT_CONNECTION_LOST'
    if (problem.reconnects) this.#reconnectLater()
    else {
      this.#dropConnection()
      this.#enter('stopped')
    }
    if (!announced) this.#options.onProblem?.(problem)
  }

  /** Leaves a draining server when its time has come and nothing is in flight, or no longer counts. */
  #departWhenDue(): void {
    if (this.#state !== 'leaving' || this.#departure === undefined) return
    const { returnAtMs, leaveAtMs } = this.#departure
    const inFlight = (this.#connection?.inFlightFrames ?? 0) > 0
    const waitMs = (inFlight ? leaveAtMs : returnAtMs) - this.#clock.nowMs()
    this.#cancelTimer()
    if (waitMs <= 0) this.#reconnectLater()
    else this.#cancelTimer = this.#clock.after(waitMs, () => this.#departWhenDue())
  }

  #reconnectLater(): void {
    const nowMs = this.#clock.nowMs()
    // A connection that held for long ends a series of failures, even if it had nothing to send.
    if (this.#readySinceMs !== undefined && nowMs - this.#readySinceMs >= this.#limits.backoffMaxMs)
      this.#backoff.reset()
    const delayMs =
      this.#departure === undefined
        ? this.#backoff.nextDelayMs()
        : Math.max(0, this.#departure.returnAtMs - nowMs)
    this.#dropConnection()
    this.#enter('waiting')
    this.#cancelTimer = this.#clock.after(delayMs, () => this.#open())
  }

  #dropConnection(): void {
    this.#cancelTimer()
    this.#connection?.close()
    this.#connection = undefined
    this.#readySinceMs = undefined
    this.#departure = undefined
  }

  #settleFlushed(): void {
    for (const waiter of this.#waiters)
      if (this.#settledEvents >= waiter.settledEvents) this.#settle(waiter, true)
  }

  #settle(waiter: FlushWaiter, flushed: boolean): void {
    this.#waiters.delete(waiter)
    waiter.cancelTimer()
    waiter.resolve(flushed)
  }

  #enter(state: ClientState): void {
    if (!NEXT_STATES[this.#state].includes(state))
      throw new Error(`assertion failed: ${this.#state} is not followed by ${state}`)
    this.#state = state
    this.#options.onState?.(state)
  }
}

function base64Url(text: string): string {
  const bytes = String.fromCharCode(...new TextEncoder().encode(text))
  return btoa(bytes).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '')
}
