/**
 * What falls due for one connection by time alone. Times are monotonic and whole milliseconds: an
 * integer costs an idle connection no memory of its own.
 */
export interface PatienceBounds {
  readonly helloMs: number
  readonly idleMs: number
  readonly pingMs: number
  readonly pongTimeoutMs: number
}

export type Due = 'nothing' | 'hello' | 'frame' | 'pong' | 'ping' | 'goAway' | 'leave'

const NEVER = -1

export class Patience {
  readonly #bounds: PatienceBounds
  readonly #openedAtMs: number
  #lastFrameAtMs: number
  #lastHeardAtMs: number
  #pingedAtMs = NEVER
  /** The end of its lifetime. */
  #goAwayAtMs: number
  #leaveAtMs = NEVER

  constructor(bounds: PatienceBounds, nowMs: number, lifetimeMs: number | undefined) {
    const now = Math.round(nowMs)
    this.#bounds = bounds
    this.#openedAtMs = now
    this.#lastFrameAtMs = now
    this.#lastHeardAtMs = now
    this.#goAwayAtMs = lifetimeMs === undefined ? NEVER : now + Math.round(lifetimeMs)
  }

  /** Since when there was no frame. */
  get lastFrameAtMs(): number {
    return this.#lastFrameAtMs
  }

  frameCame(nowMs: number): void {
    this.#lastFrameAtMs = Math.round(nowMs)
    this.heard(nowMs)
  }

  /** Something came that shows the client is alive. */
  heard(nowMs: number): void {
    this.#lastHeardAtMs = Math.round(nowMs)
    this.#pingedAtMs = NEVER
  }

  pinged(nowMs: number): void {
    this.#pingedAtMs = Math.round(nowMs)
  }

  /** The client was asked to go, and has until `leaveAtMs`. */
  sentAway(leaveAtMs: number): void {
    this.#goAwayAtMs = NEVER
    this.#leaveAtMs = Math.round(leaveAtMs)
  }

  /** The first thing that is due; `hasSaidHello` once a frame has come. */
  due(nowMs: number, hasSaidHello: boolean): Due {
    const { helloMs, idleMs, pingMs, pongTimeoutMs } = this.#bounds
    if (!hasSaidHello && nowMs - this.#openedAtMs >= helloMs) return 'hello'
    if (nowMs - this.#lastFrameAtMs >= idleMs) return 'frame'
    const isPinged = this.#pingedAtMs !== NEVER
    if (isPinged && nowMs - this.#pingedAtMs >= pongTimeoutMs) return 'pong'
    if (this.#leaveAtMs !== NEVER && nowMs >= this.#leaveAtMs) return 'leave'
    if (this.#goAwayAtMs !== NEVER && nowMs >= this.#goAwayAtMs) return 'goAway'
    return !isPinged && nowMs - this.#lastHeardAtMs >= pingMs ? 'ping' : 'nothing'
  }
}
