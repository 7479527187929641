/**
 * One DuckDB in memory: bounded in memory and threads, spilling into a folder of its own, closed to
 * every file outside the folders it is given, and knowing the macros of the common subset.
 */
import {
  type DuckDBConnection,
  DuckDBInstance,
  type DuckDBPreparedStatement,
  StatementType,
} from '@duckdb/node-api'
import type { Clock } from '../runtime/clock.ts'
import { BackhaulError } from '../runtime/errors.ts'
import { INTERRUPT_REPEAT_MS, STATEMENT_MAX_MS } from './duckdb-limits.ts'
import { DUCKDB_MACROS } from './duckdb-macros.ts'
import { duckDbText, literal, PARAMETER_PREFIX } from './duckdb-statement.ts'
import { rowReader, type SelectColumn } from './duckdb-values.ts'
import { parameterType } from './parameter-type.ts'
import type { ParameterValue, QueryLimits, Row, Select } from './warehouse.ts'
import { warehouseErrors } from './warehouse-errors.ts'

export interface DuckDbEngineOptions {
  readonly clock: Clock
  readonly memoryMaxBytes: number
  readonly threads: number
  /** Where it spills. */
  readonly spillFolder: string
  /** The only folders whose files it may touch. */
  readonly folders: readonly string[]
}

type Parameters = NonNullable<Select['parameters']>

export class DuckDbEngine {
  readonly #instance: DuckDBInstance
  readonly #clock: Clock
  readonly #underway = new Set<Promise<unknown>>()
  readonly #connections = new Set<DuckDBConnection>()
  #closed = false

  private constructor(instance: DuckDBInstance, clock: Clock) {
    this.#instance = instance
    this.#clock = clock
  }

  static async open(options: DuckDbEngineOptions): Promise<DuckDbEngine> {
    const instance = await DuckDBInstance.create(':memory:', {
      memory_limit: `${options.memoryMaxBytes}B`,
      threads: `${options.threads}`,
      temp_directory: options.spillFolder,
      // Else what one statement has freed stays with the process beside what the next one takes.
      allocator_background_threads: 'true',
      default_null_order: 'nulls_first_on_asc_last_on_desc',
      autoinstall_known_extensions: 'false',
      autoload_known_extensions: 'false',
    })
    const engine = new DuckDbEngine(instance, options.clock)
    const folders = options.folders.map((folder) => literal(`${folder}/`))
    for (const statement of [
      `SET TimeZone = 'UTC'`,
      ...DUCKDB_MACROS,
      `SET allowed_directories = [${folders.join(', ')}]`,
      'SET enable_external_access = false',
      'SET lock_configuration = true',
    ])
      await engine.run(statement)
    return engine
  }

  /** Runs a statement of our own; resolves with the rows that it changed or wrote. */
  run(sql: string, parameters: Parameters = {}): Promise<number> {
    return this.#during(STATEMENT_MAX_MS, async (connection) => {
      const prepared = await connection.prepare(sql)
      bind(prepared, parameters)
      const result = await prepared.run()
      return result.rowsChanged
    })
  }

  /** All rows of a query of our own, which yields few. */
  rows(sql: string): Promise<readonly Row[]> {
    return this.#during(STATEMENT_MAX_MS, async (connection) => {
      const result = await connection.run(sql)
      const read = rowReader(result)
      return (await result.fetchAllChunks()).flatMap(read)
    })
  }

  /** The rows of a caller's select, read no further than its limits. */
  read(select: Select, { maxRows, timeoutMs }: QueryLimits): Promise<readonly Row[]> {
    return this.#during(timeoutMs, async (connection, signal) => {
      const prepared = await prepareSelect(connection, select)
      const result = await prepared.stream()
      const read = rowReader(result)
      const rows: Row[] = []
      for (;;) {
        const chunk = await result.fetchChunk()
        // An interrupted stream ends as if it were complete.
        if (signal.aborted || chunk === null || chunk.rowCount === 0) return rows
        rows.push(...read(chunk))
        if (rows.length > maxRows)
          throw warehouseErrors.create('WAREHOUSE_QUERY_TOO_LARGE', {
            expected: `at most ${maxRows} rows`,
            received: 'more',
          })
      }
    })
  }

  /** The columns of a caller's select; throws `WAREHOUSE_QUERY_INVALID` unless it is one. */
  columns(select: Select): Promise<readonly SelectColumn[]> {
    return this.#during(STATEMENT_MAX_MS, async (connection) => {
      await prepareSelect(connection, select)
      // A prepared statement does not know its types when a parameter decides what it reads.
      const none = await connection.prepare(`SELECT * FROM (\n${duckDbText(select)}\n) LIMIT 0`)
      bind(none, select.parameters ?? {})
      const result = await none.run()
      return result.columnNames().map((name, index) => ({
        name,
        typeId: result.columnTypeId(index),
        typeName: result.columnType(index).toString(),
      }))
    })
  }

  /** Gives up what is under way. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    // An interrupt that falls between two statements of an action is forgotten: it is said again.
    const interrupt = () => this.#connections.forEach((connection) => connection.interrupt())
    interrupt()
    const cancel = this.#clock.every(INTERRUPT_REPEAT_MS, interrupt)
    await Promise.allSettled(this.#underway)
    cancel()
    this.#instance.closeSync()
  }

  /** Counts as under way from the call on: the instance is open until the last one has ended. */
  async #during<Result>(
    timeoutMs: number,
    action: (connection: DuckDBConnection, signal: AbortSignal) => Promise<Result>,
  ): Promise<Result> {
    if (this.#closed) throw warehouseErrors.create('WAREHOUSE_CLOSED')
    const done = this.#connected(timeoutMs, action)
    this.#underway.add(done)
    try {
      return await done
    } finally {
      this.#underway.delete(done)
    }
  }

  async #connected<Result>(
    timeoutMs: number,
    action: (connection: DuckDBConnection, signal: AbortSignal) => Promise<Result>,
  ): Promise<Result> {
    const connection = await this.#instance.connect()
    this.#connections.add(connection)
    const timeout = new AbortController()
    const cancel = this.#clock.after(timeoutMs, () => {
      timeout.abort()
      connection.interrupt()
    })
    try {
      if (this.#closed) throw warehouseErrors.create('WAREHOUSE_CLOSED')
      const result = await action(connection, timeout.signal)
      if (timeout.signal.aborted) throw timedOut(timeoutMs)
      if (this.#closed) throw warehouseErrors.create('WAREHOUSE_CLOSED')
      return result
    } catch (error) {
      // A closed engine answers so whatever the interrupt has broken, and however it was told.
      if (this.#closed) throw warehouseErrors.create('WAREHOUSE_CLOSED')
      if (error instanceof BackhaulError) throw error
      if (timeout.signal.aborted) throw timedOut(timeoutMs)
      throw failureOf(error)
    } finally {
      cancel()
      this.#connections.delete(connection)
      connection.closeSync()
    }
  }
}

/** Thrown for files that cannot be read: the caller finds out which and why. */
export class UnreadableFile extends Error {
  override readonly name = 'UnreadableFile'
}

async function prepareSelect(
  connection: DuckDBConnection,
  select: Select,
): Promise<DuckDBPreparedStatement> {
  const statements = await connection.extractStatements(duckDbText(select))
  if (statements.count !== 1) throw invalid('one statement', `${statements.count}`)
  const prepared = await statements.prepare(0)
  if (prepared.statementType !== StatementType.SELECT)
    throw invalid('a SELECT', StatementType[prepared.statementType])
  bind(prepared, select.parameters ?? {})
  return prepared
}

function bind(prepared: DuckDBPreparedStatement, parameters: Parameters): void {
  for (let index = 1; index <= prepared.parameterCount; index += 1) {
    const name = prepared.parameterName(index).slice(PARAMETER_PREFIX.length)
    const value = parameters[name]
    if (value === undefined) throw invalid(`a value of the parameter @${name}`, 'none')
    bindValue(prepared, index, value)
  }
}

/** By the type of the port: left to itself, the driver would make a HUGEINT of a bigint. */
function bindValue(prepared: DuckDBPreparedStatement, index: number, value: ParameterValue): void {
  if (typeof value === 'string') prepared.bindVarchar(index, value)
  else if (typeof value === 'boolean') prepared.bindBoolean(index, value)
  else if (typeof value === 'bigint' || parameterType(value) === 'INT64')
    prepared.bindBigInt(index, BigInt(value))
  else prepared.bindDouble(index, value)
}

function invalid(expected: string, received: string): BackhaulError {
  return warehouseErrors.create('WAREHOUSE_QUERY_INVALID', { expected, received })
}

function timedOut(timeoutMs: number): BackhaulError {
  return warehouseErrors.create('WAREHOUSE_QUERY_TIMEOUT', { expected: `at most ${timeoutMs} ms` })
}

const FULL = /No space left|max_temp_directory_size/
const FILES =
  /^(IO Error|Invalid Input Error: (File|Failed to|No magic)|TProtocolException|Invalid Error)/

function failureOf(cause: unknown): Error {
  const message = cause instanceof Error ? cause.message : String(cause)
  const received = message.replace(/^Failed to extract statements: /, '').trim()
  if (FULL.test(message)) return warehouseErrors.create('WAREHOUSE_FULL', { received, cause })
  if (received.startsWith('Out of Memory Error'))
    return warehouseErrors.create('WAREHOUSE_QUERY_TOO_LARGE', { received, cause })
  if (FILES.test(received)) return new UnreadableFile(received, { cause })
  return warehouseErrors.create('WAREHOUSE_QUERY_INVALID', { received, cause })
}
