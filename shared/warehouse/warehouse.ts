/**
 * The warehouse: the history as SQL tables. All logic that decides a value is a SELECT in a `.sql`
 * file in the common subset of BigQuery and DuckDB, so that both adapters run the same text; how
 * rows get into a table is one of the verbs below, so that each adapter may do it its own way (a
 * MERGE there, new Parquet files under a swapped manifest here).
 *
 * The batch calls everything, one call at a time; serving, reconcile and the SQL shell call `query`,
 * several at once. A SELECT names tables of `tables.ts` and scratch tables of the same session by
 * their plain names; values are given as parameters (`@name`), never spliced into the text.
 *
 * A verb that writes is atomic, visible to sessions opened later, and safe to repeat: the same call
 * again leaves the same rows. Failures are `warehouseErrors`: `WAREHOUSE_UNAVAILABLE` is retryable
 * and leaves open whether the write happened (repeat it); `WAREHOUSE_CONFLICT` says that another
 * writer changed the table meanwhile (open a new session and repeat).
 */
import type { TableSpec } from './tables.ts'

export interface Warehouse {
  /**
   * Creates missing tables and adds missing nullable columns; never changes a type and never drops.
   * Throws `WAREHOUSE_TABLE_MISMATCH`, naming table, column, the type expected and the one found.
   */
  ensureTables(tables: readonly TableSpec[]): Promise<void>
  /** Opens a session: one snapshot of all tables, and scratch tables of its own. */
  open(): Promise<WarehouseSession>
  close(): Promise<void>
}

export interface WarehouseSession {
  /**
   * Replaces a scratch table's rows with those of Parquet files in the object store, by column
   * name; a column that a file lacks is null. `jobId` is deterministic: a repeat is the same job.
   * Throws `WAREHOUSE_FILE_MISSING` or `WAREHOUSE_FILE_DAMAGED`, naming the object.
   */
  load(request: LoadRequest): Promise<LoadResult>
  /** Makes a scratch table of the select's rows, replacing one of the same name. */
  scratch(name: string, select: Select): Promise<void>
  /**
   * Inserts the rows of `select` whose `key` no row of the table's `dates` has. The select must
   * not hold a key twice. Resolves with how many rows were inserted.
   */
  insertMissing(request: InsertMissingRequest): Promise<number>
  /**
   * In the partitions `dates`, replaces all rows whose `scope` columns are among the rows of
   * `scopeSelect` with the rows of `select` (all of which lie in `dates` and in the scope).
   * Nothing changes when the rows are already so.
   */
  replaceRows(request: ReplaceRowsRequest): Promise<ReplaceRowsResult>
  /** Rows of a SELECT. Throws `WAREHOUSE_QUERY_INVALID` or `WAREHOUSE_QUERY_TOO_LARGE`. */
  query(select: Select, limits: QueryLimits): Promise<readonly Row[]>
  /** Ends the session and its scratch tables. */
  close(): Promise<void>
}

export interface Select {
  /** One SELECT statement in the common subset. */
  readonly sql: string
  readonly parameters?: Readonly<Record<string, ParameterValue>>
}

export type ParameterValue = string | number | bigint | boolean

export interface LoadRequest {
  readonly scratch: string
  readonly objects: readonly string[]
  /** The scratch table's columns, in the order of the files' columns. */
  readonly columns: TableSpec['columns']
  readonly jobId: string
}

export interface LoadResult {
  readonly jobId: string
  readonly rows: number
}

export interface InsertMissingRequest {
  readonly table: string
  readonly select: Select
  readonly key: readonly string[]
  /** UTC dates (`YYYY-MM-DD`) of the partitions that are searched and written. */
  readonly dates: readonly string[]
  readonly jobId: string
}

export interface ReplaceRowsRequest {
  readonly table: string
  readonly select: Select
  readonly scope: readonly string[]
  readonly scopeSelect: Select
  readonly dates: readonly string[]
  readonly jobId: string
}

export interface ReplaceRowsResult {
  readonly removed: number
  readonly inserted: number
}

export interface QueryLimits {
  readonly maxRows: number
}

/** INT64 comes as `bigint`, TIMESTAMP as epoch ms in a `number`, DATE as `YYYY-MM-DD`. */
export type RowValue = string | number | bigint | boolean | null
export type Row = Readonly<Record<string, RowValue>>
