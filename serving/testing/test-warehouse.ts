/**
 * A warehouse for the tests of serving: DuckDB in memory, one transaction a session, so that the
 * statements are really run and a session really is a snapshot. It can be told to fail or to hang.
 */
import { DuckDBInstance, type DuckDBConnection, type DuckDBValue } from '@duckdb/node-api'
import type { MinuteAggregates } from '../../shared/qoe/aggregates.ts'
import { EMPTY_AGGREGATES } from '../../shared/qoe/merge.ts'
import type { Cut } from '../../shared/qoe/cuts.ts'
import { TOPICS } from '../../shared/log/topics.ts'
import type { ColumnType, TableSpec } from '../../shared/warehouse/table-spec.ts'
import { allTables, tables } from '../../shared/warehouse/tables.ts'
import { warehouseErrors } from '../../shared/warehouse/warehouse-errors.ts'
import type { QueryLimits, Row, RowValue, Select } from '../../shared/warehouse/warehouse.ts'
import type { ReadSession, WarehouseReader } from '../../shared/warehouse/warehouse-reader.ts'
import { DIMENSION_COLUMNS, utcDate } from '../../shared/warehouse/minute-rows.ts'

/** Of a row, by column. */
export type Values = Readonly<Record<string, RowValue>>

const SQL_TYPES: Readonly<Record<ColumnType, string>> = {
  STRING: 'VARCHAR',
  INT64: 'BIGINT',
  FLOAT64: 'DOUBLE',
  BOOL: 'BOOLEAN',
  DATE: 'DATE',
  TIMESTAMP: 'TIMESTAMP',
}
const EMPTY_VALUES: Readonly<Record<ColumnType, RowValue>> = {
  STRING: '',
  INT64: 0,
  FLOAT64: 0,
  BOOL: false,
  DATE: '2026-01-01',
  TIMESTAMP: 0,
}

export class TestWarehouse implements WarehouseReader {
  readonly #instance: DuckDBInstance
  readonly #writer: DuckDBConnection
  /** Thrown by every call while set. */
  failure: Error | undefined
  /** Awaited by every query while set. */
  hang: Promise<void> | undefined
  /** Statements that were run. */
  readonly queries: Select[] = []
  openSessions = 0
  mostAtOnce = 0
  #atOnce = 0

  private constructor(instance: DuckDBInstance, writer: DuckDBConnection) {
    this.#instance = instance
    this.#writer = writer
  }

  static async create(): Promise<TestWarehouse> {
    const instance = await DuckDBInstance.create(':memory:', { threads: '1' })
    const writer = await instance.connect()
    for (const { name, columns } of allTables) {
      const list = columns.map((column) => `"${column.name}" ${SQL_TYPES[column.type]}`)
      await writer.run(`CREATE TABLE ${name} (${list.join(', ')})`)
    }
    return new TestWarehouse(instance, writer)
  }

  async open(): Promise<ReadSession> {
    if (this.failure !== undefined) throw this.failure
    const connection = await this.#instance.connect()
    await connection.run('BEGIN TRANSACTION')
    // A transaction of DuckDB begins with its first look at the tables.
    await connection.run('SELECT run FROM batch_runs LIMIT 0')
    this.openSessions++
    return new TestSession(this, connection)
  }

  /** Does all of `writes` at once. */
  async write(...writes: readonly string[]): Promise<void> {
    await this.#writer.run(`BEGIN TRANSACTION; ${writes.join('; ')}; COMMIT`)
  }

  async query(connection: DuckDBConnection, select: Select, limits: QueryLimits): Promise<Row[]> {
    this.queries.push(select)
    this.mostAtOnce = Math.max(this.mostAtOnce, ++this.#atOnce)
    try {
      if (this.failure !== undefined) throw this.failure
      await this.hang
      const reader = await connection.runAndReadAll(
        select.sql.replaceAll('@', '$'),
        parametersOf(select),
      )
      const rows = reader.getRowObjectsJS().map((row) => mapValues(row))
      if (rows.length > limits.maxRows) throw warehouseErrors.create('WAREHOUSE_QUERY_TOO_LARGE')
      return rows
    } finally {
      this.#atOnce--
    }
  }

  close(): void {
    this.#writer.closeSync()
    this.#instance.closeSync()
  }
}

class TestSession implements ReadSession {
  readonly #warehouse: TestWarehouse
  readonly #connection: DuckDBConnection

  constructor(warehouse: TestWarehouse, connection: DuckDBConnection) {
    this.#warehouse = warehouse
    this.#connection = connection
  }

  query(select: Select, limits: QueryLimits): Promise<Row[]> {
    return this.#warehouse.query(this.#connection, select, limits)
  }

  close(): Promise<void> {
    this.#warehouse.openSessions--
    this.#connection.closeSync()
    return Promise.resolve()
  }
}

/** `INSERT` of rows; required columns that are not given hold nothing in particular. */
export function insert(table: TableSpec, ...rows: readonly Values[]): string {
  const tuples = rows.map(
    (row) => `(${rowLiterals(table, row, (ms) => `make_timestamp(${ms * 1_000})`).join(', ')})`,
  )
  return `INSERT INTO ${table.name} VALUES ${tuples.join(', ')}`
}

/** A row's values as SQL has them, in the order of the table's columns. */
export function rowLiterals(
  { columns }: TableSpec,
  row: Values,
  timestamp: (ms: number) => string,
): string[] {
  return columns.map(({ name, type, required }) => {
    const value = row[name] ?? (required ? EMPTY_VALUES[type] : null)
    return value !== null && type === 'TIMESTAMP' ? timestamp(Number(value)) : literal(value)
  })
}

/** One control row of each of `watermarks`, a partition each. */
export function controlRows(run: number, watermarks: readonly number[], values: Values = {}) {
  return insert(tables.batchRuns, ...controlValues(run, watermarks, values))
}

export function controlValues(
  run: number,
  watermarks: readonly number[],
  values: Values = {},
): Values[] {
  return watermarks.map((watermark, partition) => ({
    run,
    topic: TOPICS.events,
    log_partition: partition,
    watermark_ms: watermark,
    started_at: 1_000,
    ended_at: 2_000,
    records: 10,
    events: 100,
    ...values,
  }))
}

/** A row of `qoe_minute`. */
export function qoeMinute(
  minuteMs: number,
  values: Partial<MinuteAggregates>,
  of: { readonly cut: Cut; readonly key: readonly string[] } = { cut: TOTAL, key: [] },
): Values {
  const aggregates = { ...EMPTY_AGGREGATES, ...values }
  const row: Record<string, RowValue> = {
    cut: of.cut.id,
    minute_ms: minuteMs,
    minute_date: utcDate(minuteMs),
    minute: minuteMs,
    startup_histogram: sparse(aggregates.startupHistogram),
    viewer_registers: of.cut.viewers ? sparse(aggregates.viewerRegisters) : null,
  }
  for (const [index, dimension] of of.cut.dimensions.entries())
    row[DIMENSION_COLUMNS[dimension]] = of.key[index] ?? null
  for (const [name, value] of Object.entries(aggregates)) {
    const column = name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
    if (typeof value === 'number' || typeof value === 'bigint') row[column] = value
    else if (name.startsWith('concurrent'))
      for (const [instant, count] of (value as readonly number[]).entries())
        row[`${column}_${instant}`] = count
  }
  return row
}

const TOTAL: Cut = { id: 'total', dimensions: [], width: 'narrow', viewers: true }

function sparse(pairs: readonly (readonly [number, number])[]): string {
  return pairs.map((pair) => pair.join(':')).join(',')
}

function literal(value: RowValue): string {
  if (value === null) return 'NULL'
  if (typeof value === 'string') return `'${value.replaceAll("'", "''")}'`
  return String(value)
}

function parametersOf({ parameters = {} }: Select): Record<string, DuckDBValue> {
  return Object.fromEntries(
    Object.entries(parameters).map(([name, value]) => [
      name,
      Number.isInteger(value) ? BigInt(value) : value,
    ]),
  )
}

function mapValues(row: Readonly<Record<string, unknown>>): Row {
  return Object.fromEntries(
    Object.entries(row).map(([name, value]) => [
      name,
      value instanceof Date ? value.getTime() : (value as RowValue),
    ]),
  )
}
