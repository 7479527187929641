/**
 * Puts staged copies into `events` and `event_copies`: every copy gets the number of its incarnation
 * and is the event, or a copy of it, by what earlier runs loaded and by the staged copies alone. So a
 * run that is repeated after an interruption tells them apart as it did before.
 */
import { tables } from '../shared/warehouse/tables.ts'
import type { TableSpec } from '../shared/warehouse/table-spec.ts'
import type { WarehouseSession } from '../shared/warehouse/warehouse.ts'
import {
  dayBefore,
  type FactsLimits,
  numberIncarnations,
  oneRow,
  scratchParameters,
} from './facts.ts'
import { readSql } from './read-sql.ts'

/**
 * The scratch table of staged copies: the columns of `event_copies` but `kind` and `incarnation`, and
 * `accepted` (BOOL): an event, or a rejected seq.
 */
export const STAGING_COPIES = 'staging_copies'

export interface LoadCopiesRequest {
  readonly run: number
  readonly limits: FactsLimits
  /** UTC days of `received_at_ms` of the staged copies, not empty. */
  readonly dates: readonly string[]
  readonly jobId: string
}

export interface LoadedCopies {
  readonly events: number
  readonly copies: number
}

export async function loadCopies(
  session: WarehouseSession,
  request: LoadCopiesRequest,
): Promise<LoadedCopies> {
  const { limits, dates, jobId } = request
  const firstDate = dates.toSorted()[0] ?? ''
  const aloneMs = limits.sessionTimeoutMs + limits.sessionKeepMs
  const bounds = { run: request.run, limits, openMinutesOnly: false }
  await scratchParameters(session, { ...bounds, fromDate: dayBefore(firstDate, aloneMs) })
  const [kept] = await session.query({ sql: readSql('load/kept-from-date') }, oneRow)
  await scratchParameters(session, { ...bounds, fromDate: String(kept?.['from_date']) })
  await session.scratch('facts_touched', { sql: readSql('load/touched') })
  await session.scratch('facts_excluded', { sql: readSql('load/nothing-excluded') })
  await session.scratch('facts_copies', { sql: readSql('load/copies') })
  await numberIncarnations(session)
  await session.scratch('facts_incarnation_ranges', { sql: readSql('facts/incarnation-ranges') })
  await session.scratch('load_winners', { sql: readSql('load/winners') })
  await session.scratch('load_numbered', { sql: readSql('load/numbered') })
  const insert = (table: TableSpec, rows: string) =>
    session.insertMissing({
      table: table.name,
      select: { sql: `SELECT ${namesOf(table)} FROM load_numbered WHERE ${rows}` },
      key: table.key,
      dates,
      jobId: `${jobId}-${table.name}`,
    })
  const events = await insert(tables.events, 'is_event')
  const copies = await insert(tables.eventCopies, 'NOT is_event')
  return { events, copies }
}

/** The columns of the table, in its order. */
function namesOf({ columns }: TableSpec): string {
  return columns.map(({ name }) => name).join(', ')
}
