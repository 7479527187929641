/**
 * The warehouse on BigQuery: two datasets, one of the tables and one of what runs write in between.
 * Any number of processes read and write it; a write has one winner (`bigquery-table-writer.ts`).
 * Files to load are objects of a bucket. Why it stands on the plain API: decision 0031.
 */
import { CloudClient } from '../cloud/cloud-client.ts'
import type { Clock } from '../runtime/clock.ts'
import type { Random } from '../runtime/random.ts'
import type { TelemetryBase } from '../runtime/telemetry.ts'
import { BigQueryApi } from './bigquery-api.ts'
import { BigQueryCatalog, isAbsent } from './bigquery-catalog.ts'
import { maximumBytesBilledOf, type BigQueryConfig } from './bigquery-config.ts'
import { BigQueryJobs } from './bigquery-jobs.ts'
import { BigQueryPlace } from './bigquery-place.ts'
import { BigQueryQueries } from './bigquery-queries.ts'
import { BigQueryScratch } from './bigquery-scratch.ts'
import { BigQuerySession } from './bigquery-session.ts'
import { createBigQueryTelemetry } from './bigquery-telemetry.ts'
import type { TableSpec } from './table-spec.ts'
import type { Warehouse, WarehouseSession } from './warehouse.ts'
import { warehouseErrors } from './warehouse-errors.ts'

export interface BigQueryWarehouseOptions {
  readonly config: BigQueryConfig
  /** Where the objects are that are loaded. */
  readonly bucket: string
  readonly clock: Clock
  readonly random: Random
  readonly telemetry?: TelemetryBase
}

/** Opens the warehouse; throws at once when its dataset is missing or must not be read. */
export async function openBigQueryWarehouse(options: BigQueryWarehouseOptions): Promise<Warehouse> {
  const warehouse = new BigQueryWarehouse(options)
  await warehouse.check()
  return warehouse
}

class BigQueryWarehouse implements Warehouse {
  readonly #options: BigQueryWarehouseOptions
  readonly #api: BigQueryApi
  readonly #jobs: BigQueryJobs
  readonly #queries: BigQueryQueries
  readonly #catalog: BigQueryCatalog
  readonly #place: BigQueryPlace
  readonly #sessions = new Set<WarehouseSession>()
  #closed = false

  constructor(options: BigQueryWarehouseOptions) {
    const { config, clock, random } = options
    const { project } = config
    const telemetry = options.telemetry && createBigQueryTelemetry(options.telemetry)
    const maximumBytesBilled = maximumBytesBilledOf(config)
    this.#options = options
    this.#place = new BigQueryPlace(config)
    const api = new BigQueryApi({ ...config, client: new CloudClient(config) })
    const jobs = new BigQueryJobs({ api, project, clock, random, maximumBytesBilled, telemetry })
    const resource = `${project}.${config.dataset}`
    const bounds = { clock, random, maximumBytesBilled, telemetry }
    const queries = new BigQueryQueries({ api, jobs, resource, ...bounds })
    this.#catalog = new BigQueryCatalog({ api, jobs, queries, place: this.#place, random })
    this.#api = api
    this.#jobs = jobs
    this.#queries = queries
  }

  check(): Promise<void> {
    return this.#checkDataset(this.#place.dataset)
  }

  async ensureTables(tables: readonly TableSpec[]): Promise<void> {
    this.#assertOpen()
    await this.#checkDataset(this.#place.staging)
    await this.#catalog.ensure(tables)
  }

  async open(): Promise<WarehouseSession> {
    this.#assertOpen()
    const { clock } = this.#options
    const parts = { api: this.#api, jobs: this.#jobs, place: this.#place, clock }
    const sessionId = this.#options.random.uuid().replaceAll('-', '')
    const session = new BigQuerySession({
      ...parts,
      queries: this.#queries,
      catalog: this.#catalog,
      snapshot: await this.#catalog.snapshot(),
      scratch: new BigQueryScratch({ ...parts, bucket: this.#options.bucket, sessionId }),
      onClosed: () => this.#sessions.delete(session),
    })
    this.#sessions.add(session)
    return session
  }

  async close(): Promise<void> {
    this.#closed = true
    await Promise.all([...this.#sessions].map((session) => session.close()))
  }

  /** An absent dataset must not pass for one without tables. */
  async #checkDataset(name: string): Promise<void> {
    const resource = `${this.#place.project}.${name}`
    const operation = { resource, permission: 'bigquery.datasets.get' }
    try {
      await this.#jobs.ask(operation, () => this.#api.dataset(name))
    } catch (error) {
      if (!isAbsent(error)) throw error
      throw warehouseErrors.create('WAREHOUSE_DATASET_MISSING', {
        expected: `the dataset ${resource} to exist`,
        received: 'none of this name',
        cause: error,
      })
    }
  }

  #assertOpen(): void {
    if (this.#closed) throw warehouseErrors.create('WAREHOUSE_CLOSED')
  }
}
