/**
 * Which frame is due when: sessions begin one after another, send a frame each round, and another
 * session takes the place of one that ended. The pace follows the wall clock, never the answers.
 */
import type { FrameOfSession } from './frames.ts'

/** Events per second from here on, for so long. */
export interface Stage {
  readonly eventsPerSecond: number
  readonly seconds: number
}

/** Frames that are due `elapsedMs` after the start. */
export function framesDue(
  stages: readonly Stage[],
  eventsPerFrame: number,
  elapsedMs: number,
): number {
  let events = 0
  let leftMs = elapsedMs
  for (const { eventsPerSecond, seconds } of stages) {
    const ms = Math.min(leftMs, seconds * 1_000)
    events += (ms * eventsPerSecond) / 1_000
    leftMs -= ms
    if (leftMs <= 0) break
  }
  return Math.floor(events / eventsPerFrame)
}

export class Sessions {
  readonly #framesPerSession: number
  /** Session of each place, and which of its frames comes next. */
  readonly #sessions: Int32Array
  readonly #next: Int32Array
  readonly #lengths: Int32Array
  #started = 0

  constructor(places: number, framesPerSession: number) {
    this.#framesPerSession = framesPerSession
    this.#sessions = new Int32Array(places)
    this.#next = new Int32Array(places)
    // The first sessions are of all lengths, so that they do not all end in one round.
    this.#lengths = Int32Array.from(
      { length: places },
      (_, place) => 1 + (place % framesPerSession),
    )
    for (let place = 0; place < places; place++) this.#sessions[place] = this.#started++
  }

  /** The next frame of the session at this place. */
  take(place: number): FrameOfSession {
    const session = this.#sessions[place] ?? 0
    const index = this.#next[place] ?? 0
    const isLast = index + 1 === this.#lengths[place]
    if (isLast) {
      this.#sessions[place] = this.#started++
      this.#next[place] = 0
      this.#lengths[place] = this.#framesPerSession
    } else this.#next[place] = index + 1
    return { session, index, isLast }
  }
}
