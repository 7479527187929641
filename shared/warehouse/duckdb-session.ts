/**
 * A session of the embedded warehouse: a DuckDB of its own over the files that the manifests named
 * when it was opened. A table becomes a view when a statement first speaks of it.
 */
import { rm } from 'node:fs/promises'
import type { Clock } from '../runtime/clock.ts'
import { assert } from '../runtime/errors.ts'
import type { Failpoints } from '../runtime/failpoints.ts'
import { type DuckDbEngine, UnreadableFile } from './duckdb-engine.ts'
import { SESSION_MAX_MS } from './duckdb-limits.ts'
import { ScratchTables } from './duckdb-scratch.ts'
import { quoted } from './duckdb-statement.ts'
import { TableWriter, type TableChange } from './duckdb-table-writer.ts'
import { rowsSql } from './duckdb-tables.ts'
import { columnType } from './duckdb-values.ts'
import type { TableSpec } from './table-spec.ts'
import type {
  InsertMissingRequest,
  LoadRequest,
  LoadResult,
  QueryLimits,
  ReplaceRowsRequest,
  ReplaceRowsResult,
  ResultColumn,
  Row,
  Select,
  WarehouseSession,
} from './warehouse.ts'
import { warehouseErrors, warehouseFailure } from './warehouse-errors.ts'
import { changedManifest, type JobResult } from './warehouse-manifest.ts'
import type { WarehouseObjects } from './warehouse-objects.ts'
import type { Snapshot, StoredManifest, WarehouseTables } from './warehouse-tables.ts'

export interface DuckDbSessionOptions {
  readonly engine: DuckDbEngine
  readonly objects: WarehouseObjects
  readonly tables: WarehouseTables
  readonly snapshot: Snapshot
  /** The session's own; removed at its end. */
  readonly folder: string
  readonly clock: Clock
  readonly failpoints: Failpoints
  readonly onClosed: () => void
}

export class DuckDbSession implements WarehouseSession {
  readonly computesHere = true
  readonly #options: DuckDbSessionOptions
  readonly #engine: DuckDbEngine
  readonly #scratch: ScratchTables
  readonly #openedMs: number
  readonly #stored: Map<string, StoredManifest>
  readonly #views = new Map<string, Promise<unknown>>()
  #closing: Promise<void> | undefined

  constructor(options: DuckDbSessionOptions) {
    this.#options = options
    this.#engine = options.engine
    this.#scratch = new ScratchTables(options.engine, options.objects)
    this.#openedMs = options.clock.monotonicMs()
    this.#stored = new Map(options.snapshot)
  }

  get tables(): readonly TableSpec[] {
    return [...this.#stored.values()].map(({ manifest }) => manifest)
  }

  load(request: LoadRequest): Promise<LoadResult> {
    return this.#during([], async () => {
      this.#assertFree(request.scratch)
      return { jobId: request.jobId, rows: await this.#scratch.load(request) }
    })
  }

  scratch(name: string, select: Select): Promise<void> {
    return this.#during([select], async () => {
      this.#assertFree(name)
      await this.#scratch.make(name, select)
    })
  }

  append(name: string, select: Select): Promise<void> {
    return this.#during([select], () => this.#scratch.append(name, select))
  }

  async insertMissing(request: InsertMissingRequest): Promise<number> {
    const result = await this.#write(request.table, request.jobId, [request.select], (writer) =>
      writer.insertMissing(request),
    )
    return result.inserted
  }

  async replaceRows(request: ReplaceRowsRequest): Promise<ReplaceRowsResult> {
    const selects = [request.select, request.scopeSelect]
    const { removed, inserted } = await this.#write(
      request.table,
      request.jobId,
      selects,
      (writer) => writer.replaceRows(request),
    )
    return { removed, inserted }
  }

  query(select: Select, limits: QueryLimits): Promise<readonly Row[]> {
    return this.#during([select], () => this.#engine.read(select, limits))
  }

  columns(select: Select): Promise<readonly ResultColumn[]> {
    return this.#during([select], async () => {
      const columns = await this.#engine.columns(select)
      return columns.map((column) => ({ name: column.name, type: columnType(column) }))
    })
  }

  close(): Promise<void> {
    this.#closing ??= (async () => {
      await this.#engine.close()
      await rm(this.#options.folder, { recursive: true, force: true })
      this.#options.onClosed()
    })()
    return this.#closing
  }

  async #write(
    table: string,
    jobId: string,
    selects: readonly Select[],
    action: (writer: TableWriter) => Promise<TableChange | undefined>,
  ): Promise<JobResult> {
    const stored = this.#stored.get(table)
    if (stored === undefined)
      throw warehouseErrors.create('WAREHOUSE_TABLE_MISMATCH', {
        expected: `the table ${table}`,
        received: 'none of this name',
      })
    const done = stored.manifest.jobs.find((job) => job.jobId === jobId)
    if (done !== undefined) return done
    // The table's own files are read, too: a file of it that is bad is then named.
    const own = { sql: table }
    return this.#during([...selects, own], async () => {
      const change = await action(new TableWriter(stored.manifest, this.#options))
      const removed = change?.rowsRemoved ?? 0
      const job = { jobId, removed, inserted: change?.rowsInserted ?? 0 }
      if (change !== undefined) await this.#commit(stored, change, job)
      return job
    })
  }

  async #commit(stored: StoredManifest, change: TableChange, job: JobResult): Promise<void> {
    const { tables, failpoints, clock } = this.#options
    const { added, removed, columnSets } = change
    await failpoints.hit('warehouse.afterFiles')
    const manifest = changedManifest(stored.manifest, {
      added,
      removed,
      columnSets,
      job,
      nowMs: clock.nowMs(),
    })
    this.#stored.set(manifest.name, await tables.swap(manifest, stored.generation))
    this.#views.delete(manifest.name)
    await failpoints.hit('warehouse.afterManifest')
  }

  /** Runs `action` once the tables that `selects` speak of are views; says what failed. */
  async #during<Result>(
    selects: readonly Select[],
    action: () => Promise<Result>,
  ): Promise<Result> {
    const ageMs = this.#options.clock.monotonicMs() - this.#openedMs
    if (ageMs > SESSION_MAX_MS)
      throw warehouseErrors.create('WAREHOUSE_SNAPSHOT_EXPIRED', {
        expected: `at most ${SESSION_MAX_MS} ms`,
        received: `${Math.round(ageMs)} ms`,
      })
    const names = [...this.#stored.keys()].filter((name) => selects.some(mentions(name)))
    try {
      await Promise.all(names.map((name) => this.#view(name)))
      return await action()
    } catch (error) {
      if (error instanceof UnreadableFile) await this.#nameBadFile(names)
      throw warehouseFailure(error)
    }
  }

  #view(name: string): Promise<unknown> {
    const known = this.#views.get(name)
    if (known !== undefined) return known
    const created = this.#createView(name)
    this.#views.set(name, created)
    // Another statement may find the file restored.
    created.catch(() => this.#views.delete(name))
    return created
  }

  async #createView(name: string): Promise<void> {
    const manifest = this.#stored.get(name)?.manifest
    assert(manifest !== undefined, 'a view is of a table')
    const placed = await Promise.all(
      manifest.files.map(async (file) => ({
        file,
        path: await this.#options.objects.path(file),
      })),
    )
    await this.#engine.run(`CREATE OR REPLACE VIEW ${quoted(name)} AS ${rowsSql(manifest, placed)}`)
  }

  /** Throws the error that names the first file that is missing or damaged, if any is. */
  async #nameBadFile(names: readonly string[]): Promise<void> {
    for (const name of names)
      for (const file of this.#stored.get(name)?.manifest.files ?? [])
        await this.#options.objects.verified(file)
  }

  #assertFree(scratch: string): void {
    assert(/^[a-z][a-z0-9_]*$/.test(scratch), `a scratch table's name: ${scratch}`)
    assert(!this.#stored.has(scratch), `a scratch table must not hide the table ${scratch}`)
  }
}

function mentions(name: string): (select: Select) => boolean {
  const word = new RegExp(`\\b${name}\\b`, 'i')
  return ({ sql }) => word.test(sql)
}
