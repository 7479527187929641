import { tables } from '../../shared/warehouse/tables.ts'
import type { Warehouse } from '../../shared/warehouse/warehouse.ts'

export interface AlteredRows {
  readonly table: string
  /** The rows in question. */
  readonly where?: string
  /** What becomes of each, with the same key; without it they go. */
  readonly select?: string
}

/** Changes rows of a table as no run does: a defect, or what a mishap leaves. */
export async function alterRows(
  warehouse: Warehouse,
  { table, where = 'TRUE', select }: AlteredRows,
): Promise<void> {
  const spec = Object.values(tables).find(({ name }) => name === table)
  if (spec === undefined) throw new Error(`no table ${table}`)
  const rows = `FROM ${table} WHERE ${where}`
  const session = await warehouse.open()
  try {
    const days = await session.query(
      { sql: `SELECT DISTINCT CAST(${spec.partitionColumn} AS STRING) AS day FROM ${table}` },
      { maxRows: 10_000, timeoutMs: 60_000 },
    )
    await session.replaceRows({
      table,
      select: {
        sql: select === undefined ? `SELECT * ${rows} AND FALSE` : `SELECT ${select} ${rows}`,
      },
      scope: spec.key,
      scopeSelect: { sql: `SELECT ${spec.key.join(', ')} ${rows}` },
      dates: days.map((row) => String(row['day'])),
      jobId: `alter-${crypto.randomUUID()}`,
    })
  } finally {
    await session.close()
  }
}
