/**
 * How rows get into a table of BigQuery. What is to be written is made first, beside the table and
 * from the session's moment: the rows of the select, checked, and which of them are missing or
 * differ. Then one short transaction writes it: it fails when the table's version is not the one that
 * the session knows, because another writer was there since, and changes it; writes the rows by partitions that
 * are named, and keeps the result under the job's id.
 */
import { assert, type BackhaulError } from '../runtime/errors.ts'
import { JOBS, TABLES, type CatalogEntry, type WriteResult } from './bigquery-catalog.ts'
import { CONFLICT_MESSAGE } from './bigquery-failure.ts'
import type { BigQueryJobs } from './bigquery-jobs.ts'
import { DATES_MAX } from './bigquery-limits.ts'
import {
  castSql,
  columnsSql,
  hashOf,
  inDatesSql,
  nullSql,
  sameSql,
  versionSql,
  type BigQueryPlace,
  type MomentUs,
} from './bigquery-place.ts'
import type { BigQueryQueries, BigQueryText } from './bigquery-queries.ts'
import type { BigQueryScratch } from './bigquery-scratch.ts'
import { literal, named } from './bigquery-statement.ts'
import type { ColumnSpec, ColumnType } from './table-spec.ts'
import type { InsertMissingRequest, ReplaceRowsRequest, Row } from './warehouse.ts'
import { warehouseErrors } from './warehouse-errors.ts'

export interface BigQueryTableWriterParts {
  readonly jobs: BigQueryJobs
  readonly queries: Pick<BigQueryQueries, 'rows' | 'columns'>
  readonly scratch: Pick<BigQueryScratch, 'make'>
  readonly place: BigQueryPlace
}

/** A table as the session sees it. */
export interface WrittenTable extends CatalogEntry {
  readonly momentUs: MomentUs
}

export interface TableWrite extends WriteResult {
  readonly version: string
  /** When the table was so. */
  readonly momentUs: MomentUs
}

type Given<Request> = Request & { readonly text: BigQueryText }

export class BigQueryTableWriter {
  readonly #parts: BigQueryTableWriterParts
  readonly #table: WrittenTable
  readonly #name: string

  constructor(table: WrittenTable, parts: BigQueryTableWriterParts) {
    this.#parts = parts
    this.#table = table
    this.#name = parts.place.table(table.spec.name)
  }

  /** Resolves with `undefined` where nothing is to be written. */
  async insertMissing(request: Given<InsertMissingRequest>): Promise<TableWrite | undefined> {
    const { dates, key, jobId } = request
    const { scratch } = this.#parts
    const incoming = await this.#incoming(request.text)
    const same = sameSql(this.#columns(key))
    const held = `(SELECT ${columnsSql(this.#columns(key))} FROM ${this.#now} WHERE ${this.#isIn(dates)})`
    const counts = await this.#check(incoming, { dates, key }, [
      `(SELECT COUNT(*) FROM ${incoming} AS l JOIN ${held} AS r ON ${same}) AS known`,
    ])
    if (numberOf(counts, 'known') === 0)
      return this.#write(jobId, { removed: 0, inserted: numberOf(counts, 'n') }, [
        this.#insertSql(incoming, dates),
      ])
    const missing = await scratch.make('_missing', {
      sql: `SELECT l.* FROM ${incoming} AS l LEFT JOIN (SELECT *, TRUE AS _held FROM ${held}) AS r ON ${same} WHERE r._held IS NULL`,
    })
    const [found] = await this.#parts.queries.rows({ sql: `SELECT COUNT(*) AS n FROM ${missing}` })
    return this.#write(jobId, { removed: 0, inserted: numberOf(found, 'n') }, [
      this.#insertSql(missing, dates),
    ])
  }

  async replaceRows(
    request: Given<ReplaceRowsRequest> & { readonly scopeText: BigQueryText },
  ): Promise<TableWrite | undefined> {
    const { dates, jobId } = request
    const columns = this.#columns(request.scope)
    const incoming = await this.#incoming(request.text)
    const scope = await this.#parts.scratch.make('_scope', {
      ...request.scopeText,
      sql: `SELECT DISTINCT ${columns.map(castSql).join(', ')} FROM (\n${request.scopeText.sql}\n) AS s`,
    })
    const same = sameSql(columns)
    const counts = await this.#check(incoming, { dates, key: this.#table.spec.key }, [
      `(SELECT COUNT(*) FROM ${incoming} AS l JOIN ${scope} AS r ON ${same}) AS inside`,
    ])
    const outside = numberOf(counts, 'n') - numberOf(counts, 'inside')
    if (outside > 0) throw this.#invalid('rows of the scope only', `${outside} rows outside`)
    const old = `SELECT ${columnsSql(this.#table.spec.columns)} FROM (SELECT * FROM ${this.#now}) AS l WHERE ${this.#isIn(dates)} AND EXISTS (SELECT 1 FROM ${scope} AS r WHERE ${same})`
    const changed = await this.#changedDates(old, incoming)
    const touched = changed.map(({ date }) => date)
    return this.#write(
      jobId,
      {
        removed: sumOf(changed.map(({ removed }) => removed)),
        inserted: sumOf(changed.map(({ inserted }) => inserted)),
      },
      [
        `DELETE FROM ${this.#name} AS l WHERE ${this.#isIn(touched)} AND EXISTS (SELECT 1 FROM ${scope} AS r WHERE ${same})`,
        this.#insertSql(incoming, touched),
      ],
    )
  }

  /** The table as it was at the session's moment. */
  get #now(): string {
    return this.#parts.place.tableAt(this.#table.spec.name, this.#table.momentUs)
  }

  /** Makes a table of the select's rows in the table's columns. */
  async #incoming(text: BigQueryText): Promise<string> {
    const given = await this.#given(text)
    const columns = this.#table.spec.columns.map((column) =>
      given.has(column.name) ? castSql(column) : nullSql(column),
    )
    return this.#parts.scratch.make('_incoming', {
      ...text,
      sql: `SELECT ${columns.join(', ')} FROM (\n${text.sql}\n) AS s`,
    })
  }

  async #given(text: BigQueryText): Promise<ReadonlySet<string>> {
    const known = new Map(this.#table.spec.columns.map((column) => [column.name, column]))
    const given = new Set<string>()
    for (const { name, type } of await this.#parts.queries.columns(text)) {
      const column = known.get(name)
      if (column === undefined) throw this.#invalid('a column of the table', name)
      if (!fits(type, column.type)) throw this.#invalid(`${name} of ${column.type}`, type)
      given.add(name)
    }
    return given
  }

  /** Counts what breaks a rule; resolves with `n`, the rows, and what `more` counts. */
  async #check(
    incoming: string,
    { dates, key }: { readonly dates: readonly string[]; readonly key: readonly string[] },
    more: readonly string[],
  ): Promise<Row | undefined> {
    assert(dates.length <= DATES_MAX, `at most ${DATES_MAX} dates`)
    for (const date of dates) assert(/^\d{4}-\d\d-\d\d$/.test(date), `a date: ${date}`)
    const { columns, partitionColumn } = this.#table.spec
    const rules: readonly (readonly [expected: string, broken: string])[] = [
      ...columns
        .filter((column) => column.required)
        .map(({ name }) => [`a value of ${name}`, `${named(name)} IS NULL`] as const),
      [`a ${partitionColumn} among the dates named`, `NOT (${this.#isIn(dates)})`],
    ]
    const twice = `(SELECT COUNT(*) FROM (SELECT 1 AS one FROM ${incoming} GROUP BY ${columnsSql(this.#columns(key))} HAVING COUNT(*) > 1) AS t) AS twice`
    const counts = rules.map(([, broken], index) => `COUNTIF(${broken}) AS c${index}`)
    const [found] = await this.#parts.queries.rows({
      sql: `SELECT COUNT(*) AS n, ${[...counts, twice, ...more].join(', ')} FROM ${incoming}`,
    })
    for (const [index, [expected]] of rules.entries())
      if (numberOf(found, `c${index}`) > 0)
        throw this.#invalid(expected, `${numberOf(found, `c${index}`)} rows without`)
    if (numberOf(found, 'twice') > 0)
      throw this.#invalid('each key once', `${numberOf(found, 'twice')} keys more often`)
    return found
  }

  /** Dates whose old rows and new ones are not the same, with how many there are of each. */
  async #changedDates(
    old: string,
    incoming: string,
  ): Promise<readonly { date: string; removed: number; inserted: number }[]> {
    const { columns, partitionColumn } = this.#table.spec
    const date = `CAST(${named(partitionColumn)} AS STRING) AS date`
    const both = `SELECT * FROM old INTERSECT DISTINCT SELECT ${columnsSql(columns)} FROM ${incoming}`
    const rows = await this.#parts.queries.rows({
      sql: `WITH old AS (${old}), counted AS (
          SELECT ${date}, 1 AS old_rows, 0 AS new_rows, 0 AS same_rows FROM old
          UNION ALL SELECT ${date}, 0, 1, 0 FROM ${incoming}
          UNION ALL SELECT ${date}, 0, 0, 1 FROM (${both}) AS b)
        SELECT date, SUM(old_rows) AS removed, SUM(new_rows) AS inserted, SUM(same_rows) AS same
        FROM counted GROUP BY date ORDER BY date`,
    })
    return rows
      .map((row) => ({
        date: String(row['date']),
        removed: numberOf(row, 'removed'),
        inserted: numberOf(row, 'inserted'),
        same: numberOf(row, 'same'),
      }))
      .filter(({ removed, inserted, same }) => removed !== same || inserted !== same)
  }

  #insertSql(from: string, dates: readonly string[]): string {
    const columns = columnsSql(this.#table.spec.columns)
    return `INSERT INTO ${this.#name} (${columns}) SELECT ${columns} FROM ${from} WHERE ${this.#isIn(dates)}`
  }

  /** One transaction: all of it is done, or nothing, and never twice. */
  async #write(
    jobId: string,
    result: WriteResult,
    statements: readonly string[],
  ): Promise<TableWrite | undefined> {
    if (result.removed === 0 && result.inserted === 0) return undefined
    const { jobs, place } = this.#parts
    const { spec, version } = this.#table
    const catalog = place.table(TABLES)
    const isTable = `name = ${literal(spec.name)}`
    const next = hashOf([spec.name, version, jobId])
    const query = [
      'BEGIN TRANSACTION',
      // The old version and not the new: a write that was done, though its job failed, has made that.
      `SELECT IF((SELECT ${versionSql} FROM ${catalog} WHERE ${isTable}) = ${literal(version)}, 0, ERROR(${literal(CONFLICT_MESSAGE)}))`,
      `UPDATE ${catalog} SET version = ${literal(next)} WHERE ${isTable}`,
      ...statements,
      `INSERT INTO ${place.table(JOBS)} (table_name, job_id, removed, inserted, written_at) VALUES (${literal(spec.name)}, ${literal(jobId)}, ${result.removed}, ${result.inserted}, CURRENT_TIMESTAMP())`,
      'COMMIT TRANSACTION',
    ]
    const job = await jobs.run({
      id: place.jobId('write', spec.name, jobId, version),
      verb: 'write',
      configuration: { query: { query: `${query.join(';\n')};` } },
      operation: { resource: this.#name, permission: 'bigquery.tables.updateData' },
    })
    assert(job.endMs !== undefined, 'a job that is done says when')
    return { ...result, version: next, momentUs: (BigInt(job.endMs) + 1n) * 1_000n }
  }

  #columns(names: readonly string[]): readonly ColumnSpec[] {
    return names.map((name) => {
      const column = this.#table.spec.columns.find((candidate) => candidate.name === name)
      if (column === undefined) throw this.#invalid('a column of the table', name)
      return column
    })
  }

  #isIn(dates: readonly string[]): string {
    return inDatesSql(named(this.#table.spec.partitionColumn), dates)
  }

  #invalid(expected: string, received: string): BackhaulError {
    return warehouseErrors.create('WAREHOUSE_ROWS_INVALID', {
      expected: `${this.#table.spec.name}: ${expected}`,
      received,
    })
  }
}

/** As BigQuery takes a value for a column without a cast in the select. */
function fits(given: ColumnType, column: ColumnType): boolean {
  return given === column || (given === 'INT64' && column === 'FLOAT64')
}

function numberOf(row: Row | undefined, name: string): number {
  return Number(row?.[name] ?? 0)
}

function sumOf(counts: readonly number[]): number {
  return counts.reduce((sum, count) => sum + count, 0)
}
