/**
 * Sessions that went on while the log got more partitions, and whose events are in two of them since. A
 * partition is folded by itself, so the live view has one session of each; the history has one, without
 * what was sent again. With these sessions taken apart the SQL must give what the live view shows.
 */
import { textOf } from '../../shared/warehouse/row-values.ts'
import type { Select, WarehouseSession } from '../../shared/warehouse/warehouse.ts'
import { QUERY_TIMEOUT_MS, RECONCILE_ROWS_MAX } from '../limits.ts'
import { readSql } from '../read-sql.ts'

const MOVED = 'reconcile_moved'

export interface MovedSessions {
  readonly sessions: ReadonlySet<string>
  /** `session_id` and `session_bucket` of these. */
  readonly select: string
  /** For `computeExplained`. */
  readonly split: Select
}

/**
 * `undefined` when there are none. `fromDate`: the earliest UTC day on which anything that is compared may
 * have arrived.
 */
export async function readMoved(
  session: WarehouseSession,
  fromDate: string,
): Promise<MovedSessions | undefined> {
  await session.scratch(MOVED, {
    sql: readSql('reconcile/moved-sessions'),
    parameters: { from_date: fromDate },
  })
  const rows = await session.query(
    { sql: `SELECT DISTINCT session_id FROM ${MOVED} ORDER BY session_id` },
    { maxRows: RECONCILE_ROWS_MAX, timeoutMs: QUERY_TIMEOUT_MS },
  )
  if (rows.length === 0) return undefined
  return {
    sessions: new Set(rows.map((row) => textOf(row, 'session_id') ?? '')),
    select: `SELECT session_id, session_bucket FROM ${MOVED}`,
    split: { sql: `SELECT DISTINCT session_id, log_partition FROM ${MOVED}` },
  }
}
