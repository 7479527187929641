/**
 * Tables that a run writes in between, in the staging dataset. Those of a session bear its name and
 * go with it; a load's table bears the name of what was loaded, so that a repeat of the load, by
 * whichever process, finds it. What is left over expires, because all tables of that dataset do.
 */
import type { Clock } from '../runtime/clock.ts'
import { BackhaulError } from '../runtime/errors.ts'
import { warehouseErrors } from './warehouse-errors.ts'
import type { BigQueryApi, JobError } from './bigquery-api.ts'
import { isAbsent } from './bigquery-catalog.ts'
import type { BigQueryJobs } from './bigquery-jobs.ts'
import { LOAD_KEEP_MS } from './bigquery-limits.ts'
import { hashOf, nullSql, type BigQueryPlace } from './bigquery-place.ts'
import type { BigQueryText } from './bigquery-queries.ts'
import type { ColumnSpec } from './table-spec.ts'
import type { LoadRequest } from './warehouse.ts'

export interface BigQueryScratchParts {
  readonly api: BigQueryApi
  readonly jobs: BigQueryJobs
  readonly place: BigQueryPlace
  readonly clock: Clock
  /** Where the objects are that are loaded. */
  readonly bucket: string
  /** Of the session; no other has it. */
  readonly sessionId: string
}

export class BigQueryScratch {
  readonly #parts: BigQueryScratchParts
  /** Where the rows of each scratch table are. */
  readonly #places = new Map<string, string>()
  readonly #own = new Set<string>()
  #statements = 0

  constructor(parts: BigQueryScratchParts) {
    this.#parts = parts
  }

  get names(): ReadonlyMap<string, string> {
    return this.#places
  }

  /** Makes or replaces a table of the session; resolves with its full name. */
  async make(name: string, { sql, parameters = [] }: BigQueryText): Promise<string> {
    const { place } = this.#parts
    const table = `s_${this.#parts.sessionId}_${name}`
    this.#own.add(table)
    const query = `CREATE OR REPLACE TABLE ${place.staged(table)} AS\n${sql}`
    await this.#run('scratch', table, { sql: query, parameters })
    return place.staged(table)
  }

  /** As `make`, to be read by its plain name. */
  async makeNamed(name: string, text: BigQueryText): Promise<void> {
    this.#places.set(name, await this.make(name, text))
  }

  async append(name: string, columns: readonly string[], text: BigQueryText): Promise<void> {
    const list = columns.map((column) => `\`${column}\``).join(', ')
    const query = `INSERT INTO ${this.#places.get(name)} (${list})\n${text.sql}`
    await this.#run('append', name, { ...text, sql: query })
  }

  /** Resolves with how many rows the files hold. */
  async load(request: LoadRequest): Promise<number> {
    const { scratch, objects, columns } = request
    if (objects.length > 0) return this.#load(request)
    const sql = `SELECT ${columns.map(nullSql).join(', ')} LIMIT 0`
    await this.makeNamed(scratch, { sql })
    return 0
  }

  async drop(): Promise<void> {
    const { api, place } = this.#parts
    await Promise.allSettled([...this.#own].map((table) => api.deleteTable(place.staging, table)))
  }

  async #load({ scratch, objects, columns, jobId }: LoadRequest): Promise<number> {
    const { jobs, place, bucket } = this.#parts
    const work = [jobId, ...objects, ...columns.map(({ name, type }) => `${name} ${type}`)]
    const table = `load_${hashOf([place.dataset, bucket, ...work])}`
    const operation = { resource: place.staged(table), permission: 'bigquery.tables.create' }
    const job = await jobs.run({
      id: place.jobId('load', ...([scratch, ...work] as [string, ...string[]])),
      verb: 'load',
      configuration: {
        load: {
          sourceUris: objects.map((object) => `gs://${bucket}/${object}`),
          sourceFormat: 'PARQUET',
          schema: { fields: columns.map(({ name, type }) => ({ name, type, mode: 'NULLABLE' })) },
          ignoreUnknownValues: true,
          writeDisposition: 'WRITE_TRUNCATE',
          destinationTable: {
            projectId: place.project,
            datasetId: place.staging,
            tableId: table,
          },
        },
      },
      operation,
      // Its table expires sooner than BigQuery forgets the job.
      stands: () => this.#keep(table),
      failure: (error) => loadFailure(error, { bucket, scratch, objects, columns }),
    })
    this.#places.set(scratch, place.staged(table))
    return job.loadedRows ?? 0
  }

  /** Lets a table that is there outlive the session; resolves with whether it is. */
  async #keep(table: string): Promise<boolean> {
    const { api, jobs, place, clock } = this.#parts
    const ask = <Result>(permission: string, request: () => Promise<Result>) =>
      jobs.ask({ resource: place.staged(table), permission }, request)
    try {
      const found = await ask('bigquery.tables.get', () => api.table(place.staging, table))
      const untilMs = clock.nowMs() + LOAD_KEEP_MS
      if (found.expirationMs === undefined || found.expirationMs >= untilMs) return true
      await ask('bigquery.tables.update', () =>
        api.patchTable(place.staging, table, found.etag, { expirationTime: `${untilMs}` }),
      )
      return true
    } catch (error) {
      if (isAbsent(error)) return false
      // Another session has found it at the same time, and keeps it.
      if (error instanceof BackhaulError && error.code === 'WAREHOUSE_CONFLICT') return true
      throw error
    }
  }

  async #run(verb: string, table: string, { sql, parameters = [] }: BigQueryText): Promise<void> {
    const { jobs, place, sessionId } = this.#parts
    this.#statements += 1
    await jobs.run({
      id: place.jobId(verb, table, sessionId, `${this.#statements}`),
      verb,
      configuration: {
        query: {
          query: sql,
          ...(parameters.length > 0 && { parameterMode: 'NAMED', queryParameters: parameters }),
        },
      },
      operation: { resource: place.staged(table), permission: 'bigquery.tables.create' },
    })
  }
}

interface Load {
  readonly bucket: string
  readonly scratch: string
  readonly objects: readonly string[]
  readonly columns: readonly ColumnSpec[]
}

const OTHER_TYPE = /column '?(\w+)'? has type (\w+),? which does not match/i

/** What is wrong with which file, as far as BigQuery says it. */
function loadFailure(
  { reason, message, location = '' }: JobError,
  { bucket, scratch, objects, columns }: Load,
): BackhaulError | undefined {
  const prefix = `gs://${bucket}/`
  const said = `${message} ${location}`
  const named = objects.filter((object) => said.includes(`${prefix}${object}`))
  const files = (named.length > 0 ? named : objects).map((object) => `${prefix}${object}`)
  const list = files.slice(0, FILES_NAMED_MAX).join(', ')
  if (reason === 'notFound' && /URI|gs:\/\//.test(message))
    return warehouseErrors.create('WAREHOUSE_FILE_MISSING', { expected: list, received: message })
  const [, name, received = ''] = OTHER_TYPE.exec(message) ?? []
  const type = columns.find((column) => column.name === name)?.type
  if (type !== undefined)
    return warehouseErrors.create('WAREHOUSE_TABLE_MISMATCH', {
      expected: `${scratch}.${name} of ${type}`,
      received,
    })
  if (reason !== 'invalid') return undefined
  const expected = `${list} in Parquet`
  return warehouseErrors.create('WAREHOUSE_FILE_DAMAGED', { expected, received: message })
}

const FILES_NAMED_MAX = 5
