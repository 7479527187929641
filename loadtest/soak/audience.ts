/**
 * The load of a soak: an audience in real time, over the reference client, at a bounded rate. It knows
 * what it sent: dense seqs of each session. Some devices are offline for a while and send what they
 * kept when they are back, which is later than the live view takes it.
 */
import type { PlaybackEvent, SessionContext } from '../../shared/events/schema.ts'
import { systemClock as clock } from '../../shared/runtime/clock.ts'
import { systemRandom as random } from '../../shared/runtime/random.ts'
import { AudiencePlayer } from '../simulator/audience-player.ts'
import { ClientPool, type OutgoingFrame } from '../simulator/client-pool.ts'
import {
  simulateSession,
  type AudienceOptions,
  type SimulatedSession,
} from '../simulator/simulate-audience.ts'

export interface SoakAudienceOptions {
  /** `ws://…/v1/events` */
  readonly url: string
  readonly seed: number
  readonly eventsPerSecond: number
}

const CLOCK_OFFSETS_MS = [0, 3 * 86_400_000]
const CONNECTIONS_PER_CLOCK = 4
const WATCH_MEDIAN_MS = 40_000
const SAMPLE = 400
const SECOND_MS = 1_000
/** One session in so many is offline in its middle, for longer than the lateness that is allowed. */
const OFFLINE_OF = 40
export const OFFLINE_MS = 75_000

export class SoakAudience {
  readonly #pool: ClientPool
  readonly #player: AudiencePlayer
  readonly #taken = new Map<string, number>()
  readonly #problems = new Map<string, number>()
  #newest = ''
  #isLater = false
  #laterEvents = 0

  constructor({ url, seed, eventsPerSecond }: SoakAudienceOptions) {
    const audience = arrivalsAt(seed, eventsPerSecond)
    this.#pool = new ClientPool({
      url,
      clockOffsetsMs: CLOCK_OFFSETS_MS,
      connectionsPerClock: CONNECTIONS_PER_CLOCK,
      clock,
      random,
      onProblem: ({ code }) => this.#problems.set(code, (this.#problems.get(code) ?? 0) + 1),
      limits: {
        connectTimeoutMs: 3_000,
        serverSilenceMaxMs: 10_000,
        backoffBaseMs: 50,
        backoffMaxMs: 1_000,
      },
    })
    this.#player = new AudiencePlayer({
      sessionAt: (index) => {
        const session = simulateSession(audience, index)
        return index % OFFLINE_OF === OFFLINE_OF - 1 ? offlineInTheMiddle(session) : session
      },
      pastSessions: 0,
      offer: (frame) => this.#offer(frame),
      clock,
    })
  }

  start(): void {
    this.#pool.connect()
    this.#player.start()
  }

  /** From now on events and contexts have fields that this release does not know. */
  sendLaterSchema(): void {
    this.#isLater = true
  }

  /** Sends nothing new; whether all that was sent is acknowledged within `deadlineMs`. */
  async finish(deadlineMs: number): Promise<boolean> {
    this.#player.stop()
    return this.#pool.flush(deadlineMs)
  }

  close(): void {
    this.#player.stop()
    this.#pool.close()
  }

  /** Events of each session that the client has taken, seqs 0 to that. */
  get sent(): ReadonlyMap<string, number> {
    return this.#taken
  }

  /** How many of them have fields that this release does not know. */
  get laterEvents(): number {
    return this.#laterEvents
  }

  /** How often clients met each problem. */
  get problems(): ReadonlyMap<string, number> {
    return this.#problems
  }

  /** The session that began last. */
  get newestSession(): string {
    return this.#newest
  }

  get metrics() {
    return this.#pool.metrics
  }

  #offer(frame: OutgoingFrame): boolean {
    const { sessionId, events } = frame
    if (!this.#pool.offer(this.#isLater ? ofLaterSchema(frame) : frame)) return false
    const before = this.#taken.get(sessionId)
    if (before === undefined) this.#newest = sessionId
    this.#taken.set(sessionId, (before ?? 0) + events.length)
    if (this.#isLater) this.#laterEvents += events.length
    return true
  }
}

/** Field of an event that no release knows. */
export const LATER_FIELD = 'decoderOfALaterRelease'

function ofLaterSchema(frame: OutgoingFrame): OutgoingFrame {
  const context: SessionContext & Record<string, unknown> = {
    ...frame.context,
    networkOfALaterRelease: { kind: 'fibre', hops: 3 },
  }
  const events = frame.events.map((event): PlaybackEvent & Record<string, unknown> => {
    return { ...event, [LATER_FIELD]: 'hardware' }
  })
  return { ...frame, context, events }
}

/** Arrivals without end, so many that their events come at the rate. */
function arrivalsAt(seed: number, eventsPerSecond: number): AudienceOptions {
  const startAtMs = clock.nowMs()
  const draft = {
    seed,
    sessions: SAMPLE,
    startAtMs,
    arrivalSpanMs: 1,
    clockOffsetsMs: CLOCK_OFFSETS_MS,
    watchMedianMs: WATCH_MEDIAN_MS,
    idsByNumber: true,
  }
  const sample = Array.from({ length: SAMPLE }, (_, index) => simulateSession(draft, index))
  const events = sample.reduce((sum, session) => sum + session.events.length, 0)
  return { ...draft, arrivalSpanMs: Math.round((events * SECOND_MS) / eventsPerSecond) }
}

function offlineInTheMiddle(session: SimulatedSession): SimulatedSession {
  const goneAtMs = session.events[Math.floor(session.events.length / 2)]?.trueAtMs ?? 0
  const events = session.events.map((planned) =>
    planned.trueAtMs < goneAtMs
      ? planned
      : { ...planned, trueAtMs: Math.max(planned.trueAtMs, goneAtMs + OFFLINE_MS) },
  )
  return { ...session, events }
}
