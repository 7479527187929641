/** The calls of the JSON API of GCS about a bucket itself, each one request. */
import { z } from 'zod'
import type { CloudClient } from '../../shared/cloud/cloud-client.ts'
import { isCloudFailure } from '../../shared/cloud/cloud-failure.ts'
import { initFailure } from './errors.ts'

/** A rule as the API has it; what is in one that is not ours stays as it is. */
const ruleSchema = z.looseObject({
  action: z.looseObject({ type: z.string(), storageClass: z.string().optional() }),
  condition: z.looseObject({
    matchesPrefix: z.array(z.string()).optional(),
    matchesSuffix: z.array(z.string()).optional(),
  }),
})

export type LifecycleRule = z.infer<typeof ruleSchema>

const bucketSchema = z.object({
  location: z.string().optional(),
  metageneration: z.string().optional(),
  labels: z.record(z.string(), z.string()).default({}),
  lifecycle: z.object({ rule: z.array(ruleSchema).default([]) }).default({ rule: [] }),
  retentionPolicy: z.object({ retentionPeriod: z.string().optional() }).optional(),
  softDeletePolicy: z.object({ retentionDurationSeconds: z.coerce.number() }).optional(),
})

export type Bucket = z.infer<typeof bucketSchema>

export class BucketApi {
  readonly #client: CloudClient
  readonly #endpoint: string
  readonly #bucket: string

  constructor(client: CloudClient, endpoint: string, bucket: string) {
    this.#client = client
    this.#endpoint = `${endpoint.replace(/\/$/, '')}/storage/v1/b`
    this.#bucket = bucket
  }

  /** `undefined` when there is none of the name. */
  async read(): Promise<Bucket | undefined> {
    const url = this.#url
    try {
      return bucketSchema.parse(await this.#client.json({ method: 'GET', url }))
    } catch (error) {
      if (isCloudFailure(error, 'absent')) return undefined
      throw this.#failure(error, 'storage.buckets.get')
    }
  }

  async create(project: string, bucket: object): Promise<void> {
    const body = Buffer.from(JSON.stringify({ name: this.#bucket, ...bucket }))
    try {
      const query = { project }
      await this.#client.json({
        method: 'POST',
        url: this.#endpoint,
        query,
        headers: JSON_BODY,
        body,
      })
    } catch (error) {
      throw this.#failure(error, `storage.buckets.create in ${project}`)
    }
  }

  /** Changes the fields that are given, if nobody has changed the bucket since it was read. */
  async change(from: Bucket, fields: object): Promise<void> {
    const body = Buffer.from(JSON.stringify(fields))
    const query = { ifMetagenerationMatch: from.metageneration }
    try {
      await this.#client.json({ method: 'PATCH', url: this.#url, query, headers: JSON_BODY, body })
    } catch (error) {
      throw this.#failure(error, 'storage.buckets.update')
    }
  }

  get #url(): string {
    return `${this.#endpoint}/${this.#bucket}`
  }

  #failure(error: unknown, permission: string) {
    return initFailure(error, { resource: `gs://${this.#bucket}`, permission })
  }
}

const JSON_BODY = { 'content-type': 'application/json' }
