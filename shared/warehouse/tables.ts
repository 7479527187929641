/** What a table of the warehouse looks like; both adapters create tables from it. */
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
  /** Columns by which files are sorted, so that readers skip what they do not ask for. */
  readonly clusterColumns: readonly string[]
}
