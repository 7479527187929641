/** Entries of the indexes of sessions: each points to a session row, and is true as far as that says so. */
import type { types } from 'cassandra-driver'
import { isAlive, numberIn, readSession } from './cassandra-rows.ts'
import type { CassandraStatements } from './cassandra-statements.ts'
import type { SessionRow } from './rows.ts'

const PLACE = ['view_id', 'session_id', 'topic_epoch', 'partition', 'generation', 'incarnation']
const SELECT_SESSION = `SELECT expires_at_ms, summary FROM sessions
  WHERE ${PLACE.map((column) => `${column} = ?`).join(' AND ')}`

/** The row that an entry points to, while it began to arrive when the entry says. */
export async function findEntrySession(
  statements: CassandraStatements,
  entry: types.Row,
  nowMs: number,
): Promise<SessionRow | undefined> {
  const place = PLACE.map((column): unknown => entry[column])
  const [row] = (await statements.readPage(SELECT_SESSION, place)).rows
  if (row === undefined || !isAlive(row, nowMs)) return undefined
  const session = readSession(row)
  return session.firstReceivedAtMs === numberIn(entry, 'received_ms') ? session : undefined
}
