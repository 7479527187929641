/**
 * What a dataset of BigQuery does not say of its tables, in two tables of its own:
 * `warehouse_tables` has each table's spec and the version of its rows, which a write changes in its
 * own transaction, and `warehouse_jobs` what writes have done. They are to BigQuery what a manifest
 * is to tables of files.
 */
import { z } from 'zod'
import { CloudError } from '../cloud/cloud-failure.ts'
import { BackhaulError } from '../runtime/errors.ts'
import type { Random } from '../runtime/random.ts'
import type { BigQueryApi, BigQueryField, BigQueryTable } from './bigquery-api.ts'
import type { BigQueryJobs } from './bigquery-jobs.ts'
import { PATCH_TRIES } from './bigquery-limits.ts'
import { versionSql, type BigQueryPlace, type MomentUs } from './bigquery-place.ts'
import type { BigQueryQueries } from './bigquery-queries.ts'
import { literal } from './bigquery-statement.ts'
import { fieldType } from './bigquery-values.ts'
import { nullable, required, type ColumnSpec, type TableSpec } from './table-spec.ts'
import { warehouseErrors } from './warehouse-errors.ts'

export interface CatalogEntry {
  readonly spec: TableSpec
  /** Of the rows and columns: another after each write. */
  readonly version: string
}

export interface Snapshot {
  readonly momentUs: MomentUs
  /** Ascending by name. */
  readonly entries: ReadonlyMap<string, CatalogEntry>
}

export interface WriteResult {
  readonly removed: number
  readonly inserted: number
}

export const TABLES = 'warehouse_tables'
export const JOBS = 'warehouse_jobs'

const OWN_TABLES: readonly Pick<TableSpec, 'name' | 'description' | 'columns'>[] = [
  {
    name: TABLES,
    description: 'What Backhaul knows of the tables of this dataset. Not to be changed by hand.',
    columns: [
      required('name', 'STRING', 'Name of a table.'),
      required('spec', 'STRING', 'Its columns, key and order, as JSON.'),
      required('version', 'STRING', 'Changes with each write of the table.'),
      required('changed_at', 'TIMESTAMP', 'When its columns changed last.'),
    ],
  },
  {
    name: JOBS,
    description: 'What writes of tables have done, so that a repeat is answered and not done.',
    columns: [
      required('table_name', 'STRING', 'Name of the table written.'),
      required('job_id', 'STRING', 'The id under which the write was asked for.'),
      nullable('removed', 'INT64', 'Rows that went.'),
      nullable('inserted', 'INT64', 'Rows that came.'),
      nullable('written_at', 'TIMESTAMP', 'When.'),
    ],
  },
]

const columnSchema = z.object({
  name: z.string(),
  type: z.enum(['STRING', 'INT64', 'FLOAT64', 'BOOL', 'DATE', 'TIMESTAMP']),
  required: z.boolean(),
  description: z.string(),
})
const specSchema = z.object({
  name: z.string(),
  description: z.string(),
  columns: z.array(columnSchema),
  partitionColumn: z.string(),
  key: z.array(z.string()),
  clusterColumns: z.array(z.string()),
})

export interface BigQueryCatalogParts {
  readonly api: BigQueryApi
  readonly jobs: BigQueryJobs
  readonly queries: BigQueryQueries
  readonly place: BigQueryPlace
  readonly random: Random
}

export class BigQueryCatalog {
  readonly #parts: BigQueryCatalogParts

  constructor(parts: BigQueryCatalogParts) {
    this.#parts = parts
  }

  /**
   * What is there at a moment that has just passed; a dataset without tables of ours is an empty one.
   * The moment is asked for before: versions that are younger than it would let a session write over
   * rows that it cannot see.
   */
  async snapshot(): Promise<Snapshot> {
    const { queries, place } = this.#parts
    const [now] = await queries.rows({
      sql: 'SELECT UNIX_MICROS(CURRENT_TIMESTAMP()) AS now_us',
    })
    const momentUs = BigInt(String(now?.['now_us']))
    const sql = `SELECT name, MAX(spec) AS spec, ${versionSql} AS version
      FROM ${place.tableAt(TABLES, momentUs)} GROUP BY name ORDER BY name`
    const rows = await queries.rows({ sql }).catch((error: unknown) => {
      if (!isAbsent(error)) throw error
      return []
    })
    const entries = rows.map(({ name, spec, version }): [string, CatalogEntry] => [
      String(name),
      { spec: specSchema.parse(JSON.parse(String(spec))), version: String(version) },
    ])
    return { momentUs, entries: new Map(entries) }
  }

  /**
   * The result of a write under this id that the table remembered at the moment. One that came later
   * is none of a session that cannot see its rows.
   */
  async done(
    { spec: { name }, momentUs }: CatalogEntry & { readonly momentUs: MomentUs },
    jobId: string,
  ): Promise<WriteResult | undefined> {
    const { queries, place } = this.#parts
    const [row] = await queries.rows({
      sql: `SELECT removed, inserted FROM ${place.tableAt(JOBS, momentUs)} WHERE table_name = ${literal(name)} AND job_id = ${literal(jobId)} ORDER BY written_at LIMIT 1`,
    })
    return row && { removed: Number(row['removed']), inserted: Number(row['inserted']) }
  }

  /** Creates what is missing and adds columns; never changes a type. */
  async ensure(tables: readonly TableSpec[]): Promise<void> {
    for (const own of OWN_TABLES) await this.#ensureTable(own)
    const { entries } = await this.snapshot()
    const changed: TableSpec[] = []
    for (const table of tables) {
      const columns = await this.#ensureTable(table)
      const known = entries.get(table.name)?.spec
      if (known === undefined || !sameShape(known, { ...table, columns }))
        changed.push({ ...table, columns })
    }
    if (changed.length > 0) await this.#record(changed)
  }

  async #ensureTable(
    table: Pick<TableSpec, 'name' | 'description' | 'columns'> & Partial<TableSpec>,
  ): Promise<readonly ColumnSpec[]> {
    for (let tries = 1; ; tries += 1)
      try {
        const found = await this.#find(table.name)
        if (found !== undefined) return await this.#addColumns(table, found)
        await this.#create(table)
        return table.columns
      } catch (error) {
        // Another process was first: the second look finds what it has made.
        if (!isConflict(error) || tries === PATCH_TRIES) throw error
      }
  }

  async #find(name: string): Promise<BigQueryTable | undefined> {
    const { api, place } = this.#parts
    try {
      return await this.#ask(name, 'bigquery.tables.get', () => api.table(place.dataset, name))
    } catch (error) {
      if (isAbsent(error)) return undefined
      throw error
    }
  }

  async #create(
    table: Pick<TableSpec, 'name' | 'description' | 'columns'> & Partial<TableSpec>,
  ): Promise<void> {
    const { api, place } = this.#parts
    const { name, description, columns, partitionColumn, clusterColumns = [] } = table
    const body = {
      tableReference: { projectId: place.project, datasetId: place.dataset, tableId: name },
      description,
      labels: { app: 'backhaul' },
      schema: { fields: columns.map(fieldOf) },
      ...(partitionColumn && { timePartitioning: { type: 'DAY', field: partitionColumn } }),
      ...(clusterColumns.length > 0 && {
        clustering: { fields: clusterColumns.slice(0, CLUSTER_COLUMNS_MAX) },
      }),
    }
    await this.#ask(name, 'bigquery.tables.create', () => api.createTable(place.dataset, body))
  }

  /** Resolves with the columns that the table has then. */
  async #addColumns(
    table: Pick<TableSpec, 'name' | 'columns'>,
    found: BigQueryTable,
  ): Promise<readonly ColumnSpec[]> {
    const { api, place } = this.#parts
    const known = new Map(found.fields.map((field) => [field.name, field]))
    const missing = table.columns.filter(({ name }) => !known.has(name))
    for (const { name, type, required: isRequired } of table.columns) {
      const field = known.get(name)
      const received = field === undefined ? undefined : (fieldType(field) ?? field.type)
      if (field === undefined ? isRequired : received !== type)
        throw warehouseErrors.create('WAREHOUSE_TABLE_MISMATCH', {
          expected: `${table.name}.${name} of ${type}`,
          received: received ?? 'a table that is there, without the required column',
        })
    }
    const fields = [...found.fields, ...missing.map(fieldOf)]
    if (missing.length > 0)
      await this.#ask(table.name, 'bigquery.tables.update', () =>
        api.patchTable(place.dataset, table.name, found.etag, { schema: { fields } }),
      )
    const own = new Set(table.columns.map(({ name }) => name))
    return [...table.columns, ...found.fields.filter(({ name }) => !own.has(name)).map(columnOf)]
  }

  /** New columns are a new version: a session that writes by the old ones begins anew. */
  async #record(tables: readonly TableSpec[]): Promise<void> {
    const { jobs, place, random } = this.#parts
    const rows = tables.map(
      (table) =>
        `SELECT ${literal(table.name)} AS name, ${literal(JSON.stringify(specSchema.parse(table)))} AS spec, ${literal(random.uuid())} AS version`,
    )
    const query = `MERGE ${place.table(TABLES)} AS t USING (${rows.join(' UNION ALL ')}) AS s ON t.name = s.name
      WHEN MATCHED THEN UPDATE SET spec = s.spec, version = s.version, changed_at = CURRENT_TIMESTAMP()
      WHEN NOT MATCHED THEN INSERT (name, spec, version, changed_at) VALUES (s.name, s.spec, s.version, CURRENT_TIMESTAMP())`
    await jobs.run({
      id: place.jobId('ensure', TABLES, random.uuid()),
      verb: 'ensure',
      configuration: { query: { query } },
      operation: { resource: place.table(TABLES), permission: 'bigquery.tables.updateData' },
    })
  }

  #ask<Result>(name: string, permission: string, request: () => Promise<Result>): Promise<Result> {
    const { jobs, place } = this.#parts
    return jobs.ask({ resource: place.table(name), permission }, request)
  }
}

/** BigQuery clusters by no more. */
const CLUSTER_COLUMNS_MAX = 4

/** Whether an answer says that a table, and not its dataset, is not there. */
export function isAbsent(error: unknown): boolean {
  return (
    error instanceof BackhaulError &&
    error.code === 'WAREHOUSE_QUERY_INVALID' &&
    error.cause instanceof CloudError &&
    error.cause.failure.kind === 'absent'
  )
}

function isConflict(error: unknown): boolean {
  if (!(error instanceof BackhaulError) || !(error.cause instanceof CloudError)) return false
  const { status } = error.cause.failure
  return status === 409 || status === 412
}

function fieldOf({ name, type, required: isRequired, description }: ColumnSpec): BigQueryField {
  return { name, type, mode: isRequired ? 'REQUIRED' : 'NULLABLE', description }
}

/** A column that a newer program has added. */
function columnOf(field: BigQueryField): ColumnSpec {
  const type = fieldType(field)
  if (type === undefined)
    throw warehouseErrors.create('WAREHOUSE_TABLE_MISMATCH', {
      expected: `${field.name} of a type that rows may have`,
      received: field.type,
    })
  const make = field.mode === 'REQUIRED' ? required : nullable
  return make(field.name, type, field.description ?? '')
}

function sameShape(left: TableSpec, right: TableSpec): boolean {
  const shape = ({ columns, key, partitionColumn }: TableSpec) =>
    JSON.stringify([
      columns.map((column) => `${column.name} ${column.type} ${column.required}`).toSorted(),
      key,
      partitionColumn,
    ])
  return shape(left) === shape(right)
}
