/**
 * What the history's own rows of sessions must be: the SQL runs again on their events and copies, with
 * nothing set aside. A row that is another was altered, or lost, after its run.
 */
import { isDeepStrictEqual } from 'node:util'
import { required } from '../../shared/warehouse/table-spec.ts'
import { textOf } from '../../shared/warehouse/row-values.ts'
import type { WarehouseSession } from '../../shared/warehouse/warehouse.ts'
import { computeSessionsAgain, FACTS_SCRATCH, type FactsRequest } from '../facts.ts'
import { scratchValues } from '../insert-values.ts'
import {
  QUERY_TIMEOUT_MS,
  RECONCILE_DIFFERENCES_MAX,
  RECONCILE_SESSIONS_PER_PAGE,
} from '../limits.ts'
import { readSql } from '../read-sql.ts'
import {
  incarnationId,
  readHistorySessions,
  withLastParts,
  type ComparedSession,
  type SessionDifference,
} from './sessions.ts'

/** What a session's row in the history should be; `absent` where there should be none. */
export type RestatedSession = ComparedSession | 'absent'

export interface RestateRequest {
  readonly facts: FactsRequest
  readonly partsMax: number
}

/** Those of the sessions whose rows in the history are not what their events say, with what they say. */
export async function restateSessions<Session extends SessionDifference>(
  session: WarehouseSession,
  sessions: readonly Session[],
  { facts, partsMax }: RestateRequest,
): Promise<Map<Session, RestatedSession>> {
  const wrong = new Map<Session, RestatedSession>()
  if (sessions.length === 0) return wrong
  const ids = [...new Set(sessions.map(({ sessionId }) => sessionId))]
  await scratchValues(session, {
    scratch: 'reconcile_sessions',
    columns: [required('session_id', 'STRING', 'The session.')],
    rows: ids.map((sessionId) => ({ session_id: sessionId })),
  })
  const unfinished = await sessionsOfLaterRuns(session, facts.run)
  await computeSessionsAgain(session, {
    ...facts,
    sessions: { sql: readSql('reconcile/differing-sessions') },
  })
  for (let first = 0; first < sessions.length; first += RECONCILE_SESSIONS_PER_PAGE) {
    const page = sessions.slice(first, first + RECONCILE_SESSIONS_PER_PAGE)
    const pageIds = [...new Set(page.map(({ sessionId }) => sessionId))]
    const computed = await readHistorySessions(session, FACTS_SCRATCH.sessions, pageIds)
    for (const one of page) {
      const found = computed.get(incarnationId(one.sessionId, one.incarnation))
      const restated = found && withLastParts(found, partsMax)
      if (unfinished.has(one.sessionId) || isDeepStrictEqual(one.history, restated)) continue
      wrong.set(one, restated ?? 'absent')
    }
  }
  return wrong
}

async function sessionsOfLaterRuns(
  session: WarehouseSession,
  run: number,
): Promise<ReadonlySet<string>> {
  const rows = await session.query(
    { sql: readSql('reconcile/sessions-of-later-runs'), parameters: { run } },
    { maxRows: RECONCILE_DIFFERENCES_MAX, timeoutMs: QUERY_TIMEOUT_MS },
  )
  return new Set(rows.map((row) => textOf(row, 'session_id') ?? ''))
}
