/**
 * The embedded warehouse: Parquet files and a manifest a table in the object store
 * (`warehouse-manifest.ts`), and for every session a DuckDB in memory. There is no database file, so
 * that any number of processes of one machine may read beside the one that writes.
 */
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import type { ObjectStore } from '../objects/object-store.ts'
import type { Clock } from '../runtime/clock.ts'
import { BackhaulError } from '../runtime/errors.ts'
import { type Failpoints, noFailpoints } from '../runtime/failpoints.ts'
import { isRunning } from '../runtime/is-running.ts'
import { DuckDbEngine } from './duckdb-engine.ts'
import { SNAPSHOT_TRIES } from './duckdb-limits.ts'
import { DuckDbSession } from './duckdb-session.ts'
import type { TableSpec } from './table-spec.ts'
import type { Warehouse, WarehouseSession } from './warehouse.ts'
import { warehouseErrors, warehouseFailure } from './warehouse-errors.ts'
import { FILE_PREFIX } from './warehouse-manifest.ts'
import { WarehouseObjects } from './warehouse-objects.ts'
import { WarehouseTables } from './warehouse-tables.ts'

export interface DuckDbWarehouseOptions {
  /** Stays the caller's to close. */
  readonly store: ObjectStore
  /** Where sessions keep what they write and spill; may be shared, created when it is missing. */
  readonly temporaryFolder: string
  /** Bounds of each session. */
  readonly memoryMaxBytes: number
  readonly threads: number
  readonly clock: Clock
  readonly failpoints?: Failpoints
}

const SESSION_FOLDER = /^warehouse-(\d+)-/

/** Opens the warehouse and removes what sessions of killed processes left in the temporary folder. */
export async function openDuckDbWarehouse(options: DuckDbWarehouseOptions): Promise<Warehouse> {
  await mkdir(options.temporaryFolder, { recursive: true })
  for (const name of await readdir(options.temporaryFolder)) {
    const processId = SESSION_FOLDER.exec(name)?.[1]
    if (processId !== undefined && !isRunning(Number(processId)))
      await rm(join(options.temporaryFolder, name), { recursive: true, force: true })
  }
  return new DuckDbWarehouse(options)
}

class DuckDbWarehouse implements Warehouse {
  readonly #options: DuckDbWarehouseOptions
  readonly #tables: WarehouseTables
  readonly #sessions = new Set<WarehouseSession>()
  #closed = false

  constructor(options: DuckDbWarehouseOptions) {
    this.#options = options
    this.#tables = new WarehouseTables(options.store)
  }

  async ensureTables(tables: readonly TableSpec[]): Promise<void> {
    this.#assertOpen()
    for (const table of tables) await this.#ensure(table)
  }

  async open(): Promise<WarehouseSession> {
    this.#assertOpen()
    const { store, temporaryFolder, memoryMaxBytes, threads, clock } = this.#options
    const folder = await mkdtemp(resolve(temporaryFolder, `warehouse-${process.pid}-`))
    try {
      const snapshot = await this.#tables.snapshot()
      const inPlace = store.local === undefined ? [] : [resolve(store.local.folder, FILE_PREFIX)]
      const engine = await DuckDbEngine.open({
        clock,
        memoryMaxBytes,
        threads,
        spillFolder: join(folder, 'spill'),
        folders: [folder, ...inPlace],
      })
      const session = new DuckDbSession({
        engine,
        objects: new WarehouseObjects(store, folder),
        tables: this.#tables,
        snapshot,
        folder,
        clock,
        failpoints: this.#options.failpoints ?? noFailpoints,
        onClosed: () => this.#sessions.delete(session),
      })
      this.#sessions.add(session)
      return session
    } catch (error) {
      await rm(folder, { recursive: true, force: true })
      throw warehouseFailure(error)
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    await Promise.all([...this.#sessions].map((session) => session.close()))
  }

  /** Two processes may do so at once: the second finds what the first has made. */
  async #ensure(table: TableSpec): Promise<void> {
    for (let tries = 1; ; tries += 1)
      try {
        return await this.#tables.ensure(table)
      } catch (error) {
        const conflict = error instanceof BackhaulError && error.code === 'WAREHOUSE_CONFLICT'
        if (!conflict || tries === SNAPSHOT_TRIES) throw warehouseFailure(error)
      }
  }

  #assertOpen(): void {
    if (this.#closed) throw warehouseErrors.create('WAREHOUSE_CLOSED')
  }
}
