/**
 * Identities for feeds that number nothing. A session's id is a digest of where it begins in its feed,
 * and its events count from there, so that the same messages from the same state get the same
 * identities: what a feed repeats after a takeover is then a repeat and no second event.
 *
 * The state is what is known of the sessions that go on, least recently heard first. It is saved with
 * the position that it belongs to.
 */
import { createHash } from 'node:crypto'
import { SEQ_MAX } from '../../shared/events/schema.ts'

/** The feed's own id, ours, and the seq of the next event. */
export type NumberedSession = [source: string, sessionId: string, nextSeq: number]

/** What one message did to the state: sessions that it was of, and sessions that it ended. */
export type NumberingStep = NumberedSession | readonly [ended: string]

export class SessionNumbers {
  readonly #sessions = new Map<string, NumberedSession>()
  readonly #sessionsMax: number

  constructor(sessionsMax: number, sessions: readonly NumberedSession[] = []) {
    this.#sessionsMax = sessionsMax
    for (const session of sessions) this.apply(session)
  }

  get size(): number {
    return this.#sessions.size
  }

  get sessions(): NumberedSession[] {
    return [...this.#sessions.values()]
  }

  /**
   * Takes `count` events of a session. `startKey` says where in the feed they stand; it is used when
   * the session begins here.
   */
  take(source: string, count: number, startKey: string): NumberedSession {
    const known = this.#sessions.get(source)
    const fits = known !== undefined && known[2] + count <= SEQ_MAX
    const [, sessionId, firstSeq] = fits ? known : begin(source, startKey)
    this.apply([source, sessionId, firstSeq + count])
    return [source, sessionId, firstSeq]
  }

  apply(step: NumberingStep): void {
    const [source] = step
    this.#sessions.delete(source)
    if (step.length === 1) return
    this.#sessions.set(source, step)
    if (this.#sessions.size <= this.#sessionsMax) return
    const [longestSilent] = this.#sessions.keys()
    if (longestSilent !== undefined) this.#sessions.delete(longestSilent)
  }
}

const ID_CHARS = 32

function begin(source: string, startKey: string): NumberedSession {
  const digest = createHash('sha256')
    .update(JSON.stringify([source, startKey]))
    .digest('base64url')
  return [source, digest.slice(0, ID_CHARS), 0]
}
