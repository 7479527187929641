/** What concerns all rows of a session: pages over the sessions of a view, and a session's deletion. */
import { types } from 'cassandra-driver'
import { PAGE_ROWS } from './cassandra-limits.ts'
import { isAlive, numberIn, readSession } from './cassandra-rows.ts'
import type { RecentSessions } from './cassandra-recent-sessions.ts'
import type { CassandraStatements } from './cassandra-statements.ts'
import type { RowWrite } from './cassandra-write-lane.ts'
import type { SessionRow } from './rows.ts'
import type { SessionPage } from './speed-store.ts'

const SELECT_ALL = 'SELECT view_id, session_id, expires_at_ms, summary FROM sessions'
const SELECT_AFTER = `${SELECT_ALL} WHERE token(view_id, session_id) > token(?, ?)`
const OF_SESSION = 'WHERE view_id = ? AND session_id = ?'
const TABLES = [
  { table: 'sessions', column: 'summary' },
  { table: 'positions', column: 'positions' },
] as const

/** Sessions lie in the order of their tokens, those of all views among one another. */
export async function findSessions(
  statements: CassandraStatements,
  wanted: SessionPage & { readonly view: string; readonly nowMs: number },
): Promise<SessionRow[]> {
  const { view, afterSessionId, limit, nowMs } = wanted
  const found: SessionRow[] = []
  let sessions = 0
  const fetchSize = Math.min(PAGE_ROWS, 2 * limit)
  const pages =
    afterSessionId === undefined
      ? statements.pages(SELECT_ALL, [], fetchSize)
      : statements.pages(SELECT_AFTER, [view, afterSessionId], fetchSize)
  for await (const page of pages)
    for (const row of page) {
      if (row['view_id'] !== view || !isAlive(row, nowMs)) continue
      if (row['session_id'] !== found.at(-1)?.sessionId) sessions += 1
      if (sessions > limit) return found
      found.push(readSession(row))
    }
  return found
}

/**
 * Deletes at the highest stamp that is found, so that what is written later with a higher one stays.
 * A repeat after a failure goes on: the index is emptied while the session rows still name it.
 */
export async function deleteSessionRows(
  statements: CassandraStatements,
  recent: RecentSessions,
  session: { readonly view: string; readonly sessionId: string },
): Promise<void> {
  const place = [session.view, session.sessionId]
  const rows = await statements.readAll(`SELECT summary FROM sessions ${OF_SESSION}`, place)
  if (rows.length > 0) await recent.unlist(rows.map(readSession))
  for (const { table, column } of TABLES) {
    const highest = `SELECT MAX(WRITETIME(${column})) AS stamp_us FROM ${table} ${OF_SESSION}`
    const [found] = (await statements.readPage(highest, place)).rows
    if (found === undefined || found['stamp_us'] === null) continue
    await statements.write('session', [deletion(table, place, numberIn(found, 'stamp_us'))])
  }
}

function deletion(table: string, place: readonly unknown[], stampUs: number): RowWrite {
  return {
    partition: [table, ...place].join('\n'),
    query: `DELETE FROM ${table} USING TIMESTAMP ? ${OF_SESSION}`,
    params: [types.Long.fromNumber(stampUs), ...place],
    bytes: 0,
  }
}
