/**
 * The warehouse: the history as SQL tables. All logic that decides a value is a SELECT in a `.sql`
 * file in the common subset of BigQuery and DuckDB (`duckdb-macros.ts` says what is in it), so that
 * both adapters run the same text; how rows get into a table is one of the verbs below, so that
 * each adapter may do it its own way (a MERGE there, new Parquet files under a swapped manifest
 * here).
 *
 * The batch calls everything, one call at a time; serving, reconcile and the SQL shell call `query`,
 * several at once. A SELECT names tables of `tables.ts` and scratch tables of the same session by
 * their plain names; values are given as parameters (`@name`), never spliced into the text.
 *
 * A verb that writes is atomic, visible to its own session and to sessions opened later, and safe to
 * repeat: the same call again leaves the same rows, and a job id that the table remembers is
 * answered with its first result and not run again. Failures are `warehouseErrors`:
 * `WAREHOUSE_UNAVAILABLE` is retryable and leaves open whether the write happened (repeat it);
 * `WAREHOUSE_CONFLICT` says that another writer changed the table meanwhile, and
 * `WAREHOUSE_SNAPSHOT_EXPIRED` that the session is older than its files are kept (open a new session
 * and repeat); `WAREHOUSE_FILE_MISSING` and `WAREHOUSE_FILE_DAMAGED` name the object.
 */
import type { ColumnType, TableSpec } from './table-spec.ts'

export interface Warehouse {
  /**
   * Creates missing tables and adds missing nullable columns; never changes a type and never drops.
   * Throws `WAREHOUSE_TABLE_MISMATCH`, naming table, column, the type expected and the one found.
   */
  ensureTables(tables: readonly TableSpec[]): Promise<void>
  /** Opens a session: one snapshot of all tables, and scratch tables of its own. */
  open(): Promise<WarehouseSession>
  /**
   * What statements and loads have read and were billed for since it was opened; absent where nobody
   * bills.
   */
  usage?(): WarehouseUsage
  /**
   * Opens a session by which statements are only estimated: nothing is run, written or billed. Its scratch
   * tables are empty, its writes change nothing, and a query is answered by what is known of its columns;
   * absent where nobody bills.
   */
  openEstimate?(known: KnownColumns): Promise<EstimatedSession>
  /** Ends what is open. */
  close(): Promise<void>
}

export interface WarehouseUsage {
  readonly bytesRead: number
  readonly bytesBilled: number
}

/** The values of columns, by their names. A query has rows of them when each of its columns is known. */
export type KnownColumns = Readonly<Record<string, readonly RowValue[]>>

export interface EstimatedSession {
  readonly session: WarehouseSession
  /** Of what was asked of the session so far. */
  readonly estimate: WarehouseEstimate
}

export interface WarehouseEstimate {
  readonly statements: number
  /**
   * What they would read of tables; scratch tables, which are empty, and the removal of old rows by a
   * write are not in it.
   */
  readonly bytesRead: number
  /** By the one statement that would read the most. */
  readonly bytesReadAtOnce: number
  /** A statement that would be billed for more is refused. */
  readonly bytesBilledMax: number
}

export interface WarehouseSession {
  /** The tables of the snapshot, with their columns, ascending by name. */
  readonly tables: readonly TableSpec[]
  /**
   * Whether this process computes the statements, in its memory. Where it does not, large work is better
   * not divided: each part reads the tables again, which somebody bills.
   */
  readonly computesHere: boolean
  /**
   * Replaces a scratch table's rows with those of Parquet files in the object store, by column
   * name; a column that a file lacks is null. The files must not change while the session is open.
   * `jobId` is deterministic: a repeat is the same job.
   */
  load(request: LoadRequest): Promise<LoadResult>
  /** Makes a scratch table of the select's rows, replacing one of the same name. */
  scratch(name: string, select: Select): Promise<void>
  /**
   * Adds the select's rows to a scratch table that `scratch` made of one with the same columns.
   * Unlike the other verbs it must not be repeated: after a failure, make the table again.
   */
  append(name: string, select: Select): Promise<void>
  /**
   * Inserts the rows of `select` whose `key` no row of the table's `dates` has. The select names
   * its columns as the table does; a nullable one may be left out. It must not hold a key twice, and
   * all its rows lie in `dates`, else `WAREHOUSE_ROWS_INVALID`. Resolves with how many were inserted.
   */
  insertMissing(request: InsertMissingRequest): Promise<number>
  /**
   * In the partitions `dates`, replaces all rows whose `scope` columns are among the rows of
   * `scopeSelect` with the rows of `select` (all of which lie in `dates` and in the scope, else
   * `WAREHOUSE_ROWS_INVALID`). A date whose rows are already so is not written again.
   */
  replaceRows(request: ReplaceRowsRequest): Promise<ReplaceRowsResult>
  /**
   * Rows of a SELECT, in its order. Throws `WAREHOUSE_QUERY_INVALID`, `WAREHOUSE_QUERY_TOO_LARGE`
   * or `WAREHOUSE_QUERY_TIMEOUT`.
   */
  query(select: Select, limits: QueryLimits): Promise<readonly Row[]>
  /** The columns that `query` would give, in order; throws as it does. */
  columns(select: Select): Promise<readonly ResultColumn[]>
  /** Ends the session and its scratch tables; what is under way is given up. */
  close(): Promise<void>
}

export interface Select {
  /** One SELECT statement in the common subset. */
  readonly sql: string
  readonly parameters?: Readonly<Record<string, ParameterValue>>
}

/** A whole `number` is an INT64, any other a FLOAT64; dates go as text under `CAST(@d AS DATE)`. */
export type ParameterValue = string | number | bigint | boolean

export interface LoadRequest {
  readonly scratch: string
  readonly objects: readonly string[]
  /** The scratch table's columns; files may hold them in any order. */
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
  /** Columns that tell rows apart, null counting as a value: as a rule the table's own `key`. */
  readonly key: readonly string[]
  /** UTC dates (`YYYY-MM-DD`) of the partitions that are searched and written. */
  readonly dates: readonly string[]
  readonly jobId: string
}

export interface ReplaceRowsRequest {
  readonly table: string
  readonly select: Select
  readonly scope: readonly string[]
  /** Yields the columns `scope`; null counts as a value. */
  readonly scopeSelect: Select
  readonly dates: readonly string[]
  readonly jobId: string
}

/** Rows that went and came in the dates that were written. */
export interface ReplaceRowsResult {
  readonly removed: number
  readonly inserted: number
}

export interface QueryLimits {
  readonly maxRows: number
  readonly timeoutMs: number
}

export interface ResultColumn {
  readonly name: string
  readonly type: ColumnType
}

/** INT64 comes as `bigint`, TIMESTAMP as epoch ms in a `number`, DATE as `YYYY-MM-DD`. */
export type RowValue = string | number | bigint | boolean | null
export type Row = Readonly<Record<string, RowValue>>
