/**
 * Positions of a session. Its row and they are one write, but they are read one after the other: the
 * row may come from a replica that has the write, and the positions from others, which have not yet.
 */
import type { Clock } from '../runtime/clock.ts'
import { POSITIONS_AGAIN_MAX, POSITIONS_AGAIN_MS } from './cassandra-limits.ts'
import { isAlive, POSITION_COLUMNS, readPositionRow, sessionPlace } from './cassandra-rows.ts'
import type { CassandraStatements } from './cassandra-statements.ts'
import { POSITIONS_PER_ROW, type PositionRow, type SessionRow } from './rows.ts'

const SELECT_POSITIONS = `SELECT ${POSITION_COLUMNS} FROM positions WHERE view_id = ? AND session_id = ?
  AND topic_epoch = ? AND partition = ? AND generation = ? AND incarnation = ? AND row_number >= ?
  LIMIT ?`

export interface PositionsQuery {
  readonly session: SessionRow
  readonly fromRow: number
  /** Rows. */
  readonly limit: number
}

/** Looks again while there are fewer than the session's row counts; what is missing then has expired. */
export async function findPositions(
  statements: Pick<CassandraStatements, 'readAll'>,
  { session, fromRow, limit }: PositionsQuery,
  clock: Pick<Clock, 'nowMs' | 'sleep'>,
): Promise<PositionRow[]> {
  const asked = [...sessionPlace(session), fromRow, limit]
  const counted = Math.min(session.positionCount, (fromRow + limit) * POSITIONS_PER_ROW)
  for (let look = 0; ; look += 1) {
    const nowMs = clock.nowMs()
    const answered = await statements.readAll(SELECT_POSITIONS, asked)
    const rows = answered
      .filter((row) => isAlive(row, nowMs))
      .map((row) => readPositionRow(session, row))
    const found = rows.reduce((sum, { positions }) => sum + positions.length, 0)
    const isWhole = fromRow * POSITIONS_PER_ROW + found >= counted
    if (isWhole || look === POSITIONS_AGAIN_MAX) return rows
    await clock.sleep(POSITIONS_AGAIN_MS)
  }
}
