/**
 * When lanes append. A lane that has something asks for a turn, and all that have asked go in the
 * same turn of the event loop: a log that merges the appends of one turn then sends one request a
 * broker for all of them. Turns are at least the linger apart, and the linger adapts: a request
 * costs the gateway and the broker the same whatever it carries, so it grows while more requests
 * are answered than aimed at, and shrinks while there are fewer. A quiet gateway hardly waits.
 *
 * A lane whose last append failed or was slow is suspect. It leaves the shared turn, because the
 * answer to a shared request waits for its slowest partition: suspects are dealt out over a few
 * turns of their own, and whoever is fast there is trusted again. Dealt anew each time, a single
 * slow lane among hundreds is alone after a few rounds.
 */
import type { Clock } from '../shared/runtime/clock.ts'
import { PACE_STEP_MAX, PACE_WINDOW_MS, SUSPECT_TURN_GAP_MS, SUSPECT_TURNS_MAX } from './limits.ts'

export interface PacedLane {
  readonly isSuspect: boolean
  /** Its turn has come; called once for each time that it asked. */
  takeTurn(): void
}

export interface PaceBounds {
  readonly lingerMinMs: number
  readonly lingerMaxMs: number
  /** Append requests a second that the linger aims at. */
  readonly requestsPerSecond: number
}

export class LanePacer {
  readonly #bounds: PaceBounds
  readonly #clock: Clock
  readonly #asking = new Set<PacedLane>()
  #lingerMs: number
  #lastTurnAtMs = Number.NEGATIVE_INFINITY
  #isUrgent = false
  #cancelTurn: (() => void) | undefined
  #cancelSuspects: () => void = () => undefined
  #suspects: PacedLane[][] = []
  #windowStartMs: number
  #windowRequests = 0
  #isCounted = false
  #requests = 0

  constructor(bounds: PaceBounds, clock: Clock) {
    this.#bounds = bounds
    this.#clock = clock
    this.#lingerMs = bounds.lingerMinMs
    this.#windowStartMs = clock.monotonicMs()
  }

  /** Least time between two turns at present. */
  get lingerMs(): number {
    return this.#lingerMs
  }

  /** Requests answered so far: appends that end together came back in one. */
  get requests(): number {
    return this.#requests
  }

  /** Has `lane` take a turn, without lingering when it is `urgent`: its batch is full. */
  ask(lane: PacedLane, urgent: boolean): void {
    this.#asking.add(lane)
    if (this.#cancelTurn !== undefined && (this.#isUrgent || !urgent)) return
    this.#cancelTurn?.()
    this.#isUrgent = urgent
    const dueMs = urgent ? 0 : this.#lastTurnAtMs + this.#lingerMs - this.#clock.monotonicMs()
    this.#cancelTurn = this.#clock.after(Math.max(0, dueMs), () => this.#turn())
  }

  /** An append has ended, one way or the other. Those of one request end in one turn. */
  answered(): void {
    if (this.#isCounted) return
    this.#isCounted = true
    this.#requests += 1
    this.#windowRequests += 1
    setImmediate(() => {
      this.#isCounted = false
    })
  }

  stop(): void {
    this.#cancelTurn?.()
    this.#cancelSuspects()
  }

  #turn(): void {
    this.#cancelTurn = undefined
    this.#isUrgent = false
    this.#lastTurnAtMs = this.#clock.monotonicMs()
    this.#adapt()
    const asking = [...this.#asking]
    this.#asking.clear()
    const suspects = asking.filter((lane) => lane.isSuspect)
    for (const lane of asking) if (!lane.isSuspect) lane.takeTurn()
    if (suspects.length > 0) this.#deal(suspects)
  }

  /** Suspects that still wait for their turn are dealt anew with the others. */
  #deal(suspects: PacedLane[]): void {
    const waiting = [...this.#suspects.flat(), ...suspects]
    const turns = Math.min(SUSPECT_TURNS_MAX, waiting.length)
    this.#suspects = Array.from({ length: turns }, (_, turn) =>
      waiting.filter((_lane, index) => index % turns === turn),
    )
    this.#cancelSuspects()
    this.#scheduleSuspects()
  }

  #scheduleSuspects(): void {
    this.#cancelSuspects = this.#clock.after(SUSPECT_TURN_GAP_MS, () => {
      for (const lane of this.#suspects.shift() ?? []) lane.takeTurn()
      if (this.#suspects.length > 0) this.#scheduleSuspects()
    })
  }

  /** Under load requests are as many as the linger lets through, so one step comes near the aim. */
  #adapt(): void {
    const elapsedMs = this.#lastTurnAtMs - this.#windowStartMs
    if (elapsedMs < PACE_WINDOW_MS) return
    const { lingerMinMs, lingerMaxMs, requestsPerSecond } = this.#bounds
    const pressure = (this.#windowRequests * 1_000) / elapsedMs / requestsPerSecond
    const step = Math.min(PACE_STEP_MAX, Math.max(1 / PACE_STEP_MAX, pressure))
    const wantedMs = Math.max(1, this.#lingerMs) * step
    this.#lingerMs = Math.min(lingerMaxMs, Math.max(lingerMinMs, wantedMs))
    this.#windowStartMs = this.#lastTurnAtMs
    this.#windowRequests = 0
  }
}
