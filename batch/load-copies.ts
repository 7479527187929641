/**
 * Puts staged copies into `events` and `event_copies`: every copy gets the number of its incarnation
 * and is the event, or a copy of it, by what earlier runs loaded and by the staged copies alone. So a
 * run that is repeated after an interruption tells them apart as it did before.
 *
 * What is decided is kept apart from the rows that it is about: the steps see only the few columns
 * that decide, of a group of sessions at a time, and leave what is small: where incarnations begin,
 * and which copies are not the event. The rows, wide and many, are read once for each table and go
 * straight into it.
 */
import { tables } from '../shared/warehouse/tables.ts'
import type { TableSpec } from '../shared/warehouse/table-spec.ts'
import type { Select, WarehouseSession } from '../shared/warehouse/warehouse.ts'
import { insertByDates } from './by-dates.ts'
import {
  dayBefore,
  type FactsLimits,
  numberIncarnations,
  oneRow,
  scratchParameters,
} from './facts.ts'
import { readSql } from './read-sql.ts'

export interface LoadCopiesRequest {
  readonly run: number
  readonly limits: FactsLimits
  /**
   * The staged copies: the columns of `event_copies` but `kind` and `incarnation`, and `accepted`
   * (BOOL): an event, or a rejected seq. Evaluated several times.
   */
  readonly copies: Select
  /** UTC days of `received_at_ms` of the staged copies, not empty. */
  readonly dates: readonly string[]
  /** Into how many groups the sessions are divided. */
  readonly bucketCount: number
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
  for (let bucket = 0; bucket < request.bucketCount; bucket += 1)
    await decide(session, request, bucket)
  const insert = (table: TableSpec, rows: string) =>
    insertByDates(session, {
      table: table.name,
      select: decidedRows(request.copies, table, rows),
      key: table.key,
      dates: request.dates,
      jobId: `${request.jobId}-${table.name}`,
    })
  const events = await insert(tables.events, readSql('load/events'))
  const copies = await insert(tables.eventCopies, readSql('load/other-copies'))
  return { events, copies }
}

/** Adds what is decided about the copies of one group of sessions to what the others left. */
async function decide(
  session: WarehouseSession,
  { run, limits, copies, dates, bucketCount }: LoadCopiesRequest,
  bucket: number,
): Promise<void> {
  const firstDate = dates.toSorted()[0] ?? ''
  const aloneMs = limits.sessionTimeoutMs + limits.sessionKeepMs
  const bounds = { run, limits, openMinutesOnly: false }
  await session.scratch('staging_copies', {
    sql: withCopies(readSql('load/deciding'), copies),
    parameters: { ...copies.parameters, bucket, bucket_count: bucketCount },
  })
  await scratchParameters(session, { ...bounds, fromDate: dayBefore(firstDate, aloneMs) })
  const [kept] = await session.query({ sql: readSql('load/kept-from-date') }, oneRow)
  const parameters = { from_date: String(kept?.['from_date']) }
  await session.scratch('facts_touched', { sql: readSql('load/touched'), parameters })
  await session.scratch('facts_excluded', { sql: readSql('load/nothing-excluded') })
  await session.scratch('facts_copies', { sql: readSql('load/copies'), parameters })
  await numberIncarnations(session)
  await session.scratch('facts_incarnation_ranges', { sql: readSql('facts/incarnation-ranges') })
  for (const [scratch, file] of DECIDED) {
    const select = { sql: readSql(file) }
    await (bucket === 0 ? session.scratch(scratch, select) : session.append(scratch, select))
  }
}

/** What is kept of every group. */
const DECIDED = [
  ['load_incarnations', 'load/incarnations'],
  ['load_others', 'load/others'],
] as const

/** The staged copies that `rows` chooses, in the columns of the table. */
function decidedRows(copies: Select, { columns }: TableSpec, rows: string): Select {
  const names = columns.map(({ name }) => name).join(', ')
  const sql = `SELECT ${names} FROM (${withCopies(rows, copies)}) AS decided`
  return { ...copies, sql }
}

/** `sql`, in which `copies` stands for the staged copies. */
export function withCopies(sql: string, copies: Select): string {
  return `WITH copies AS (${copies.sql})\n${sql}`
}
