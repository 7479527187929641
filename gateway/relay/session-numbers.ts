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

export interface EventsOfSession {
  readonly source: string
  readonly count: number
  /** The session is over with them. */
  readonly ends: boolean
  readonly startKey: string
}

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
   * Takes the identities of events of a session, and says what that does to the state. `startKey` says
   * where in the feed they stand; it is used when the session begins here.
   */
  take({ source, count, ends, startKey }: EventsOfSession): {
    readonly sessionId: string
    readonly firstSeq: number
    readonly step: NumberingStep
  } {
    const known = this.#sessions.get(source)
    const fits = known !== undefined && known[2] + count <= SEQ_MAX
    const [, sessionId, firstSeq] = fits ? known : begin(source, startKey)
    // One that begins and ends here makes nobody else forgotten.
    const step: NumberingStep = ends ? [source] : [source, sessionId, firstSeq + count]
    this.apply(step)
    return { sessionId, firstSeq, step }
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
