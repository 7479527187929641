/**
 * Copies that wait in `late_events` while the live view has met them long ago. Their sessions cannot be
 * compared until they are settled; minutes can: with exactly these copies the SQL must give what the
 * live view shows.
 */
import { textOf } from '../../shared/warehouse/row-values.ts'
import { tables } from '../../shared/warehouse/tables.ts'
import type { WarehouseSession } from '../../shared/warehouse/warehouse.ts'
import { oneRow, type Restored } from '../facts.ts'
import { QUERY_TIMEOUT_MS, RECONCILE_ROWS_MAX } from '../limits.ts'
import { readSql } from '../read-sql.ts'

const COPIES = 'reconcile_late_copies'

export interface RestoredSessions extends Restored {
  readonly sessions: ReadonlySet<string>
  /** `session_id` and `session_bucket` of these. */
  readonly select: string
}

export interface LateCopies {
  readonly copies: number
  /** Whether a settling that was cut off has loaded some, whose facts may not be computed yet. */
  readonly isBeingSettled: boolean
  readonly restored: RestoredSessions
  /** The earliest UTC day on which anything of these sessions arrived. */
  readonly fromDate: string
}

/** `undefined` when nothing waits. */
export async function readLate(
  session: WarehouseSession,
  run: number,
): Promise<LateCopies | undefined> {
  const [waiting] = await session.query({ sql: readSql('late/waiting') }, oneRow)
  if (Number(waiting?.['copies'] ?? 0) === 0) return undefined
  await session.scratch(COPIES, { sql: LATE_COPIES, parameters: { run } })
  const [first] = await session.query({ sql: readSql('reconcile/late-from-date') }, oneRow)
  const copies = Number(first?.['copies'] ?? 0)
  const missing = Number(first?.['missing'] ?? 0)
  if (copies === 0) return undefined
  const select = `SELECT session_id, session_bucket FROM ${COPIES}`
  const rows = await session.query(
    { sql: `SELECT DISTINCT session_id FROM (${select}) AS late ORDER BY session_id` },
    { maxRows: RECONCILE_ROWS_MAX, timeoutMs: QUERY_TIMEOUT_MS },
  )
  return {
    copies,
    isBeingSettled: missing < copies,
    fromDate: String(first?.['from_date']),
    restored: {
      copies: { sql: `SELECT ${namesOf(tables.eventCopies)} FROM ${COPIES} WHERE NOT is_loaded` },
      // Their frames are in the table.
      frames: { sql: `SELECT ${namesOf(tables.frames)} FROM ${tables.frames.name} WHERE FALSE` },
      sessions: new Set(rows.map((row) => textOf(row, 'session_id') ?? '')),
      select,
    },
  }
}

/** Known to be undecided: which copy is the event, and in which incarnation, is found in computing. */
const AS_COPIES: Readonly<Record<string, string>> = {
  kind: "IF(l.kind = 'accepted', 'duplicate', 'rejected')",
  incarnation: 'l.log_offset',
}

/**
 * Of completed runs, in the columns of `event_copies`. A settling that was cut off has loaded some: their
 * sessions wait for their facts all the same.
 */
const LATE_COPIES = `SELECT
  ${tables.eventCopies.columns.map(({ name }) => `${AS_COPIES[name] ?? `l.${name}`} AS ${name}`).join(',\n  ')},
  e.log_offset IS NOT NULL AS is_loaded
FROM ${tables.lateEvents.name} AS l
LEFT JOIN (
  SELECT received_date, log_partition, log_offset, log_index FROM ${tables.events.name}
  UNION ALL
  SELECT received_date, log_partition, log_offset, log_index FROM ${tables.eventCopies.name}
) AS e
  ON e.received_date = l.received_date
  AND e.log_partition = l.log_partition
  AND e.log_offset = l.log_offset
  AND e.log_index = l.log_index
WHERE l.run <= CAST(@run AS INT64)`

/** What both restore. */
export function both(one: RestoredSessions, other: RestoredSessions | undefined): RestoredSessions {
  if (other === undefined) return one
  const union = (kind: 'copies' | 'frames') => ({
    sql: `${one[kind].sql}\nUNION ALL\n${other[kind].sql}`,
  })
  return {
    copies: union('copies'),
    frames: union('frames'),
    sessions: new Set([...one.sessions, ...other.sessions]),
    select: `${one.select}\nUNION DISTINCT\n${other.select}`,
  }
}

function namesOf({ columns }: { readonly columns: readonly { readonly name: string }[] }): string {
  return columns.map(({ name }) => name).join(', ')
}
