/** The calls of the JSON API of GCS that the object store makes, each one request. */
import { z } from 'zod'
import type { CloudClient } from '../cloud/cloud-client.ts'
import type { ByteRange, ObjectInfo } from './object-store.ts'

/** An object as GCS describes it. */
export interface GcsObject {
  readonly info: ObjectInfo
  /** The id of the write that made it, where it was one of ours. */
  readonly writeId: string | undefined
}

export interface GcsUpload {
  readonly name: string
  readonly bytes: Uint8Array
  readonly crc32c: string
  readonly writeId: string
  /** 0: it must not exist. */
  readonly ifGeneration: number
}

export interface GcsListing {
  readonly prefix: string
  /** The first name that is listed, if there is such an object. */
  readonly startOffset?: string | undefined
  readonly maxResults: number
  readonly pageToken?: string | undefined
}

export interface GcsPage {
  readonly objects: readonly GcsObject[]
  readonly nextPageToken: string | undefined
}

/** Metadata of an object under which the id of its write is kept. */
const WRITE_ID = 'backhaul-write'

const objectSchema = z
  .object({
    name: z.string(),
    generation: z.coerce.number().int().positive(),
    size: z.coerce.number().int(),
    crc32c: z.string(),
    timeCreated: z.iso.datetime({ offset: true }),
    metadata: z.record(z.string(), z.string()).optional(),
  })
  .transform(({ name, generation, size, crc32c, timeCreated, metadata }): GcsObject => ({
    info: { name, generation, sizeBytes: size, crc32c, updatedAtMs: Date.parse(timeCreated) },
    writeId: metadata?.[WRITE_ID],
  }))

const pageSchema = z.object({
  items: z.array(objectSchema).default([]),
  nextPageToken: z.string().optional(),
})

export class GcsApi {
  readonly bucket: string
  readonly #endpoint: string
  readonly #client: CloudClient

  constructor(client: CloudClient, endpoint: string, bucket: string) {
    this.bucket = bucket
    this.#client = client
    this.#endpoint = endpoint.replace(/\/$/, '')
  }

  /** GCS compares the checksum that is sent along before it makes the object. */
  async upload({ name, bytes, crc32c, writeId, ifGeneration }: GcsUpload): Promise<GcsObject> {
    const described = { name, crc32c, metadata: { [WRITE_ID]: writeId } }
    const made = await this.#client.json({
      method: 'POST',
      url: `${this.#endpoint}/upload/storage/v1/b/${this.bucket}/o`,
      query: { uploadType: 'multipart', name, ifGenerationMatch: ifGeneration },
      // No line of the body can be the boundary: the write's id was made for it alone.
      headers: { 'content-type': `multipart/related; boundary=${writeId}` },
      body: related(writeId, described, bytes),
    })
    return objectSchema.parse(made)
  }

  async describe(name: string): Promise<GcsObject> {
    return objectSchema.parse(await this.#client.json({ method: 'GET', url: this.#url(name) }))
  }

  download(name: string, generation: number, range?: ByteRange): Promise<Uint8Array> {
    return this.#client.bytes({
      method: 'GET',
      url: this.#url(name),
      query: { alt: 'media', generation },
      ...(range && { headers: { range: `bytes=${range.from}-${range.to - 1}` } }),
    })
  }

  async list({ prefix, startOffset, maxResults, pageToken }: GcsListing): Promise<GcsPage> {
    const page = await this.#client.json({
      method: 'GET',
      url: `${this.#endpoint}/storage/v1/b/${this.bucket}/o`,
      query: { prefix, startOffset, maxResults, pageToken },
    })
    const { items, nextPageToken } = pageSchema.parse(page)
    return { objects: items, nextPageToken }
  }

  async delete(name: string, ifGeneration?: number): Promise<void> {
    await this.#client.json({
      method: 'DELETE',
      url: this.#url(name),
      query: { ifGenerationMatch: ifGeneration },
    })
  }

  #url(name: string): string {
    return `${this.#endpoint}/storage/v1/b/${this.bucket}/o/${encodeURIComponent(name)}`
  }
}

/** A body of two parts (RFC 2387): what is known of the object, and its bytes. */
function related(boundary: string, described: object, bytes: Uint8Array): Uint8Array {
  const head = [
    `--${boundary}`,
    'Content-Type: application/json; charset=UTF-8',
    '',
    JSON.stringify(described),
    `--${boundary}`,
    'Content-Type: application/octet-stream',
    '',
    '',
  ].join('\r\n')
  return Buffer.concat([Buffer.from(head), bytes, Buffer.from(`\r\n--${boundary}--\r\n`)])
}
