/** What a table of the warehouse looks like; both adapters create tables from it. */

/** TIMESTAMP is an instant, DATE a day in UTC. */
export type ColumnType = 'STRING' | 'INT64' | 'FLOAT64' | 'BOOL' | 'DATE' | 'TIMESTAMP'

export interface ColumnSpec {
  readonly name: string
  readonly type: ColumnType
  readonly required: boolean
  /** One sentence for analysts, with the unit. */
  readonly description: string
}

export interface TableSpec {
  readonly name: string
  readonly description: string
  readonly columns: readonly ColumnSpec[]
  /** The DATE column by which rows are partitioned. */
  readonly partitionColumn: string
  /** What no two rows have in common; null counts as a value. */
  readonly key: readonly string[]
  /** Columns by which files are sorted, so that readers skip what they do not ask for. */
  readonly clusterColumns: readonly string[]
}

/** A column without which there is no row. */
export function required(name: string, type: ColumnType, description: string): ColumnSpec {
  return { name, type, required: true, description }
}

/** A column that may be null. */
export function nullable(name: string, type: ColumnType, description: string): ColumnSpec {
  return { name, type, required: false, description }
}
