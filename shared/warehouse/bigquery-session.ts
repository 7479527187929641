/**
 * A session of the warehouse on BigQuery: tables as they were at its moment, by time travel, except
 * those that it has written, which it sees as its last write left them. Scratch tables are tables of
 * the staging dataset.
 */
import type { Clock } from '../runtime/clock.ts'
import { assert } from '../runtime/errors.ts'
import type { BigQueryCatalog, Snapshot, WriteResult } from './bigquery-catalog.ts'
import { unlessClosed } from './bigquery-closing.ts'
import type { BigQueryJobs } from './bigquery-jobs.ts'
import { DROP_WAIT_MS, SESSION_MAX_MS } from './bigquery-limits.ts'
import type { BigQueryPlace } from './bigquery-place.ts'
import type { BigQueryQueries, BigQueryText } from './bigquery-queries.ts'
import type { BigQueryScratch } from './bigquery-scratch.ts'
import { queryParameters, statementOf, withTables } from './bigquery-statement.ts'
import { BigQueryTableWriter, type TableWrite, type WrittenTable } from './bigquery-table-writer.ts'
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
import { warehouseErrors } from './warehouse-errors.ts'

/** Scratch tables as a session needs them. */
export type SessionScratch = Pick<
  BigQueryScratch,
  'names' | 'make' | 'makeNamed' | 'append' | 'load' | 'drop'
>

export interface BigQuerySessionParts {
  readonly jobs: BigQueryJobs
  readonly queries: Pick<BigQueryQueries, 'rows' | 'columns'>
  readonly catalog: Pick<BigQueryCatalog, 'done'>
  readonly scratch: SessionScratch
  readonly place: BigQueryPlace
  readonly snapshot: Snapshot
  readonly clock: Clock
  /** Gives up what the parts above have under way. */
  readonly closing: AbortController
  readonly onClosed: () => void
}

export class BigQuerySession implements WarehouseSession {
  readonly computesHere = false
  readonly #parts: BigQuerySessionParts
  readonly #openedMs: number
  readonly #tables: Map<string, WrittenTable>
  #closing: Promise<void> | undefined

  constructor(parts: BigQuerySessionParts) {
    this.#parts = parts
    this.#openedMs = parts.clock.monotonicMs()
    const { entries, momentUs } = parts.snapshot
    this.#tables = new Map([...entries].map(([name, entry]) => [name, { ...entry, momentUs }]))
  }

  get tables(): readonly TableSpec[] {
    return [...this.#tables.values()].map(({ spec }) => spec)
  }

  load(request: LoadRequest): Promise<LoadResult> {
    return this.#during(async () => {
      this.#assertFree(request.scratch)
      return { jobId: request.jobId, rows: await this.#parts.scratch.load(request) }
    })
  }

  scratch(name: string, select: Select): Promise<void> {
    return this.#during(async () => {
      this.#assertFree(name)
      await this.#parts.scratch.makeNamed(name, this.#text(select))
    })
  }

  append(name: string, select: Select): Promise<void> {
    return this.#during(async () => {
      assert(this.#parts.scratch.names.has(name), `a scratch table made of a select: ${name}`)
      const text = this.#text(select)
      const columns = await this.#parts.queries.columns(text)
      const names = columns.map((column) => column.name)
      await this.#parts.scratch.append(name, names, text)
    })
  }

  async insertMissing(request: InsertMissingRequest): Promise<number> {
    const { inserted } = await this.#write(request, (writer) =>
      writer.insertMissing({ ...request, text: this.#text(request.select) }),
    )
    return inserted
  }

  async replaceRows(request: ReplaceRowsRequest): Promise<ReplaceRowsResult> {
    const { removed, inserted } = await this.#write(request, (writer) =>
      writer.replaceRows({
        ...request,
        text: this.#text(request.select),
        scopeText: this.#text(request.scopeSelect),
      }),
    )
    return { removed, inserted }
  }

  query(select: Select, limits: QueryLimits): Promise<readonly Row[]> {
    return this.#during(() => this.#parts.queries.rows(this.#text(select), limits, 'query'))
  }

  columns(select: Select): Promise<readonly ResultColumn[]> {
    return this.#during(() => this.#parts.queries.columns(this.#text(select)))
  }

  close(): Promise<void> {
    this.#closing ??= (async () => {
      this.#parts.closing.abort()
      // A table that a job given up makes after this expires.
      await this.#dropWithin(DROP_WAIT_MS)
      this.#parts.onClosed()
    })()
    return this.#closing
  }

  /** Whoever closes may have a lease to give back, while BigQuery answers nothing. */
  async #dropWithin(waitMs: number): Promise<void> {
    const { scratch, clock } = this.#parts
    const dropped = new AbortController()
    const drop = scratch.drop().finally(() => dropped.abort())
    await Promise.race([drop, clock.sleep(waitMs, dropped.signal)])
  }

  #write(
    { table, jobId }: { readonly table: string; readonly jobId: string },
    action: (writer: BigQueryTableWriter) => Promise<TableWrite | undefined>,
  ): Promise<WriteResult> {
    return this.#during(async () => {
      const found = this.#tables.get(table)
      if (found === undefined)
        throw warehouseErrors.create('WAREHOUSE_TABLE_MISMATCH', {
          expected: `the table ${table}`,
          received: 'none of this name',
        })
      const done = await this.#parts.catalog.done(found, jobId)
      if (done !== undefined) return done
      const written = await action(new BigQueryTableWriter(found, this.#parts))
      if (written === undefined) return { removed: 0, inserted: 0 }
      const { version, momentUs } = written
      this.#tables.set(table, { ...found, version, momentUs })
      return written
    })
  }

  /** The select with each table that it speaks of as the session sees it. */
  #text(select: Select): BigQueryText {
    const { place, scratch } = this.#parts
    const statement = statementOf(select)
    const sources = new Map<string, string>()
    for (const [name, { momentUs }] of this.#tables)
      if (statement.words.has(name.toLowerCase()))
        sources.set(name, `SELECT * FROM ${place.tableAt(name, momentUs)}`)
    for (const [name, full] of scratch.names)
      if (statement.words.has(name.toLowerCase())) sources.set(name, `SELECT * FROM ${full}`)
    return {
      sql: withTables(statement, sources),
      parameters: queryParameters(statement, select.parameters),
    }
  }

  #during<Result>(action: () => Promise<Result>): Promise<Result> {
    return unlessClosed(this.#parts.closing.signal, () => {
      const ageMs = this.#parts.clock.monotonicMs() - this.#openedMs
      if (ageMs > SESSION_MAX_MS)
        throw warehouseErrors.create('WAREHOUSE_SNAPSHOT_EXPIRED', {
          expected: `at most ${SESSION_MAX_MS} ms`,
          received: `${Math.round(ageMs)} ms`,
        })
      return action()
    })
  }

  #assertFree(scratch: string): void {
    assert(/^[a-z][a-z0-9_]*$/.test(scratch), `a scratch table's name: ${scratch}`)
    assert(!this.#tables.has(scratch), `a scratch table must not hide the table ${scratch}`)
  }
}
