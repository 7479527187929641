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
import { unlessClosed } from './bigquery-closing.ts'
import { maximumBytesBilledOf, type BigQueryConfig } from './bigquery-config.ts'
import { BigQueryEstimate } from './bigquery-estimate.ts'
import { BigQueryJobs } from './bigquery-jobs.ts'
import { BigQueryPlace } from './bigquery-place.ts'
import { BigQueryQueries } from './bigquery-queries.ts'
import { BigQueryScratch } from './bigquery-scratch.ts'
import { BigQuerySession, type BigQuerySessionParts } from './bigquery-session.ts'
import { BigQueryUsage, createBigQueryTelemetry } from './bigquery-telemetry.ts'
import type { TableSpec } from './table-spec.ts'
import type {
  EstimatedSession,
  KnownColumns,
  Warehouse,
  WarehouseSession,
  WarehouseUsage,
} from './warehouse.ts'
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

/** What asks BigQuery. */
interface Askers {
  readonly jobs: BigQueryJobs
  readonly queries: BigQueryQueries
  readonly catalog: BigQueryCatalog
}

/** What asks for a session. */
type SessionAskers = Pick<BigQuerySessionParts, 'jobs' | 'queries' | 'catalog' | 'scratch'>

/** An estimate is of work that nobody has done before. */
const NOTHING_DONE = { done: () => Promise.resolve(undefined) }

class BigQueryWarehouse implements Warehouse {
  readonly #options: BigQueryWarehouseOptions
  readonly #api: BigQueryApi
  readonly #place: BigQueryPlace
  readonly #usage: BigQueryUsage
  readonly #closing = new AbortController()
  readonly #own: Askers
  readonly #sessions = new Set<WarehouseSession>()

  constructor(options: BigQueryWarehouseOptions) {
    const { config, telemetry } = options
    this.#options = options
    this.#api = new BigQueryApi({ ...config, client: new CloudClient(config) })
    this.#place = new BigQueryPlace(config)
    this.#usage = new BigQueryUsage(telemetry && createBigQueryTelemetry(telemetry))
    this.#own = this.#askers(this.#closing.signal)
  }

  check(): Promise<void> {
    return this.#checkDataset(this.#place.dataset)
  }

  ensureTables(tables: readonly TableSpec[]): Promise<void> {
    return unlessClosed(this.#closing.signal, async () => {
      await this.#checkDataset(this.#place.staging)
      await this.#own.catalog.ensure(tables)
    })
  }

  async open(): Promise<WarehouseSession> {
    const { bucket, clock, random } = this.#options
    const { session } = await this.#open((askers) => {
      const sessionId = random.uuid().replaceAll('-', '')
      const parts = { ...askers, api: this.#api, place: this.#place, clock, bucket, sessionId }
      return { ...askers, scratch: new BigQueryScratch(parts) }
    })
    return session
  }

  async openEstimate(known: KnownColumns): Promise<EstimatedSession> {
    const bytesBilledMax = maximumBytesBilledOf(this.#options.config)
    const { session, parts } = await this.#open(({ jobs, queries }) => {
      const estimating = new BigQueryEstimate(queries, known)
      const { scratch } = estimating
      return { jobs, queries: estimating.queries, scratch, catalog: NOTHING_DONE, estimating }
    })
    return {
      session,
      get estimate() {
        return { ...parts.estimating.read, bytesBilledMax }
      },
    }
  }

  usage(): WarehouseUsage {
    return this.#usage.total
  }

  async close(): Promise<void> {
    this.#closing.abort()
    await Promise.all([...this.#sessions].map((session) => session.close()))
  }

  /** A session that asks by what `partsOf` makes. */
  async #open<Parts extends SessionAskers>(
    partsOf: (askers: Askers) => Parts,
  ): Promise<{ readonly session: WarehouseSession; readonly parts: Parts }> {
    const snapshot = await unlessClosed(this.#closing.signal, () => this.#own.catalog.snapshot())
    const closing = new AbortController()
    const parts = partsOf(this.#askers(closing.signal))
    const session = new BigQuerySession({
      ...parts,
      place: this.#place,
      clock: this.#options.clock,
      snapshot,
      closing,
      onClosed: () => this.#sessions.delete(session),
    })
    this.#sessions.add(session)
    return { session, parts }
  }

  /** Of the warehouse, or of one session: whatever they have under way ends with the signal. */
  #askers(signal: AbortSignal): Askers {
    const { config, clock, random } = this.#options
    const { project, dataset } = config
    const [api, place] = [this.#api, this.#place]
    const maximumBytesBilled = maximumBytesBilledOf(config)
    const bounds = { api, clock, random, maximumBytesBilled, telemetry: this.#usage }
    const jobs = new BigQueryJobs({ ...bounds, project, signal })
    const queries = new BigQueryQueries({ ...bounds, jobs, resource: `${project}.${dataset}` })
    const catalog = new BigQueryCatalog({ api, jobs, queries, place, random })
    return { jobs, queries, catalog }
  }

  /** An absent dataset must not pass for one without tables. */
  async #checkDataset(name: string): Promise<void> {
    const resource = `${this.#place.project}.${name}`
    const operation = { resource, permission: 'bigquery.datasets.get' }
    try {
      await this.#own.jobs.ask(operation, () => this.#api.dataset(name))
    } catch (error) {
      if (!isAbsent(error)) throw error
      throw warehouseErrors.create('WAREHOUSE_DATASET_MISSING', {
        expected: `the dataset ${resource} to exist`,
        received: 'none of this name',
        cause: error,
      })
    }
  }
}
