/**
 * The manifests in the object store: read as one snapshot, created, and swapped. A swap also clears
 * away what no session can still read. What may go is listed before the swap and removed after it:
 * a writer that has files on their way has opened the table before, so the swap makes it fail, and
 * its files are nobody's.
 */
import type { ObjectStore } from '../objects/object-store.ts'
import { BackhaulError } from '../runtime/errors.ts'
import { LIST_PAGE, REMOVED_PER_WRITE_MAX, SNAPSHOT_TRIES, TABLES_MAX } from './duckdb-limits.ts'
import type { TableSpec } from './table-spec.ts'
import { warehouseErrors } from './warehouse-errors.ts'
import {
  decodeManifest,
  emptyManifest,
  encodeManifest,
  FILE_PREFIX,
  type Manifest,
  MANIFEST_PREFIX,
  manifestName,
  withColumnsOf,
} from './warehouse-manifest.ts'

export interface StoredManifest {
  readonly manifest: Manifest
  readonly generation: number
}

/** Manifests by table, ascending by name. */
export type Snapshot = ReadonlyMap<string, StoredManifest>

export class WarehouseTables {
  readonly #store: ObjectStore

  constructor(store: ObjectStore) {
    this.#store = store
  }

  /** All manifests as they were at one moment: two looks that find the same generations. */
  async snapshot(): Promise<Snapshot> {
    let seen: Snapshot | undefined
    for (let tries = 0; tries < SNAPSHOT_TRIES; tries += 1) {
      const infos = await this.#store.list(MANIFEST_PREFIX, { limit: TABLES_MAX })
      const generations = new Set(infos.map(({ generation }) => generation))
      const known = [...(seen?.values() ?? [])]
      if (
        seen !== undefined &&
        known.length === infos.length &&
        known.every(({ generation }) => generations.has(generation))
      )
        return seen
      const snapshot = new Map<string, StoredManifest>()
      for (const { name } of infos) {
        const stored = await this.#read(name)
        if (stored !== undefined) snapshot.set(stored.manifest.name, stored)
      }
      seen = snapshot
    }
    throw warehouseErrors.create('WAREHOUSE_UNAVAILABLE', {
      received: 'tables that changed at every look',
    })
  }

  /** Creates the table, or adds the columns that it lacks. */
  async ensure(table: TableSpec): Promise<void> {
    const stored = await this.#read(manifestName(table.name))
    const wanted =
      stored === undefined ? emptyManifest(table) : withColumnsOf(stored.manifest, table)
    if (wanted !== stored?.manifest) await this.#put(wanted, stored?.generation ?? 0)
  }

  /** Makes `manifest` the table's; throws `WAREHOUSE_CONFLICT` when another writer was first. */
  async swap(manifest: Manifest, ifGeneration: number): Promise<StoredManifest> {
    const unnamed = await this.#unnamed(manifest)
    const generation = await this.#put(manifest, ifGeneration)
    for (const name of unnamed) await this.remove(name)
    return { manifest, generation }
  }

  /** Removes a file that no manifest names; what fails here is found again by a later swap. */
  async remove(name: string): Promise<void> {
    try {
      await this.#store.delete(name)
    } catch (error) {
      if (!(error instanceof BackhaulError)) throw error
    }
  }

  async #read(name: string): Promise<StoredManifest | undefined> {
    const object = await this.#store.read(name)
    if (object === undefined) return undefined
    return {
      manifest: decodeManifest(name, object.bytes),
      generation: object.info.generation,
    }
  }

  async #put(manifest: Manifest, ifGeneration: number): Promise<number> {
    const name = manifestName(manifest.name)
    try {
      const info = await this.#store.replace(name, encodeManifest(manifest), ifGeneration)
      return info.generation
    } catch (error) {
      if (!(error instanceof BackhaulError) || error.code !== 'OBJECT_PRECONDITION_FAILED')
        throw error
      throw warehouseErrors.create('WAREHOUSE_CONFLICT', {
        expected: `${manifest.name} unchanged`,
        received: error.detail,
        cause: error,
      })
    }
  }

  async #unnamed(manifest: Manifest): Promise<string[]> {
    const named = new Set([...manifest.files, ...manifest.retired].map(({ name }) => name))
    const unnamed: string[] = []
    const prefix = `${FILE_PREFIX}${manifest.name}/`
    let startAfter: string | undefined
    for (;;) {
      const page = await this.#store.list(prefix, {
        limit: LIST_PAGE,
        ...(startAfter !== undefined && { startAfter }),
      })
      unnamed.push(...page.map(({ name }) => name).filter((name) => !named.has(name)))
      startAfter = page.at(-1)?.name
      if (page.length < LIST_PAGE || unnamed.length >= REMOVED_PER_WRITE_MAX)
        return unnamed.slice(0, REMOVED_PER_WRITE_MAX)
    }
  }
}
