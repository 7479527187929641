/** Leaves out sessions that are forgotten: for the API there are none. */
import { type ErasureReader, NOTHING_ERASED } from '../shared/objects/erasures.ts'
import type { SessionRow } from '../shared/speed/rows.ts'
import type { PastSessionAnswer } from './history/past-session-reader.ts'
import type { PastSession } from './history/sessions.ts'

export interface ErasedSessions {
  /** The live rows that may be shown. */
  withoutErased(rows: readonly SessionRow[]): Promise<SessionRow[]>
  /** The session of the history, if it may be shown. */
  unlessErased(known: PastSessionAnswer | undefined): Promise<PastSessionAnswer | undefined>
  /** Those of the history that may be shown. */
  pastWithoutErased(sessions: readonly PastSession[]): Promise<PastSession[]>
}

/** A session is of its viewer from its beginning: when it began decides. */
export function createErasedSessions(reader: ErasureReader | undefined): ErasedSessions {
  const current = async () => (await reader?.current()) ?? NOTHING_ERASED
  const pastWithoutErased = async (sessions: readonly PastSession[]) => {
    const erasures = await current()
    return sessions.filter(({ sessionId, context, parts, lastLoggedAtMs }) => {
      const atMs = parts[0]?.firstEventTimeMs ?? lastLoggedAtMs
      return !erasures.covers({ sessionId, atMs, ...viewerOf(context) })
    })
  }
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
      const shown = await pastWithoutErased([known.session])
      return shown.length === 0 ? undefined : known
    },
    pastWithoutErased,
  }
}

function viewerOf({ viewerPseudonym }: Record<string, unknown>): { viewerPseudonym?: string } {
  return typeof viewerPseudonym === 'string' ? { viewerPseudonym } : {}
}
