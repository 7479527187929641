/**
 * The object store in a bucket of GCS, shared by any number of processes on any machines. An object
 * is sent by one request with its checksum, under a precondition on its generation: GCS takes all of
 * it or nothing. Reads name the generation that was described, and whole objects are checked.
 *
 * A write whose answer is lost is repeated, and then meets itself: each bears an id, by which the
 * repeat knows that it was done.
 */
import { CloudClient } from '../cloud/cloud-client.ts'
import { isCloudFailure } from '../cloud/cloud-failure.ts'
import type { Clock } from '../runtime/clock.ts'
import { assert } from '../runtime/errors.ts'
import type { Random } from '../runtime/random.ts'
import type { TelemetryBase } from '../runtime/telemetry.ts'
import { crc32cOfObject } from './crc32c.ts'
import { GcsApi, type GcsObject, type GcsUpload } from './gcs-api.ts'
import type { GcsConfig } from './gcs-config.ts'
import { LIST_PAGE_OBJECTS, READ_LOOKS_MAX } from './gcs-limits.ts'
import { GcsRequests, type Tries } from './gcs-requests.ts'
import { createGcsObjectTelemetry } from './gcs-telemetry.ts'
import { objectErrors } from './object-errors.ts'
import { assertObjectName } from './object-name.ts'
import type {
  ByteRange,
  ListOptions,
  ObjectInfo,
  ObjectStore,
  StoredObject,
} from './object-store.ts'

export interface GcsObjectStoreOptions {
  readonly config: GcsConfig
  readonly clock: Clock
  readonly random: Random
  readonly telemetry?: TelemetryBase
}

/** Opens the store; throws at once when the bucket is missing or must not be listed. */
export async function openGcsObjectStore(options: GcsObjectStoreOptions): Promise<ObjectStore> {
  const store = new GcsObjectStore(options)
  await store.list('', { limit: 1 })
  return store
}

class GcsObjectStore implements ObjectStore {
  readonly #api: GcsApi
  readonly #random: Random
  readonly #requests: GcsRequests
  readonly #underway = new Set<Promise<unknown>>()
  #closed = false

  constructor({ config, clock, random, telemetry }: GcsObjectStoreOptions) {
    this.#api = new GcsApi(new CloudClient(config), config.endpoint, config.bucket)
    this.#random = random
    this.#requests = new GcsRequests({
      clock,
      random,
      telemetry: telemetry && createGcsObjectTelemetry(telemetry),
    })
  }

  create(name: string, bytes: Uint8Array): Promise<ObjectInfo> {
    return this.replace(name, bytes, 0)
  }

  replace(name: string, bytes: Uint8Array, ifGeneration: number): Promise<ObjectInfo> {
    return this.#during(async () => {
      assertObjectName(name)
      const crc32c = await crc32cOfObject(bytes)
      const upload = { name, bytes, ifGeneration, crc32c, writeId: this.#random.uuid() }
      const permission =
        ifGeneration === 0
          ? 'storage.objects.create'
          : 'storage.objects.create and storage.objects.delete'
      return this.#run(permission, name, (tries) => this.#upload(upload, tries))
    })
  }

  read(name: string, range?: ByteRange): Promise<StoredObject | undefined> {
    return this.#during(() => {
      assertObjectName(name)
      return this.#run('storage.objects.get', name, () => this.#read(name, range))
    })
  }

  stat(name: string): Promise<ObjectInfo | undefined> {
    return this.#during(async () => {
      assertObjectName(name)
      const found = await this.#run('storage.objects.get', name, () => this.#describe(name))
      return found?.info
    })
  }

  list(prefix: string, options: ListOptions): Promise<ObjectInfo[]> {
    return this.#during(() => this.#list(prefix, options))
  }

  delete(name: string, ifGeneration?: number): Promise<void> {
    return this.#during(async () => {
      assertObjectName(name)
      await this.#run('storage.objects.delete', name, () =>
        this.#unlessAbsent(name, this.#api.delete(name, ifGeneration)),
      )
    })
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await Promise.allSettled(this.#underway)
  }

  async #upload(upload: GcsUpload, { mayBeDone }: Tries): Promise<ObjectInfo> {
    const { name, bytes, crc32c, writeId } = upload
    try {
      const { info } = await this.#api.upload(upload)
      if (info.crc32c === crc32c && info.sizeBytes === bytes.length) return info
      const sent = { ...info, crc32c, sizeBytes: bytes.length }
      throw damaged(sent, `${info.sizeBytes} bytes with the checksum ${info.crc32c}`)
    } catch (error) {
      if (!mayBeDone || !isCloudFailure(error, 'precondition')) throw error
      const found = await this.#describe(name)
      if (found?.writeId !== writeId) throw error
      return found.info
    }
  }

  async #read(name: string, range: ByteRange | undefined): Promise<StoredObject | undefined> {
    let last: ObjectInfo | undefined
    for (let look = 0; look < READ_LOOKS_MAX; look += 1) {
      const found = await this.#describe(name)
      if (found === undefined) return undefined
      const { info } = found
      if (info.generation === last?.generation) throw damaged(info, 'other bytes or none')
      const bytes = await this.#readVersion(info, range)
      if (bytes !== undefined) return { info, bytes }
      // The version was replaced or deleted between the two looks.
      last = info
    }
    throw objectErrors.create('OBJECT_UNAVAILABLE', {
      expected: `gs://${this.#api.bucket}/${name} to stay for as long as it is read`,
      received: `${READ_LOOKS_MAX} replacements`,
    })
  }

  /** The bytes of the version, or `undefined` when it is gone or its checksum is another. */
  async #readVersion(
    info: ObjectInfo,
    range: ByteRange | undefined,
  ): Promise<Uint8Array | undefined> {
    const { name, generation, sizeBytes } = info
    const from = Math.min(range?.from ?? 0, sizeBytes)
    const to = Math.min(range?.to ?? sizeBytes, sizeBytes)
    assert(from >= 0 && to >= from, 'a byte range goes forward')
    if (from === to) return new Uint8Array(0)
    const whole = to - from === sizeBytes
    const asked = this.#api.download(name, generation, whole ? undefined : { from, to })
    const bytes = await this.#unlessAbsent(name, asked)
    if (bytes === undefined) return undefined
    if (bytes.length !== to - from)
      throw objectErrors.create('OBJECT_UNAVAILABLE', {
        expected: `${to - from} bytes of gs://${this.#api.bucket}/${name}`,
        received: `${bytes.length} bytes`,
      })
    return whole && (await crc32cOfObject(bytes)) !== info.crc32c ? undefined : bytes
  }

  #describe(name: string): Promise<GcsObject | undefined> {
    return this.#unlessAbsent(name, this.#api.describe(name))
  }

  async #list(prefix: string, { startAfter, limit }: ListOptions): Promise<ObjectInfo[]> {
    const infos: ObjectInfo[] = []
    let pageToken: string | undefined
    do {
      // The name to go on after may be the first of the answer.
      const maxResults = Math.min(limit - infos.length + 1, LIST_PAGE_OBJECTS)
      const listing = { prefix, startOffset: startAfter, maxResults, pageToken }
      const page = await this.#run('storage.objects.list', prefix, () => this.#api.list(listing))
      for (const { info } of page.objects) if (info.name !== startAfter) infos.push(info)
      pageToken = page.nextPageToken
    } while (pageToken !== undefined && infos.length < limit)
    return infos.slice(0, limit)
  }

  /**
   * `undefined` where the object is absent. GCS says 404 for an object and for a bucket alike, and
   * an absent bucket must not pass for an absent object: a listing tells them apart.
   */
  async #unlessAbsent<Result>(name: string, asked: Promise<Result>): Promise<Result | undefined> {
    try {
      return await asked
    } catch (error) {
      if (!isCloudFailure(error, 'absent')) throw error
      await this.#api.list({ prefix: name, maxResults: 1 })
      return undefined
    }
  }

  #run<Result>(
    permission: string,
    name: string,
    request: (tries: Tries) => Promise<Result>,
  ): Promise<Result> {
    return this.#requests.run({ bucket: this.#api.bucket, name, permission }, request)
  }

  /** Closing waits for what is under way. */
  async #during<Result>(action: () => Promise<Result>): Promise<Result> {
    if (this.#closed) throw objectErrors.create('OBJECT_STORE_CLOSED')
    const done = (async () => action())()
    this.#underway.add(done)
    try {
      return await done
    } finally {
      this.#underway.delete(done)
    }
  }
}

function damaged(
  { name, sizeBytes, crc32c }: Pick<ObjectInfo, 'name' | 'sizeBytes' | 'crc32c'>,
  received: string,
): Error {
  return objectErrors.create('OBJECT_DAMAGED', {
    expected: `${name} of ${sizeBytes} bytes with the checksum ${crc32c}`,
    received,
  })
}
