/**
 * The warehouse's objects as files that DuckDB can read: in place where the object store keeps
 * them as files of this machine, else brought into the session's own folder.
 */
import { createHash, randomUUID } from 'node:crypto'
import { copyFile, link, mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { ObjectInfo, ObjectStore } from '../objects/object-store.ts'
import { BackhaulError } from '../runtime/errors.ts'
import { FILE_PREFIX, type TableFile } from './warehouse-manifest.ts'
import { warehouseErrors } from './warehouse-errors.ts'

export class WarehouseObjects {
  readonly #store: ObjectStore
  readonly #folder: string
  readonly #brought = new Map<string, Promise<string>>()

  constructor(store: ObjectStore, folder: string) {
    this.#store = store
    this.#folder = folder
  }

  /** Where DuckDB finds the file of a table. */
  async path(file: TableFile): Promise<string> {
    const { local } = this.#store
    if (local !== undefined) return local.path(file)
    const known = this.#brought.get(file.name)
    if (known !== undefined) return known
    const brought = this.#bring(file)
    this.#brought.set(file.name, brought)
    return brought
  }

  /** The file's bytes, as they were written. Throws `WAREHOUSE_FILE_MISSING` or `…_DAMAGED`. */
  async verified(file: TableFile): Promise<Uint8Array> {
    const { info, bytes } = await this.#read(file.name)
    if (info.generation !== file.generation || sha256(bytes) !== file.sha256)
      throw warehouseErrors.create('WAREHOUSE_FILE_DAMAGED', {
        expected: `${file.name} of ${file.bytes} bytes with the SHA-256 ${file.sha256}`,
        received: `${bytes.length} bytes with another`,
      })
    return bytes
  }

  /** A staging object in the session's folder, whole, whatever becomes of the object. */
  async staged(name: string): Promise<string> {
    const { info, bytes } = await this.#read(name)
    const path = join(this.#folder, 'staged', `${randomUUID()}.parquet`)
    await mkdir(dirname(path), { recursive: true })
    const { local } = this.#store
    if (local === undefined) await writeFile(path, bytes)
    else await linkOrCopy(local.path(info), path)
    return path
  }

  /** Makes an object of a Parquet file of this machine. */
  async upload(path: string, place: { table: string; partition: string }): Promise<UploadedFile> {
    const bytes = await readFile(path)
    const name = `${FILE_PREFIX}${place.table}/${place.partition}/${randomUUID()}.parquet`
    const { generation } = await this.#store.create(name, bytes)
    return { name, generation, bytes: bytes.length, sha256: sha256(bytes) }
  }

  async #bring(file: TableFile): Promise<string> {
    const path = join(this.#folder, file.name)
    const bytes = await this.verified(file)
    await mkdir(dirname(path), { recursive: true })
    await writeFile(path, bytes)
    return path
  }

  async #read(name: string): Promise<{ info: ObjectInfo; bytes: Uint8Array }> {
    try {
      const object = await this.#store.read(name)
      if (object !== undefined) return object
    } catch (cause) {
      if (!(cause instanceof BackhaulError) || cause.code !== 'OBJECT_DAMAGED') throw cause
      throw warehouseErrors.create('WAREHOUSE_FILE_DAMAGED', { received: cause.detail, cause })
    }
    throw warehouseErrors.create('WAREHOUSE_FILE_MISSING', { expected: name })
  }
}

export type UploadedFile = Pick<TableFile, 'name' | 'generation' | 'bytes' | 'sha256'>

/** A link costs nothing and outlives the object; another file system takes a copy. */
async function linkOrCopy(from: string, to: string): Promise<void> {
  try {
    await link(from, to)
  } catch {
    await copyFile(from, to)
  }
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}
