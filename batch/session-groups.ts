/**
 * Sessions in groups that are computed one after another, so that memory is bounded by a group. A
 * group is a range of session ids: tables are sorted by them, so a group reads its own part of a
 * table and passes over the rest. Where a warehouse computes in memory of its own, all are one group.
 */
import type { Select, WarehouseSession } from '../shared/warehouse/warehouse.ts'
import { QUERY_TIMEOUT_MS, SESSION_GROUPS_MAX } from './limits.ts'
import { readSql } from './read-sql.ts'

/** The least and the largest session id, as a statement takes them for parameters. */
export type SessionGroup = Readonly<Record<'first_session' | 'last_session', string>>

/**
 * The sessions whose `session_id` the select yields, at most `groupCount` groups of nearly as many
 * sessions each; one of nothing when there are none.
 */
export async function sessionGroups(
  session: WarehouseSession,
  sessions: Select,
  groupCount: number,
): Promise<readonly SessionGroup[]> {
  const sql = `WITH asked AS (${sessions.sql})\n${readSql('session-groups')}`
  const parameters = {
    ...sessions.parameters,
    group_count: session.computesHere ? groupCount : 1,
  }
  const limits = { maxRows: SESSION_GROUPS_MAX, timeoutMs: QUERY_TIMEOUT_MS }
  const rows = await session.query({ sql, parameters }, limits)
  const groups = rows.map((row) => ({
    first_session: String(row['first_session']),
    last_session: String(row['last_session']),
  }))
  return groups.length === 0 ? [{ first_session: '', last_session: '' }] : groups
}
