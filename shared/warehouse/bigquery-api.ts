/** The calls of the REST API of BigQuery that the warehouse makes, each one request. */
import { z } from 'zod'
import type { CloudClient, CloudRequest } from '../cloud/cloud-client.ts'

export interface BigQueryField {
  readonly name: string
  readonly type: string
  readonly mode?: string | undefined
  readonly description?: string | undefined
}

export interface BigQueryTable {
  readonly etag: string
  /** When it goes, where it does not stay. */
  readonly expirationMs: number | undefined
  readonly fields: readonly BigQueryField[]
}

/** A job that BigQuery has taken. */
export interface BigQueryJob {
  readonly done: boolean
  /** Why it has failed for good. */
  readonly error: JobError | undefined
  readonly endMs: number | undefined
  readonly loadedRows: number | undefined
  readonly bytesProcessed: number
  readonly bytesBilled: number
}

export interface JobError {
  readonly reason: string
  readonly message: string
  readonly location?: string | undefined
}

/** A value of a row, as text whatever its type. */
export type Cell = string | null

export interface BigQueryAnswer {
  readonly jobId: string | undefined
  readonly complete: boolean
  readonly fields: readonly BigQueryField[]
  readonly rows: readonly (readonly Cell[])[]
  readonly totalRows: number
  readonly pageToken: string | undefined
  readonly bytesProcessed: number
}

const fieldSchema = z.object({
  name: z.string(),
  type: z.string(),
  mode: z.string().optional(),
  description: z.string().optional(),
})
const cell = z.union([z.string(), z.number(), z.boolean()]).transform(String).nullable()
const count = z.coerce.number().default(0)
const moment = z.coerce.number().optional()

const tableSchema = z
  .object({
    etag: z.string(),
    expirationTime: moment,
    schema: z.object({ fields: z.array(fieldSchema) }).optional(),
  })
  .transform(({ etag, expirationTime, schema }): BigQueryTable => ({
    etag,
    expirationMs: expirationTime,
    fields: schema?.fields ?? [],
  }))

const errorSchema = z.object({
  reason: z.string(),
  message: z.string().default(''),
  location: z.string().optional(),
})

const jobSchema = z
  .object({
    status: z.object({ state: z.string(), errorResult: errorSchema.optional() }),
    statistics: z
      .object({
        endTime: moment,
        load: z.object({ outputRows: count }).optional(),
        query: z.object({ totalBytesProcessed: count, totalBytesBilled: count }).optional(),
      })
      .optional(),
  })
  .transform(({ status, statistics }): BigQueryJob => ({
    done: status.state === 'DONE',
    error: status.errorResult,
    endMs: statistics?.endTime,
    loadedRows: statistics?.load?.outputRows,
    bytesProcessed: statistics?.query?.totalBytesProcessed ?? 0,
    bytesBilled: statistics?.query?.totalBytesBilled ?? 0,
  }))

const answerSchema = z
  .object({
    jobReference: z.object({ jobId: z.string().optional() }).optional(),
    jobComplete: z.boolean().default(true),
    schema: z.object({ fields: z.array(fieldSchema).default([]) }).optional(),
    rows: z.array(z.object({ f: z.array(z.object({ v: cell })) })).default([]),
    totalRows: count,
    pageToken: z.string().optional(),
    totalBytesProcessed: count,
  })
  .transform((answer): BigQueryAnswer => ({
    jobId: answer.jobReference?.jobId,
    complete: answer.jobComplete,
    fields: answer.schema?.fields ?? [],
    rows: answer.rows.map(({ f }) => f.map(({ v }) => v)),
    totalRows: answer.totalRows,
    pageToken: answer.pageToken,
    bytesProcessed: answer.totalBytesProcessed,
  }))

/** TIMESTAMP as whole microseconds: the API's default, a fraction of a second, is a float. */
const EXACT = { 'formatOptions.useInt64Timestamp': 'true' }

export interface BigQueryApiOptions {
  readonly client: CloudClient
  readonly endpoint: string
  readonly project: string
  readonly location: string
}

export class BigQueryApi {
  readonly #client: CloudClient
  readonly #base: string
  readonly #location: string

  constructor({ client, endpoint, project, location }: BigQueryApiOptions) {
    this.#client = client
    this.#base = `${endpoint.replace(/\/$/, '')}/bigquery/v2/projects/${project}`
    this.#location = location
  }

  /** Refused with 404 where there is none. */
  async dataset(name: string): Promise<void> {
    await this.#send('GET', `datasets/${name}`)
  }

  async table(dataset: string, table: string): Promise<BigQueryTable> {
    const path = `datasets/${dataset}/tables/${table}`
    return tableSchema.parse(await this.#send('GET', path))
  }

  async createTable(dataset: string, table: object): Promise<void> {
    await this.#send('POST', `datasets/${dataset}/tables`, { body: table })
  }

  /** Refused with 412 where the table is another than the one of `etag`. */
  async patchTable(dataset: string, table: string, etag: string, changes: object): Promise<void> {
    const path = `datasets/${dataset}/tables/${table}`
    await this.#send('PATCH', path, { body: changes, headers: { 'if-match': etag } })
  }

  async deleteTable(dataset: string, table: string): Promise<void> {
    await this.#send('DELETE', `datasets/${dataset}/tables/${table}`)
  }

  async insertJob(jobId: string, configuration: object): Promise<BigQueryJob> {
    const jobReference = { jobId, location: this.#location }
    return jobSchema.parse(
      await this.#send('POST', 'jobs', { body: { jobReference, configuration } }),
    )
  }

  async job(jobId: string): Promise<BigQueryJob> {
    const query = { location: this.#location }
    return jobSchema.parse(await this.#send('GET', `jobs/${jobId}`, { query }))
  }

  /** Asks for the end of a job, which comes some time later; refused with 404 where there is none. */
  async cancelJob(jobId: string): Promise<void> {
    await this.#send('POST', `jobs/${jobId}/cancel`, { query: { location: this.#location } })
  }

  async query(request: object): Promise<BigQueryAnswer> {
    const body = {
      ...request,
      location: this.#location,
      useLegacySql: false,
      formatOptions: { useInt64Timestamp: true },
    }
    return answerSchema.parse(await this.#send('POST', 'queries', { body }))
  }

  async results(
    jobId: string,
    page: { pageToken?: string; maxResults?: number; timeoutMs?: number },
  ): Promise<BigQueryAnswer> {
    const query = { ...page, ...EXACT, location: this.#location }
    return answerSchema.parse(await this.#send('GET', `queries/${jobId}`, { query }))
  }

  #send(
    method: CloudRequest['method'],
    path: string,
    more: { query?: CloudRequest['query']; body?: object; headers?: CloudRequest['headers'] } = {},
  ): Promise<unknown> {
    const { query, body, headers = {} } = more
    return this.#client.json({
      method,
      url: `${this.#base}/${path}`,
      headers: { ...headers, ...(body && { 'content-type': 'application/json' }) },
      ...(query && { query }),
      ...(body && { body: Buffer.from(JSON.stringify(body)) }),
    })
  }
}
