/** The smallest warehouse session for tests of SQL: tables in one DuckDB in memory, no objects. */
import { type DuckDBConnection, DuckDBInstance, type DuckDBValue } from '@duckdb/node-api'

import type { ColumnSpec } from '../../shared/warehouse/table-spec.ts'
import { allTables } from '../../shared/warehouse/tables.ts'
import type {
  InsertMissingRequest,
  LoadResult,
  ReplaceRowsRequest,
  ReplaceRowsResult,
  Row,
  RowValue,
  Select,
  WarehouseSession,
} from '../../shared/warehouse/warehouse.ts'

const MACROS = [
  'CREATE TYPE FLOAT64 AS DOUBLE',
  'CREATE MACRO DIV(a, b) AS a // b',
  'CREATE MACRO LOGICAL_OR(x) AS BOOL_OR(x)',
  'CREATE MACRO TIMESTAMP_MILLIS(x) AS EPOCH_MS(CAST(x AS BIGINT))',
]

export class MemorySession implements WarehouseSession {
  readonly tables = allTables
  readonly #connection: DuckDBConnection
  readonly #instance: DuckDBInstance
  /** Milliseconds by scratch table, for benchmarks. */
  readonly timings = new Map<string, number>()
  patch: ((sql: string) => string) | undefined

  private constructor(instance: DuckDBInstance, connection: DuckDBConnection) {
    this.#instance = instance
    this.#connection = connection
  }

  static async open(options: Record<string, string> = {}): Promise<MemorySession> {
    const instance = await DuckDBInstance.create(':memory:', {
      threads: '1',
      default_null_order: 'nulls_first_on_asc_last_on_desc',
      ...options,
    })
    const session = new MemorySession(instance, await instance.connect())
    for (const macro of MACROS) await session.execute(macro)
    for (const { name, columns } of allTables) await session.createTable(name, columns)
    return session
  }

  async execute(sql: string): Promise<void> {
    await this.#connection.run(sql)
  }

  async createTable(name: string, columns: readonly ColumnSpec[]): Promise<void> {
    const list = columns.map((one) => `${one.name} ${one.type}${one.required ? ' NOT NULL' : ''}`)
    await this.execute(`CREATE OR REPLACE TABLE ${name} (${list.join(', ')})`)
  }

  /** Appends rows given as columns' names and values. */
  async insert(name: string, columns: readonly ColumnSpec[], rows: readonly Row[]): Promise<void> {
    for (let start = 0; start < rows.length; start += 500) {
      const chunk = rows.slice(start, start + 500)
      const tuples = chunk.map(
        (row) =>
          `(${columns.map((column) => literal(column, row[column.name] ?? null)).join(',')})`,
      )
      await this.execute(
        `INSERT INTO ${name} (${columns.map((column) => column.name).join(',')}) VALUES ${tuples.join(',')}`,
      )
    }
  }

  load(): Promise<LoadResult> {
    return Promise.reject(new Error('no objects here'))
  }

  async scratch(name: string, select: Select): Promise<void> {
    const start = performance.now()
    await this.#run(`CREATE OR REPLACE TABLE ${name}__new AS ${select.sql}`, select)
    await this.execute(`DROP TABLE IF EXISTS ${name}`)
    await this.execute(`ALTER TABLE ${name}__new RENAME TO ${name}`)
    this.timings.set(name, (this.timings.get(name) ?? 0) + performance.now() - start)
  }

  async append(name: string, select: Select): Promise<void> {
    await this.#run(`INSERT INTO ${name} ${select.sql}`, select)
  }

  async insertMissing(request: InsertMissingRequest): Promise<number> {
    const { table, select, key } = request
    const equal = key.map((name) => `t.${name} IS NOT DISTINCT FROM s.${name}`).join(' AND ')
    const before = await this.count(table)
    await this.#run(
      `INSERT INTO ${table} BY NAME SELECT * FROM (${select.sql}) s
       WHERE NOT EXISTS (SELECT 1 FROM ${table} t WHERE ${equal})`,
      select,
    )
    return (await this.count(table)) - before
  }

  async replaceRows(request: ReplaceRowsRequest): Promise<ReplaceRowsResult> {
    const { table, select, scope, scopeSelect } = request
    const equal = scope.map((name) => `t.${name} = s.${name}`).join(' AND ')
    const before = await this.count(table)
    await this.execute('BEGIN')
    await this.#run(
      `DELETE FROM ${table} t WHERE EXISTS (SELECT 1 FROM (${scopeSelect.sql}) s WHERE ${equal})`,
      scopeSelect,
    )
    const kept = await this.count(table)
    await this.#run(`INSERT INTO ${table} BY NAME ${select.sql}`, select)
    await this.execute('COMMIT')
    return { removed: before - kept, inserted: (await this.count(table)) - kept }
  }

  async query(select: Select): Promise<readonly Row[]> {
    const reader = await this.#connection.runAndReadAll(this.#text(select.sql), values(select))
    return reader.getRowObjectsJS() as unknown as Row[]
  }

  async count(table: string): Promise<number> {
    const [row] = await this.query({ sql: `SELECT COUNT(*) AS n FROM ${table}` })
    return Number(row?.['n'])
  }

  close(): Promise<void> {
    this.#connection.closeSync()
    this.#instance.closeSync()
    return Promise.resolve()
  }

  async #run(sql: string, select: Select): Promise<void> {
    await this.#connection.run(this.#text(sql), values(select))
  }

  #text(sql: string): string {
    const text = sql.replaceAll(/--[^\n]*/g, ' ').replaceAll(/@([a-z_][a-z_0-9]*)/g, '$$$1')
    return this.patch === undefined ? text : this.patch(text)
  }
}

function values({ parameters }: Select): Record<string, DuckDBValue> | undefined {
  return parameters
}

function literal({ type }: ColumnSpec, value: RowValue): string {
  if (value === null) return 'NULL'
  if (type === 'TIMESTAMP') return `EPOCH_MS(CAST(${value} AS BIGINT))`
  if (typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean') {
    return `${value}`
  }
  return `'${value.replaceAll("'", "''")}'`
}
