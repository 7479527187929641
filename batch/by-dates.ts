/**
 * Writes whose rows lie on more days than a verb of the warehouse may name, as one after another, each of
 * the next days. A write of a few days is one verb under the job's own id. What is written is complete
 * when all are done; a repeat makes the same ones.
 */
import type {
  InsertMissingRequest,
  ReplaceRowsRequest,
  ReplaceRowsResult,
  Select,
  WarehouseSession,
} from '../shared/warehouse/warehouse.ts'
import { assert } from '../shared/runtime/errors.ts'
import { DATES_PER_WRITE } from './limits.ts'

type DatedSession = Pick<WarehouseSession, 'tables' | 'insertMissing' | 'replaceRows'>

/** As `insertMissing`, of at most `DATES_MAX` days. */
export async function insertByDates(
  session: DatedSession,
  request: InsertMissingRequest,
): Promise<number> {
  let inserted = 0
  for (const { select, ...some } of writesOf(session, request))
    inserted += await session.insertMissing({ ...request, ...some, select })
  return inserted
}

/** As `replaceRows`, of at most `DATES_MAX` days. */
export async function replaceByDates(
  session: DatedSession,
  request: ReplaceRowsRequest,
): Promise<ReplaceRowsResult> {
  const sums = { removed: 0, inserted: 0 }
  for (const { select, ...some } of writesOf(session, request)) {
    const { removed, inserted } = await session.replaceRows({ ...request, ...some, select })
    sums.removed += removed
    sums.inserted += inserted
  }
  return sums
}

interface Dated {
  readonly table: string
  readonly select: Select
  readonly dates: readonly string[]
  readonly jobId: string
}

function writesOf({ tables }: DatedSession, request: Dated): Omit<Dated, 'table'>[] {
  const { select, jobId } = request
  const dates = request.dates.toSorted()
  if (dates.length <= DATES_PER_WRITE) return [{ select, dates, jobId }]
  const column = tables.find(({ name }) => name === request.table)?.partitionColumn
  assert(column !== undefined, `the table ${request.table} is one of the session's`)
  const writes: Omit<Dated, 'table'>[] = []
  for (let first = 0; first < dates.length; first += DATES_PER_WRITE) {
    const some = dates.slice(first, first + DATES_PER_WRITE)
    const bounds = {
      after: dates[first - 1],
      upTo: first + some.length < dates.length && some.at(-1),
    }
    writes.push({
      select: within(select, column, bounds),
      dates: some,
      jobId: `${jobId}-${some[0] ?? ''}`,
    })
  }
  return writes
}

/** Open at both ends, so that a row on no date of the write is refused and not left out. */
function within(
  { sql, parameters }: Select,
  column: string,
  {
    after,
    upTo,
  }: { readonly after: string | undefined; readonly upTo: string | false | undefined },
): Select {
  const conditions = [
    ...(after === undefined ? [] : [`${column} > CAST(@written_after AS DATE)`]),
    ...(typeof upTo === 'string' ? [`${column} <= CAST(@written_up_to AS DATE)`] : []),
  ]
  return {
    sql: `SELECT * FROM (\n${sql}\n) AS dated WHERE ${conditions.join(' AND ')}`,
    parameters: {
      ...parameters,
      ...(after !== undefined && { written_after: after }),
      ...(typeof upTo === 'string' && { written_up_to: upTo }),
    },
  }
}
