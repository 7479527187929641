/**
 * Rows that the batch itself makes, put into a table: as a scratch table, some rows a statement, and
 * from there as any other rows.
 */
import type { ColumnSpec, TableSpec } from '../shared/warehouse/table-spec.ts'
import type { ParameterValue, Select, WarehouseSession } from '../shared/warehouse/warehouse.ts'
import { ROWS_PER_STATEMENT } from './limits.ts'

/** Values by column; a TIMESTAMP as epoch ms, a DATE as `YYYY-MM-DD`; a missing one is null. */
export type ValueRow = Readonly<Record<string, ParameterValue | undefined>>

export interface ValuesInsert {
  readonly table: TableSpec
  /** At least one row. */
  readonly rows: readonly ValueRow[]
  readonly jobId: string
}

export interface ScratchValues {
  readonly scratch: string
  readonly columns: readonly ColumnSpec[]
  readonly rows: readonly ValueRow[]
}

/** Makes a scratch table of the rows; of none, an empty one. */
export async function scratchValues(
  session: WarehouseSession,
  { scratch, columns, rows }: ScratchValues,
): Promise<void> {
  if (rows.length === 0) {
    const nulls = columns.map(({ name, type }) => `CAST(NULL AS ${type}) AS ${name}`)
    await session.scratch(scratch, {
      sql: `SELECT * FROM (SELECT ${nulls.join(', ')}) AS nothing WHERE FALSE`,
    })
  }
  for (let first = 0; first < rows.length; first += ROWS_PER_STATEMENT) {
    const select = selectOf(columns, rows.slice(first, first + ROWS_PER_STATEMENT))
    if (first === 0) await session.scratch(scratch, select)
    else await session.append(scratch, select)
  }
}

/** Inserts the rows whose key the table lacks; resolves with how many. */
export async function insertValues(
  session: WarehouseSession,
  { table, rows, jobId }: ValuesInsert,
): Promise<number> {
  const scratch = `values_of_${table.name}`
  await scratchValues(session, { scratch, columns: table.columns, rows })
  const dates = new Set(rows.map((row) => String(row[table.partitionColumn])))
  return session.insertMissing({
    table: table.name,
    select: { sql: `SELECT * FROM ${scratch}` },
    key: table.key,
    dates: [...dates].toSorted(),
    jobId,
  })
}

function selectOf(columns: readonly ColumnSpec[], rows: readonly ValueRow[]): Select {
  const parameters: Record<string, ParameterValue> = {}
  const selects = rows.map((row, index) => {
    const values = columns.map(({ name, type }) => {
      const value = row[name]
      const parameter = `${name}_${index}`
      if (value !== undefined) parameters[parameter] = value
      const given = value === undefined ? 'NULL' : `@${parameter}`
      const cast =
        type === 'TIMESTAMP'
          ? `TIMESTAMP_MILLIS(CAST(${given} AS INT64))`
          : `CAST(${given} AS ${type})`
      return `${cast} AS ${name}`
    })
    return `SELECT ${values.join(', ')}`
  })
  return { sql: selects.join('\nUNION ALL\n'), parameters }
}
