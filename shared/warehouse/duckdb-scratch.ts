/** Scratch tables of a session: tables in memory, which spill, or views over staging files. */
import { assert } from '../runtime/errors.ts'
import { type DuckDbEngine, UnreadableFile } from './duckdb-engine.ts'
import { duckDbText, literal, quoted } from './duckdb-statement.ts'
import { castSql, nullSql, pathsSql } from './duckdb-tables.ts'
import { fits } from './duckdb-values.ts'
import type { ColumnSpec } from './table-spec.ts'
import type { LoadRequest, Select } from './warehouse.ts'
import { warehouseErrors } from './warehouse-errors.ts'
import type { WarehouseObjects } from './warehouse-objects.ts'

/** A name that no scratch table may have. */
const NEXT = '_next'

export class ScratchTables {
  readonly #engine: DuckDbEngine
  readonly #objects: WarehouseObjects
  readonly #kinds = new Map<string, 'TABLE' | 'VIEW'>()

  constructor(engine: DuckDbEngine, objects: WarehouseObjects) {
    this.#engine = engine
    this.#objects = objects
  }

  /** The select may read the table that it replaces. */
  async make(name: string, select: Select): Promise<void> {
    await this.#engine.columns(select)
    await this.#engine.run(`DROP TABLE IF EXISTS ${NEXT}`)
    await this.#engine.run(
      `CREATE TABLE ${NEXT} AS SELECT * FROM (\n${duckDbText(select)}\n)`,
      select.parameters,
    )
    await this.#drop(name)
    await this.#engine.run(`ALTER TABLE ${NEXT} RENAME TO ${quoted(name)}`)
    this.#kinds.set(name, 'TABLE')
  }

  async append(name: string, select: Select): Promise<void> {
    assert(this.#kinds.get(name) === 'TABLE', `a scratch table made of a select: ${name}`)
    await this.#engine.columns(select)
    await this.#engine.run(
      `INSERT INTO ${quoted(name)} BY NAME SELECT * FROM (\n${duckDbText(select)}\n)`,
      select.parameters,
    )
  }

  /** Resolves with how many rows the files hold. */
  async load({ scratch, objects, columns }: LoadRequest): Promise<number> {
    const paths: string[] = []
    let rows = 0
    for (const object of objects) {
      const path = await this.#objects.staged(object)
      rows += await this.#rowsIn(object, path)
      paths.push(path)
    }
    const held = paths.length === 0 ? new Set<string>() : await this.#held(scratch, paths, columns)
    const values = columns.map((column) =>
      held.has(column.name) ? castSql(column) : nullSql(column),
    )
    const source =
      paths.length === 0
        ? 'WHERE false'
        : `FROM read_parquet(${pathsSql(paths)}, union_by_name = true, hive_partitioning = false)`
    await this.#drop(scratch)
    await this.#engine.run(
      `CREATE VIEW ${quoted(scratch)} AS SELECT ${values.join(', ')} ${source}`,
    )
    this.#kinds.set(scratch, 'VIEW')
    return rows
  }

  async #rowsIn(object: string, path: string): Promise<number> {
    try {
      const sql = `SELECT num_rows AS n FROM parquet_file_metadata(${literal(path)})`
      return Number((await this.#engine.rows(sql))[0]?.['n'] ?? 0)
    } catch (cause) {
      if (!(cause instanceof UnreadableFile)) throw cause
      throw warehouseErrors.create('WAREHOUSE_FILE_DAMAGED', {
        expected: `${object} in Parquet`,
        received: cause.message,
        cause,
      })
    }
  }

  /** Names of the columns that the files hold; refuses another type. */
  async #held(
    scratch: string,
    paths: readonly string[],
    columns: readonly ColumnSpec[],
  ): Promise<ReadonlySet<string>> {
    const found = await this.#engine.columns({
      sql: `SELECT * FROM read_parquet(${pathsSql(paths)}, union_by_name = true, hive_partitioning = false)`,
    })
    for (const { name, type } of columns) {
      const column = found.find((candidate) => candidate.name === name)
      if (column !== undefined && !fits(column.typeId, type))
        throw warehouseErrors.create('WAREHOUSE_TABLE_MISMATCH', {
          expected: `${scratch}.${name} of ${type}`,
          received: column.typeName,
        })
    }
    return new Set(found.map(({ name }) => name))
  }

  async #drop(name: string): Promise<void> {
    const kind = this.#kinds.get(name)
    if (kind !== undefined) await this.#engine.run(`DROP ${kind} ${quoted(name)}`)
  }
}
