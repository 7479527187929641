/**
 * The DuckDB that makes Parquet from raw files: in memory, with bounded memory and threads, and a
 * temporary folder of its own for the files on their way and for what does not fit.
 */
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { DuckDBInstance, type DuckDBConnection } from '@duckdb/node-api'
import type { Clock } from '../shared/runtime/clock.ts'
import { isRunning } from '../shared/runtime/is-running.ts'
import { INTERRUPT_REPEAT_MS } from '../shared/warehouse/duckdb-limits.ts'
import { literal } from './flatten-sql.ts'

export interface FlattenDatabaseOptions {
  /** Created when it is missing. */
  readonly temporaryFolder: string
  readonly memoryBytes: number
  readonly threads: number
  readonly clock: Clock
  /** Gives up the statement under way, which then rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined
}

export class FlattenDatabase {
  /** For files on their way; gone when the database is closed. */
  readonly folder: string
  readonly #instance: DuckDBInstance
  readonly #connection: DuckDBConnection
  readonly #options: Pick<FlattenDatabaseOptions, 'clock' | 'signal'>

  private constructor(
    folder: string,
    instance: DuckDBInstance,
    connection: DuckDBConnection,
    options: Pick<FlattenDatabaseOptions, 'clock' | 'signal'>,
  ) {
    this.folder = folder
    this.#instance = instance
    this.#connection = connection
    this.#options = options
  }

  static async open(options: FlattenDatabaseOptions): Promise<FlattenDatabase> {
    const { temporaryFolder, memoryBytes, threads } = options
    await mkdir(temporaryFolder, { recursive: true })
    await removeLeftovers(temporaryFolder)
    const folder = await mkdtemp(join(temporaryFolder, `${PREFIX}${process.pid}-`))
    const instance = await DuckDBInstance.create(':memory:', {
      memory_limit: `${memoryBytes}B`,
      threads: `${threads}`,
      temp_directory: join(folder, 'spilled'),
      allocator_background_threads: 'true',
      // A file is read as this program wrote it: nothing is fetched or installed for it.
      autoinstall_known_extensions: 'false',
      enable_external_access: 'true',
    })
    return new FlattenDatabase(folder, instance, await instance.connect(), options)
  }

  async run(sql: string): Promise<void> {
    await this.#during(() => this.#connection.run(sql))
  }

  /** Writes the select's rows to a Parquet file; resolves with how many there are. */
  async writeParquet(select: string, path: string): Promise<number> {
    const sql = `COPY (${select}) TO ${literal(path)} (FORMAT parquet, COMPRESSION zstd)`
    const result = await this.#during(() => this.#connection.runAndReadAll(sql))
    return Number(result.getRows()[0]?.[0])
  }

  async #during<Result>(statement: () => Promise<Result>): Promise<Result> {
    const { clock, signal } = this.#options
    signal?.throwIfAborted()
    const interrupt = () => this.#connection.interrupt()
    let cancel: (() => void) | undefined
    // An interrupt that falls between two parts of a statement is forgotten: it is said again.
    const giveUp = () => {
      interrupt()
      cancel = clock.every(INTERRUPT_REPEAT_MS, interrupt)
    }
    signal?.addEventListener('abort', giveUp, { once: true })
    try {
      return await statement()
    } catch (error) {
      signal?.throwIfAborted()
      throw error
    } finally {
      signal?.removeEventListener('abort', giveUp)
      cancel?.()
    }
  }

  async close(): Promise<void> {
    this.#connection.closeSync()
    this.#instance.closeSync()
    await rm(this.folder, { recursive: true, force: true })
  }
}

const PREFIX = 'batch-'

/** Removes the folders of processes that were killed. */
async function removeLeftovers(temporaryFolder: string): Promise<void> {
  for (const name of await readdir(temporaryFolder)) {
    const processId = /^batch-(\d+)-/.exec(name)?.[1]
    if (processId !== undefined && !isRunning(Number(processId)))
      await rm(join(temporaryFolder, name), { recursive: true, force: true })
  }
}
