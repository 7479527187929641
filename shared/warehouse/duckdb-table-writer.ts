/**
 * How rows get into a table of Parquet files. The rows of a select are first written to files of the
 * session's own, so that a large select needs no memory and is evaluated once; then checked; then
 * written sorted, a few files a date, and made objects. Rows to insert are sorted at once: as a rule
 * they are all of one date and all missing, and their files are the table's as they are. Nothing
 * shows before the manifest is swapped (`warehouse-tables.ts`): what a killed writer leaves are
 * objects that no manifest names.
 */
import { randomUUID } from 'node:crypto'
import { mkdir, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { assert, type BackhaulError } from '../runtime/errors.ts'
import type { DuckDbEngine } from './duckdb-engine.ts'
import {
  DATES_MAX,
  FILE_BYTES,
  FILES_PER_DATE_MAX,
  ROW_GROUP_ROWS,
  SMALL_FILE_BYTES,
} from './duckdb-limits.ts'
import { duckDbText, literal, quoted, quotedList } from './duckdb-statement.ts'
import { castSql, nullSql, pathsSql, type PlacedFile, rowsSql, sameSql } from './duckdb-tables.ts'
import { fits } from './duckdb-values.ts'
import type { ColumnSpec } from './table-spec.ts'
import type { InsertMissingRequest, ReplaceRowsRequest, Row, Select } from './warehouse.ts'
import { warehouseErrors } from './warehouse-errors.ts'
import type { Manifest, TableFile } from './warehouse-manifest.ts'
import type { WarehouseObjects } from './warehouse-objects.ts'

export interface TableWriterOptions {
  readonly engine: DuckDbEngine
  readonly objects: WarehouseObjects
  readonly folder: string
}

/** What a verb wants of the manifest; `undefined` when the table is so already. */
export interface TableChange {
  readonly added: readonly TableFile[]
  readonly removed: readonly TableFile[]
  readonly columnSets: readonly (readonly string[])[]
  readonly rowsRemoved: number
  readonly rowsInserted: number
}

export class TableWriter {
  readonly #engine: DuckDbEngine
  readonly #objects: WarehouseObjects
  readonly #folder: string
  readonly #manifest: Manifest
  readonly #added: TableFile[] = []
  readonly #removed: TableFile[] = []

  constructor(manifest: Manifest, { engine, objects, folder }: TableWriterOptions) {
    this.#manifest = manifest
    this.#engine = engine
    this.#objects = objects
    this.#folder = join(folder, 'written', randomUUID())
  }

  insertMissing(request: InsertMissingRequest): Promise<TableChange | undefined> {
    return this.#inFolder(async () => {
      const { select, dates, key } = request
      const incoming = await this.#sorted(await this.#inColumns(select), select.parameters)
      await this.#check(fromFiles(incoming), dates, key)
      const missing = await this.#missing(incoming, request)
      const counts = await this.#countsByDate(fromFiles(missing))
      const [only] = counts.keys()
      if (counts.size === 1 && only !== undefined && this.#smallFiles(only, []).length === 0)
        this.#added.push(...(await this.#uploaded(only, missing)))
      else
        for (const date of counts.keys())
          await this.#rewrite(
            date,
            [],
            `SELECT * FROM ${fromFiles(missing)} WHERE ${this.#isOf(date)}`,
          )
      return this.#change({ rowsRemoved: 0, rowsInserted: sumOf(counts.values()) })
    })
  }

  replaceRows(request: ReplaceRowsRequest): Promise<TableChange | undefined> {
    return this.#inFolder(async () => {
      const { select, dates } = request
      const incoming = await this.#written(await this.#inColumns(select), select.parameters)
      await this.#check(incoming, dates, this.#manifest.key)
      const scope = await this.#scope(request, incoming)
      const counts = await this.#countsByDate(incoming)
      const sums = { rowsRemoved: 0, rowsInserted: 0 }
      for (const date of dates) {
        const touched = await this.#touched(date, scope)
        const old = `SELECT l.* FROM (${rowsSql(this.#manifest, touched.files)}) l SEMI JOIN ${scope.table} r ON ${scope.same}`
        const fresh = `SELECT * FROM ${incoming} WHERE ${this.#isOf(date)}`
        if (await this.#same(old, fresh)) continue
        const kept = `SELECT l.* FROM (${rowsSql(this.#manifest, touched.files)}) l ANTI JOIN ${scope.table} r ON ${scope.same}`
        await this.#rewrite(
          date,
          touched.files.map(({ file }) => file),
          `${kept} UNION ALL ${fresh}`,
        )
        sums.rowsRemoved += touched.rows
        sums.rowsInserted += counts.get(date) ?? 0
      }
      return this.#change(sums)
    })
  }

  async #inFolder<Result>(action: () => Promise<Result>): Promise<Result> {
    await mkdir(this.#folder, { recursive: true })
    try {
      return await action()
    } finally {
      await rm(this.#folder, { recursive: true, force: true })
    }
  }

  #change(sums: { rowsRemoved: number; rowsInserted: number }): TableChange | undefined {
    if (this.#added.length === 0 && this.#removed.length === 0) return undefined
    return {
      added: this.#added,
      removed: this.#removed,
      columnSets: this.#columnSets().sets,
      ...sums,
    }
  }

  /** The files of `incoming`, or others without the rows that the table has already. */
  async #missing(
    incoming: readonly string[],
    { key, dates }: InsertMissingRequest,
  ): Promise<readonly string[]> {
    const existing = await this.#placed(this.#filesOf(dates))
    if (existing.length === 0) return incoming
    const known = `(${rowsSql(this.#manifest, existing)}) r ON ${sameSql(key)}`
    const [found] = await this.#engine.rows(
      `SELECT COUNT(*) AS n FROM ${fromFiles(incoming)} l SEMI JOIN ${known}`,
    )
    if (numberOf(found, 'n') === 0) return incoming
    return this.#sorted(`SELECT l.* FROM ${fromFiles(incoming)} l ANTI JOIN ${known}`)
  }

  /** The select's rows in the table's columns, as a select. */
  async #inColumns(select: Select): Promise<string> {
    const given = await this.#columnsOf(select)
    const columns = this.#manifest.columns.map((column) =>
      given.has(column.name) ? castSql(column) : nullSql(column),
    )
    return `SELECT ${columns.join(', ')} FROM (\n${duckDbText(select)}\n)`
  }

  async #columnsOf(select: Select): Promise<ReadonlySet<string>> {
    const known = new Map(this.#manifest.columns.map((column) => [column.name, column]))
    const given = new Set<string>()
    for (const { name, typeId, typeName } of await this.#engine.columns(select)) {
      const column = known.get(name)
      if (column === undefined) throw this.#invalid('a column of the table', name)
      if (!fits(typeId, column.type)) throw this.#invalid(`${name} of ${column.type}`, typeName)
      given.add(name)
    }
    return given
  }

  async #check(incoming: string, dates: readonly string[], key: readonly string[]): Promise<void> {
    assert(dates.length <= DATES_MAX, `at most ${DATES_MAX} dates`)
    for (const date of dates) assert(/^\d{4}-\d\d-\d\d$/.test(date), `a date: ${date}`)
    const required = this.#manifest.columns.filter((column) => column.required)
    const rules: readonly (readonly [expected: string, broken: string])[] = [
      ...required.map(({ name }) => [`a value of ${name}`, `${quoted(name)} IS NULL`] as const),
      [`a ${this.#manifest.partitionColumn} among the dates named`, `NOT (${this.#isIn(dates)})`],
    ]
    const counts = rules.map(([, broken], index) => `COUNT_IF(${broken}) AS c${index}`)
    const [found] = await this.#engine.rows(`SELECT ${counts.join(', ')} FROM ${incoming}`)
    for (const [index, [expected]] of rules.entries())
      if (numberOf(found, `c${index}`) > 0)
        throw this.#invalid(expected, `${numberOf(found, `c${index}`)} rows without`)
    const twice = await this.#engine.rows(
      `SELECT ${quotedList(key)} FROM ${incoming} GROUP BY ALL HAVING COUNT(*) > 1 LIMIT 1`,
    )
    if (twice[0] !== undefined)
      throw this.#invalid('each key once', JSON.stringify(twice[0], bigintAsText))
  }

  async #scope(request: ReplaceRowsRequest, incoming: string): Promise<Scope> {
    const columns = request.scope.map((name) => this.#column(name))
    const table = await this.#written(
      `SELECT DISTINCT ${columns.map(castSql).join(', ')} FROM (\n${duckDbText(request.scopeSelect)}\n)`,
      request.scopeSelect.parameters,
    )
    const same = sameSql(request.scope)
    const outside = await this.#engine.rows(
      `SELECT COUNT(*) AS n FROM ${incoming} l ANTI JOIN ${table} r ON ${same}`,
    )
    const count = numberOf(outside[0], 'n')
    if (count > 0) throw this.#invalid('rows of the scope only', `${count} rows outside`)
    return { table, same }
  }

  /** Files of the date that hold rows of the scope, and how many rows. */
  async #touched(date: string, scope: Scope): Promise<{ files: PlacedFile[]; rows: number }> {
    const files = await this.#placed(this.#filesOf([date]))
    if (files.length === 0) return { files: [], rows: 0 }
    const counts = files.map(
      (file, index) =>
        `SELECT ${index} AS i, COUNT(*) AS n FROM (${rowsSql(this.#manifest, [file])}) l SEMI JOIN ${scope.table} r ON ${scope.same}`,
    )
    const found = await this.#engine.rows(
      `SELECT i, n FROM (${counts.join(' UNION ALL ')}) WHERE n > 0`,
    )
    const touched = new Set(found.map((row) => numberOf(row, 'i')))
    return {
      files: files.filter((_, index) => touched.has(index)),
      rows: sumOf(found.map((row) => numberOf(row, 'n'))),
    }
  }

  async #same(left: string, right: string): Promise<boolean> {
    const different = await this.#engine.rows(
      `SELECT 1 AS n FROM ((${left}) EXCEPT ALL (${right})) UNION ALL
       SELECT 1 AS n FROM ((${right}) EXCEPT ALL (${left})) LIMIT 1`,
    )
    return different.length === 0
  }

  /** Writes the date's rows of `select` as new files in place of `replaced` and of small ones. */
  async #rewrite(date: string, replaced: readonly TableFile[], select: string): Promise<void> {
    const merged = this.#smallFiles(date, replaced)
    // What is written again must not carry damage on under a new checksum.
    for (const file of [...replaced, ...merged]) await this.#objects.verified(file)
    const rows =
      merged.length === 0
        ? select
        : `${select} UNION ALL ${rowsSql(this.#manifest, await this.#placed(merged))}`
    this.#added.push(...(await this.#uploaded(date, await this.#sorted(rows))))
    this.#removed.push(...replaced, ...merged)
  }

  /** Files of the date that are merged with the next one written, because they have become many. */
  #smallFiles(date: string, replaced: readonly TableFile[]): readonly TableFile[] {
    const others = this.#filesOf([date]).filter((file) => !replaced.includes(file))
    const small = others.filter(({ bytes }) => bytes < SMALL_FILE_BYTES)
    return others.length + 1 > FILES_PER_DATE_MAX && small.length > 1 ? small : []
  }

  /** Makes objects of the files, which hold rows of the date alone, and removes them. */
  async #uploaded(date: string, paths: readonly string[]): Promise<TableFile[]> {
    const { name, partitionColumn } = this.#manifest
    const place = { table: name, partition: `${partitionColumn}=${date}` }
    const added: TableFile[] = []
    for (const path of paths) {
      const rows = await this.#rowsIn(path)
      if (rows === 0) continue
      const uploaded = await this.#objects.upload(path, place)
      added.push({ ...uploaded, date, rows, columns: this.#columnSets().current })
      await rm(path)
    }
    return added
  }

  /** Writes the rows in the table's order into files of the session, as the table has them. */
  async #sorted(select: string, parameters?: Select['parameters']): Promise<readonly string[]> {
    const { partitionColumn, clusterColumns } = this.#manifest
    const order = [partitionColumn, ...clusterColumns.filter((name) => name !== partitionColumn)]
    const folder = join(this.#folder, randomUUID())
    await this.#engine.run(
      `COPY (SELECT * FROM (${select}) ORDER BY ${quotedList(order)})
       TO ${literal(folder)} (FORMAT parquet, COMPRESSION zstd,
       ROW_GROUP_SIZE ${ROW_GROUP_ROWS}, FILE_SIZE_BYTES ${FILE_BYTES})`,
      parameters,
    )
    const files = await readdir(folder)
    return files.toSorted().map((file) => join(folder, file))
  }

  async #rowsIn(path: string): Promise<number> {
    const sql = `SELECT num_rows FROM parquet_file_metadata(${literal(path)})`
    return numberOf((await this.#engine.rows(sql))[0], 'num_rows')
  }

  /** Writes the rows into a file of the session; resolves with how to read it in a FROM. */
  async #written(select: string, parameters?: Select['parameters']): Promise<string> {
    const path = literal(join(this.#folder, `${randomUUID()}.parquet`))
    await this.#engine.run(`COPY (${select}) TO ${path} (FORMAT parquet)`, parameters)
    return `read_parquet(${path}, hive_partitioning = false)`
  }

  async #countsByDate(rows: string): Promise<Map<string, number>> {
    const column = quoted(this.#manifest.partitionColumn)
    const counts = await this.#engine.rows(
      `SELECT CAST(${column} AS VARCHAR) AS date, COUNT(*) AS n FROM ${rows} GROUP BY ALL ORDER BY 1`,
    )
    return new Map(counts.map((row) => [String(row['date']), numberOf(row, 'n')]))
  }

  #filesOf(dates: readonly string[]): TableFile[] {
    return this.#manifest.files.filter(({ date }) => dates.includes(date))
  }

  #placed(files: readonly TableFile[]): Promise<PlacedFile[]> {
    return Promise.all(files.map(async (file) => ({ file, path: await this.#objects.path(file) })))
  }

  #columnSets(): { readonly sets: readonly (readonly string[])[]; readonly current: number } {
    const names = this.#manifest.columns.map(({ name }) => name)
    const sets = this.#manifest.columnSets
    const known = sets.findIndex((set) => set.join() === names.join())
    return known >= 0 ? { sets, current: known } : { sets: [...sets, names], current: sets.length }
  }

  #column(name: string): ColumnSpec {
    const column = this.#manifest.columns.find((candidate) => candidate.name === name)
    if (column === undefined) throw this.#invalid('a column of the table', name)
    return column
  }

  #isOf(date: string): string {
    return this.#isIn([date])
  }

  #isIn(dates: readonly string[]): string {
    const list = dates.map((date) => `DATE ${literal(date)}`)
    return list.length === 0
      ? 'false'
      : `${quoted(this.#manifest.partitionColumn)} IN (${list.join(', ')})`
  }

  #invalid(expected: string, received: string): BackhaulError {
    return warehouseErrors.create('WAREHOUSE_ROWS_INVALID', {
      expected: `${this.#manifest.name}: ${expected}`,
      received,
    })
  }
}

interface Scope {
  /** How to read the scope's rows in a FROM. */
  readonly table: string
  /** Whether a row `l` is in the scope `r`. */
  readonly same: string
}

/** How to read the rows of files of the session in a FROM. */
function fromFiles(paths: readonly string[]): string {
  return `read_parquet(${pathsSql(paths)}, hive_partitioning = false)`
}

function numberOf(row: Row | undefined, name: string): number {
  return Number(row?.[name] ?? 0)
}

function sumOf(counts: Iterable<number>): number {
  return [...counts].reduce((sum, count) => sum + count, 0)
}

function bigintAsText(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? value.toString() : value
}
