/**
 * Session rows as the fold writes them, made from the tables: for sessions whose live row is lost.
 * Their stamp is that of the last frame that the tables hold, so what the fold still has to say of
 * them wins. How often a context differed (`repairs.context`) only the fold knows; it is 0 here.
 */
import type { FoldException, PositionRow, SessionRow } from '../../shared/speed/rows.ts'
import { POSITIONS_PER_ROW } from '../../shared/speed/rows.ts'
import { objectFromColumns } from '../../shared/warehouse/column-objects.ts'
import { contextColumns } from '../../shared/warehouse/event-columns.ts'
import { integerOf, textOf } from '../../shared/warehouse/row-values.ts'
import { required } from '../../shared/warehouse/table-spec.ts'
import type { Row, WarehouseSession } from '../../shared/warehouse/warehouse.ts'
import { scratchValues } from '../insert-values.ts'
import { QUERY_TIMEOUT_MS, RECONCILE_ROWS_MAX, RECONCILE_SESSIONS_PER_PAGE } from '../limits.ts'
import { readSql } from '../read-sql.ts'
import type { AsOf } from './as-of.ts'
import { historySessionOf, incarnationId } from './sessions.ts'

export interface LostSessionsParts {
  readonly session: WarehouseSession
  readonly view: string
  readonly asOf: AsOf
  /** Parts that a row holds at most: the last ones. */
  readonly partsMax: number
  readonly rowRetentionMs: number
}

/** A session's row and the rows of its timeline. */
export interface RebuiltSession {
  readonly row: SessionRow
  readonly positions: readonly PositionRow[]
}

/** Every incarnation that the tables hold of the sessions. */
export async function* rebuildSessions(
  parts: LostSessionsParts,
  sessionIds: readonly string[],
): AsyncGenerator<RebuiltSession> {
  for (let first = 0; first < sessionIds.length; first += RECONCILE_SESSIONS_PER_PAGE) {
    const page = sessionIds.slice(first, first + RECONCILE_SESSIONS_PER_PAGE)
    await scratchValues(parts.session, {
      scratch: 'reconcile_lost_sessions',
      columns: [required('session_id', 'STRING', 'The session.')],
      rows: page.map((id) => ({ session_id: id })),
    })
    const frames = Map.groupBy(await read(parts.session, 'lost-session-frames'), idOf)
    const exceptions = Map.groupBy(await read(parts.session, 'lost-session-exceptions'), (row) =>
      textOf(row, 'session_id'),
    )
    const rows = Map.groupBy(await read(parts.session, 'lost-session-rows'), idOf)
    for (const [id, ofIncarnation] of rows)
      yield rebuilt(parts, {
        rows: ofIncarnation,
        frames: frames.get(id) ?? [],
        exceptions: exceptions.get(textOf(ofIncarnation[0] ?? {}, 'session_id')) ?? [],
      })
  }
}

function read(session: WarehouseSession, file: string): Promise<readonly Row[]> {
  const limits = { maxRows: RECONCILE_ROWS_MAX, timeoutMs: QUERY_TIMEOUT_MS }
  return session.query({ sql: readSql(`reconcile/${file}`) }, limits)
}

function idOf(row: Row): string {
  return incarnationId(textOf(row, 'session_id') ?? '', integerOf(row, 'incarnation'))
}

interface Incarnation {
  /** A row a part, ascending. */
  readonly rows: readonly Row[]
  readonly frames: readonly Row[]
  /** Of all incarnations of the session. */
  readonly exceptions: readonly Row[]
}

function rebuilt(parts: LostSessionsParts, { rows, frames, exceptions }: Incarnation) {
  const { view, asOf, partsMax, rowRetentionMs } = parts
  const last = rows.at(-1) ?? {}
  const incarnation = integerOf(last, 'incarnation')
  const partition = integerOf(last, 'log_partition')
  const { topicEpoch, generation } = asOf.originOf(partition)
  const identity = {
    view,
    topicEpoch,
    partition,
    generation,
    sessionId: textOf(last, 'session_id') ?? '',
    incarnation,
  }
  const firstReceivedAtMs = integerOf(frames[0] ?? {}, 'received_at_ms')
  const lastOffset = integerOf(frames.at(-1) ?? {}, 'log_offset')
  const stampOf = (offset: number) => firstReceivedAtMs * 1_000 + (offset - incarnation + 1)
  const { lost, duplicates, rejected, ...known } = historySessionOf(rows)
  const setAside = exceptions.filter((row) => isWithin(row, incarnation, lastOffset))
  const row: SessionRow = {
    ...identity,
    ...known,
    parts: known.parts.slice(-partsMax),
    stampUs: stampOf(lastOffset),
    lastOffset,
    expiresAtMs: known.lastLoggedAtMs + rowRetentionMs,
    contextJson: JSON.stringify(objectFromColumns(last, contextColumns)),
    quality: {
      lost,
      duplicates,
      rejected,
      late: countOf(setAside, 'late'),
      amended: countOf(setAside, 'amended'),
      afterClose: countOf(setAside, 'afterClose'),
      repairs: {
        state: sumOf(rows, 'repairs_state'),
        backwards: sumOf(rows, 'repairs_backwards'),
        clamped: sumOf(rows, 'repairs_clamped'),
        context: 0,
      },
    },
    firstReceivedAtMs,
    positionCount: frames.length,
  }
  return { row, positions: positionRows(identity, { frames, stampOf, rowRetentionMs }) }
}

function isWithin(row: Row, first: number, last: number): boolean {
  const offset = integerOf(row, 'source_offset')
  return offset >= first && offset <= last
}

function countOf(exceptions: readonly Row[], reason: FoldException['reason']): number {
  return exceptions.filter((row) => textOf(row, 'reason') === reason).length
}

function sumOf(rows: readonly Row[], column: string): number {
  return rows.reduce((sum, row) => sum + integerOf(row, column), 0)
}

type Identity = Pick<
  PositionRow,
  'view' | 'topicEpoch' | 'partition' | 'generation' | 'sessionId' | 'incarnation'
>

function positionRows(
  identity: Identity,
  of: {
    readonly frames: readonly Row[]
    stampOf(this: void, offset: number): number
    readonly rowRetentionMs: number
  },
): PositionRow[] {
  const positions = of.frames.map((row) => ({
    offset: integerOf(row, 'log_offset'),
    loggedAtMs: integerOf(row, 'logged_at_ms'),
  }))
  const rowCount = Math.ceil(positions.length / POSITIONS_PER_ROW)
  return Array.from({ length: rowCount }, (_, rowNumber) => {
    const first = rowNumber * POSITIONS_PER_ROW
    const held = positions.slice(first, first + POSITIONS_PER_ROW)
    const { offset: lastOffset = 0, loggedAtMs = 0 } = held.at(-1) ?? {}
    return {
      ...identity,
      rowNumber,
      positions: held,
      lastOffset,
      stampUs: of.stampOf(lastOffset),
      expiresAtMs: loggedAtMs + of.rowRetentionMs,
    }
  })
}
