/** Leaves out sessions that are forgotten: for the API there are none. */
import { type ErasureReader, NOTHING_ERASED } from '../shared/objects/erasures.ts'
import type { SessionRow } from '../shared/speed/rows.ts'
import type { PastSessionAnswer } from './history/past-session-reader.ts'
import type { ListedPastSession } from './history/sessions.ts'

export interface ErasedSessions {
  /** The live rows that may be shown. */
  withoutErased(rows: readonly SessionRow[]): Promise<SessionRow[]>
  /** The session of the history, if it may be shown. */
  unlessErased(known: PastSessionAnswer | undefined): Promise<PastSessionAnswer | undefined>
  /** Those of the history that may be shown. */
  pastWithoutErased(sessions: readonly ListedPastSession[]): Promise<ListedPastSession[]>
}

/** A session is of its viewer from its beginning: when it began decides. */
export function createErasedSessions(reader: ErasureReader | undefined): ErasedSessions {
  const current = async () => (await reader?.current()) ?? NOTHING_ERASED
  return {
    async withoutErased(rows) {
      const erasures = await current()
      return rows.filter(({ sessionId, contextJson, firstReceivedAtMs: atMs }) => {
        const context = JSON.parse(contextJson) as Record<string, unknown>
        return !erasures.covers({ sessionId, atMs, ...viewerOf(context) })
      })
    },
    async unlessErased(known) {
      if (known === undefined) return undefined
      const erasures = await current()
      const { sessionId, context, parts, lastLoggedAtMs } = known.session
      const atMs = parts[0]?.firstEventTimeMs ?? lastLoggedAtMs
      return erasures.covers({ sessionId, atMs, ...viewerOf(context) }) ? undefined : known
    },
    async pastWithoutErased(sessions) {
      const erasures = await current()
      return sessions.filter(
        ({ sessionId, context, startedAtMs: atMs }) =>
          !erasures.covers({ sessionId, atMs, ...viewerOf(context) }),
      )
    },
  }
}

function viewerOf({ viewerPseudonym }: Record<string, unknown>): { viewerPseudonym?: string } {
  return typeof viewerPseudonym === 'string' ? { viewerPseudonym } : {}
}
