/** The calls of the REST API of BigQuery about datasets and the expiry of tables, each one request. */
import { z } from 'zod'
import type { CloudClient } from '../../shared/cloud/cloud-client.ts'
import { isCloudFailure } from '../../shared/cloud/cloud-failure.ts'
import { initFailure } from './errors.ts'

/** What never expires has none, or `null`. */
const expirationSchema = z.coerce
  .number()
  .nullish()
  .transform((ms) => ms ?? undefined)

const datasetSchema = z.object({
  location: z.string().optional(),
  labels: z.record(z.string(), z.string()).default({}),
  defaultTableExpirationMs: expirationSchema,
  defaultPartitionExpirationMs: expirationSchema,
})

const partitioningSchema = z.looseObject({
  type: z.string(),
  expirationMs: expirationSchema,
})

const tableSchema = z.object({
  timePartitioning: partitioningSchema.optional(),
  labels: z.record(z.string(), z.string()).default({}),
})

export type Dataset = z.infer<typeof datasetSchema>
export type DatasetTable = z.infer<typeof tableSchema>

export interface DatasetApiOptions {
  readonly client: CloudClient
  readonly endpoint: string
  readonly project: string
}

export class DatasetApi {
  readonly #client: CloudClient
  readonly #project: string
  readonly #url: string

  constructor({ client, endpoint, project }: DatasetApiOptions) {
    this.#client = client
    this.#project = project
    this.#url = `${endpoint.replace(/\/$/, '')}/bigquery/v2/projects/${project}/datasets`
  }

  /** `undefined` when there is none of the name. */
  async read(dataset: string): Promise<Dataset | undefined> {
    const found = await this.#readIfPresent(this.#named(dataset), dataset, 'bigquery.datasets.get')
    return found === undefined ? undefined : datasetSchema.parse(found)
  }

  async create(dataset: string, fields: object): Promise<void> {
    const datasetReference = { projectId: this.#project, datasetId: dataset }
    const body = { datasetReference, ...fields }
    await this.#send({ method: 'POST', url: this.#url, body }, dataset, 'bigquery.datasets.create')
  }

  async change(dataset: string, fields: object): Promise<void> {
    const request = { method: 'PATCH', url: this.#named(dataset), body: fields } as const
    await this.#send(request, dataset, 'bigquery.datasets.update')
  }

  async readTable(dataset: string, table: string): Promise<DatasetTable | undefined> {
    const url = `${this.#named(dataset)}/tables/${table}`
    const found = await this.#readIfPresent(url, `${dataset}.${table}`, 'bigquery.tables.get')
    return found === undefined ? undefined : tableSchema.parse(found)
  }

  async changeTable(dataset: string, table: string, fields: object): Promise<void> {
    const url = `${this.#named(dataset)}/tables/${table}`
    const request = { method: 'PATCH', url, body: fields } as const
    await this.#send(request, `${dataset}.${table}`, 'bigquery.tables.update')
  }

  #named(dataset: string): string {
    return `${this.#url}/${dataset}`
  }

  async #readIfPresent(url: string, name: string, permission: string): Promise<unknown> {
    try {
      return await this.#client.json({ method: 'GET', url })
    } catch (error) {
      if (isCloudFailure(error, 'absent')) return undefined
      throw this.#failure(error, name, permission)
    }
  }

  async #send(
    { method, url, body }: { method: 'POST' | 'PATCH'; url: string; body: object },
    name: string,
    permission: string,
  ): Promise<void> {
    const headers = { 'content-type': 'application/json' }
    try {
      await this.#client.json({ method, url, headers, body: Buffer.from(JSON.stringify(body)) })
    } catch (error) {
      throw this.#failure(error, name, permission)
    }
  }

  #failure(error: unknown, name: string, permission: string) {
    return initFailure(error, { resource: `${this.#project}.${name}`, permission })
  }
}
