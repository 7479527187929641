/**
 * Plays an audience in real time: every session's events are sent when their time comes. Sessions
 * that began before the player did send what they have so far, the newest first and only as far as
 * the present leaves room, so that a page which opens with it lives at once and fills up backwards.
 */
import type { PlaybackEvent } from '../../shared/events/schema.ts'
import type { Clock } from '../../shared/runtime/clock.ts'
import type { OutgoingFrame } from './client-pool.ts'
import type { SimulatedSession } from './simulate-audience.ts'

export interface AudiencePlayerOptions {
  /** Whether the frame was taken; if not, it is offered again at the next tick. */
  readonly offer: (frame: OutgoingFrame) => boolean
  /** Session `index` of an audience without end, in order of their starts. */
  readonly sessionAt: (index: number) => SimulatedSession
  /** How many of them begin before the player does. */
  readonly pastSessions: number
  readonly clock: Clock
  readonly tickMs?: number
  /** Frames offered in one tick, so that a long past does not hold up everything else. */
  readonly framesPerTickMax?: number
}

export interface AudienceStatus {
  /** Sessions that have begun and have something left to send. */
  readonly active: number
  readonly begun: number
  readonly finished: number
  readonly eventsOffered: number
  /** Offers that were refused and repeated. */
  readonly offersDeferred: number
  /** Whether every session of the past has begun. */
  readonly caughtUp: boolean
}

interface ActiveSession {
  readonly session: SimulatedSession
  nextEvent: number
}

const TICK_MS = 200
const FRAMES_PER_TICK_MAX = 300

export class AudiencePlayer {
  readonly #options: AudiencePlayerOptions
  readonly #active = new Set<ActiveSession>()
  readonly #counters = { begun: 0, finished: 0, eventsOffered: 0, offersDeferred: 0 }
  #upcoming: SimulatedSession
  #upcomingIndex: number
  #pastLeft: number
  #refused = false
  #cancel: () => void = () => undefined

  constructor(options: AudiencePlayerOptions) {
    this.#options = options
    this.#pastLeft = options.pastSessions
    this.#upcomingIndex = options.pastSessions
    this.#upcoming = options.sessionAt(options.pastSessions)
  }

  start(): void {
    this.#cancel = this.#options.clock.every(this.#options.tickMs ?? TICK_MS, () => this.#tick())
  }

  stop(): void {
    this.#cancel()
  }

  get status(): AudienceStatus {
    return { ...this.#counters, active: this.#active.size, caughtUp: this.#pastLeft === 0 }
  }

  #tick(): void {
    const nowMs = this.#options.clock.nowMs()
    this.#refused = false
    let framesLeft = this.#options.framesPerTickMax ?? FRAMES_PER_TICK_MAX
    for (const active of this.#active) {
      framesLeft -= this.#play(active, nowMs, framesLeft)
      if (framesLeft <= 0) return
    }
    while (framesLeft > 0 && this.#upcoming.plan.startAtMs <= nowMs) {
      framesLeft -= this.#begin(this.#upcoming, nowMs, framesLeft)
      this.#upcomingIndex += 1
      this.#upcoming = this.#options.sessionAt(this.#upcomingIndex)
    }
    while (framesLeft > 0 && this.#pastLeft > 0 && !this.#refused) {
      this.#pastLeft -= 1
      framesLeft -= this.#begin(this.#options.sessionAt(this.#pastLeft), nowMs, framesLeft)
    }
  }

  #begin(session: SimulatedSession, nowMs: number, framesMax: number): number {
    const active = { session, nextEvent: 0 }
    this.#active.add(active)
    this.#counters.begun += 1
    return this.#play(active, nowMs, framesMax)
  }

  /** Sends the session's due events, a frame per part; returns how many frames that took. */
  #play(active: ActiveSession, nowMs: number, framesMax: number): number {
    const { session } = active
    let frames = 0
    while (frames < framesMax) {
      const due = dueFrame(active, nowMs)
      if (due === undefined) break
      frames += 1
      if (!this.#options.offer(due)) {
        this.#counters.offersDeferred += 1
        this.#refused = true
        break
      }
      active.nextEvent += due.events.length
      this.#counters.eventsOffered += due.events.length
    }
    if (active.nextEvent >= session.events.length) {
      this.#active.delete(active)
      this.#counters.finished += 1
    }
    return frames
  }
}

/** The next events of one part whose time has come. */
function dueFrame({ session, nextEvent }: ActiveSession, nowMs: number): OutgoingFrame | undefined {
  const events: PlaybackEvent[] = []
  const part = session.events[nextEvent]?.part
  for (let index = nextEvent; index < session.events.length; index++) {
    const planned = session.events[index]
    if (planned === undefined || planned.part !== part || planned.trueAtMs > nowMs) break
    events.push(planned.event)
  }
  const context = part === undefined ? undefined : session.contexts[part]
  if (context === undefined || events.length === 0) return undefined
  const { clockOffsetMs } = session.plan
  return { sessionId: session.sessionId, clockOffsetMs, context, events }
}
