/**
 * The object store in a local folder, shared by the processes of one machine:
 *
 *   <folder>/index/                         LMDB: name → generation, size, CRC-32C, time
 *   <folder>/files/<name>@<generation>      the bytes of one version, as they are
 *
 * A file is written and synced under a generation that no other version has, then the index takes
 * it up under the precondition; readers go by the index, so they never see a file half written.
 * A replaced version's file is removed after the index has changed: a reader that comes too late
 * for it looks up the index again.
 */
import { mkdir, open, rm, type FileHandle } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import type { Clock } from '../runtime/clock.ts'
import { assert, BackhaulError } from '../runtime/errors.ts'
import { isFull } from '../lmdb/root.ts'
import { isRunning } from '../runtime/is-running.ts'
import { crc32cOfObject } from './crc32c.ts'
import { createDurably, syncFolder } from './durable-file.ts'
import { objectErrors } from './object-errors.ts'
import { ObjectIndex, type FileOwner, type ObjectVersion } from './object-index.ts'
import { assertObjectName } from './object-name.ts'
import type {
  ByteRange,
  ListOptions,
  LocalObjects,
  ObjectInfo,
  ObjectStore,
  StoredObject,
} from './object-store.ts'

export interface FolderObjectStoreOptions {
  /** Created when it is missing. */
  readonly folder: string
  readonly clock: Clock
}

/** A file on its way for longer than this belongs to nobody, whatever its owner's process id. */
export const FILE_UNDERWAY_MAX_MS = 60 * 60_000

/** Opens the store and removes what killed processes left half written. */
export async function openFolderObjectStore(
  options: FolderObjectStoreOptions,
): Promise<ObjectStore> {
  const store = new FolderObjectStore(options)
  await mkdir(join(options.folder, 'files'), { recursive: true })
  await syncFolder(options.folder)
  await store.removeLeftovers()
  return store
}

class FolderObjectStore implements ObjectStore {
  readonly #files: string
  readonly #index: ObjectIndex
  readonly #clock: Clock
  readonly #underway = new Set<Promise<unknown>>()
  readonly local: LocalObjects
  #closed = false

  constructor({ folder, clock }: FolderObjectStoreOptions) {
    this.#files = resolve(folder, 'files')
    this.local = { folder: this.#files, path: (version) => this.#path(version) }
    this.#index = new ObjectIndex(join(folder, 'index'))
    this.#clock = clock
  }

  create(name: string, bytes: Uint8Array): Promise<ObjectInfo> {
    return this.#during(() => this.#write(name, bytes, 0))
  }

  replace(name: string, bytes: Uint8Array, ifGeneration: number): Promise<ObjectInfo> {
    return this.#during(() => this.#write(name, bytes, ifGeneration))
  }

  read(name: string, range?: ByteRange): Promise<StoredObject | undefined> {
    return this.#during(() => this.#read(name, range))
  }

  stat(name: string): Promise<ObjectInfo | undefined> {
    return this.#during(async () => {
      assertObjectName(name)
      return this.#index.get(name)
    })
  }

  list(prefix: string, options: ListOptions): Promise<ObjectInfo[]> {
    return this.#during(async () => this.#index.list(prefix, options))
  }

  delete(name: string, ifGeneration?: number): Promise<void> {
    return this.#during(async () => {
      assertObjectName(name)
      const removed = await this.#index.remove(name, ifGeneration, this.#owner())
      if (removed !== undefined) await this.#discard(removed)
    })
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await Promise.allSettled(this.#underway)
    await this.#index.close()
  }

  async removeLeftovers(): Promise<void> {
    const nowMs = this.#clock.nowMs()
    for (const { version, owner } of this.#index.filesUnderway())
      if (!isRunning(owner.processId) || nowMs - owner.sinceMs > FILE_UNDERWAY_MAX_MS)
        await this.#discard(version)
  }

  async #write(name: string, bytes: Uint8Array, ifGeneration: number): Promise<ObjectInfo> {
    assertObjectName(name)
    const crc32c = await crc32cOfObject(bytes)
    const owner = this.#owner()
    const version = await this.#index.reserve(name, ifGeneration, owner)
    const info = { ...version, sizeBytes: bytes.length, crc32c, updatedAtMs: owner.sinceMs }
    let replaced: ObjectVersion | undefined
    try {
      await createDurably(this.#files, this.#path(version), bytes)
      replaced = await this.#index.publish(info, ifGeneration, owner)
    } catch (error) {
      await this.#discard(version)
      throw failureOf(error)
    }
    if (replaced !== undefined) await this.#discard(replaced)
    return info
  }

  async #read(name: string, range: ByteRange | undefined): Promise<StoredObject | undefined> {
    assertObjectName(name)
    let missing: ObjectInfo | undefined
    for (;;) {
      const info = this.#index.get(name)
      if (info === undefined) return undefined
      if (info.generation === missing?.generation) throw damaged(info, 'no file')
      const bytes = await this.#readFile(info, range)
      if (bytes !== undefined) return { info, bytes }
      // The version was replaced or deleted between the two looks.
      missing = info
    }
  }

  /** The bytes of the version, or `undefined` when its file is gone. */
  async #readFile(info: ObjectInfo, range: ByteRange | undefined): Promise<Uint8Array | undefined> {
    const from = Math.min(range?.from ?? 0, info.sizeBytes)
    const to = Math.min(range?.to ?? info.sizeBytes, info.sizeBytes)
    assert(from >= 0 && to >= from, 'a byte range goes forward')
    try {
      const file = await open(this.#path(info), 'r')
      try {
        const { size } = await file.stat()
        if (size !== info.sizeBytes) throw damaged(info, `a file of ${size} bytes`)
        const bytes = new Uint8Array(to - from)
        await readFully(file, bytes, from)
        const whole = bytes.length === info.sizeBytes
        if (whole && (await crc32cOfObject(bytes)) !== info.crc32c)
          throw damaged(info, 'another checksum')
        return bytes
      } finally {
        await file.close()
      }
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return undefined
      throw failureOf(error)
    }
  }

  /** Removes a file that the index does not speak of; what fails here is done at the next opening. */
  async #discard(version: ObjectVersion): Promise<void> {
    try {
      if (this.#index.get(version.name)?.generation !== version.generation)
        await rm(this.#path(version), { force: true })
      await this.#index.forget(version)
    } catch {
      // The index still lists the file as on its way.
    }
  }

  #path({ name, generation }: ObjectVersion): string {
    return join(this.#files, ...`${name}@${generation}`.split('/'))
  }

  #owner(): FileOwner {
    return { processId: process.pid, sinceMs: this.#clock.nowMs() }
  }

  /** Closing waits for what is under way. */
  async #during<Result>(action: () => Promise<Result>): Promise<Result> {
    if (this.#closed) throw objectErrors.create('OBJECT_STORE_CLOSED')
    const done = action()
    this.#underway.add(done)
    try {
      return await done
    } finally {
      this.#underway.delete(done)
    }
  }
}

async function readFully(file: FileHandle, bytes: Uint8Array, from: number): Promise<void> {
  let at = 0
  while (at < bytes.length) {
    const { bytesRead } = await file.read(bytes, at, bytes.length - at, from + at)
    if (bytesRead === 0) throw new Error('the file was cut short while it was read')
    at += bytesRead
  }
}

function failureOf(error: unknown): Error {
  if (error instanceof BackhaulError) return error
  return objectErrors.create(isFull(error) ? 'OBJECT_FULL' : 'OBJECT_UNAVAILABLE', {
    received: error instanceof Error ? error.message : String(error),
    cause: error,
  })
}

function damaged(info: ObjectInfo, received: string): Error {
  return objectErrors.create('OBJECT_DAMAGED', {
    expected: `${info.name} of ${info.sizeBytes} bytes with the checksum ${info.crc32c}`,
    received,
  })
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined
}
