/**
 * Checkpoints on an object store: `checkpoints/<name>/<offset, 20 digits>-<attempt, 6 digits>`,
 * each created once and never changed. A checkpoint is saved whole before an older one goes, and
 * its hash covers all of it, so a crash at any moment leaves one to start from.
 *
 * One owner saves under a name; a former owner that still does adds objects of its own and damages
 * none, and the highest offset wins.
 */
import { BackhaulError } from '../runtime/errors.ts'
import { decodeCheckpointObject, encodeCheckpointObject } from './checkpoint-object.ts'
import { objectErrors } from './object-errors.ts'
import type { ObjectStore } from './object-store.ts'

export interface CheckpointStore {
  /**
   * Resolves when the checkpoint is durable; then deletes what is below the `keep` highest valid
   * offsets. Throws what the object store throws.
   */
  save(checkpoint: NewCheckpoint): Promise<void>
  /**
   * The valid checkpoint of the highest offset. Damaged ones above it are skipped and named; when
   * there are no others, `allDamaged` is told of them.
   * Throws `CHECKPOINT_VERSION_NEWER` for one of a later program and `CHECKPOINT_TOPIC_MISMATCH`
   * for one of another topic: these are no damage, and an older one must not be used instead.
   */
  loadLatest(name: string): Promise<LoadedCheckpoint | undefined>
}

export interface NewCheckpoint {
  readonly name: string
  /** Offset of the first record that is not in the checkpoint. */
  readonly offset: number
  /** Its bytes, in pieces of any size. */
  readonly chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>
}

export interface LoadedCheckpoint {
  readonly offset: number
  readonly bytes: Uint8Array
  /** Names of damaged objects that were skipped. */
  readonly damaged: string[]
}

export interface CheckpointStoreOptions {
  /** How many valid offsets are kept. */
  readonly keep: number
  /** Identity of the topic the offsets are of; written to each checkpoint and checked if given. */
  readonly topicId?: string
  /** `loadLatest` found objects of the name, named here newest first, and every one is damaged. */
  allDamaged?(name: string, damaged: readonly string[]): void
}

/** Objects of one name that are looked at; more than this stand only where deleting failed for long. */
export const CHECKPOINTS_LISTED_MAX = 10_000
const ATTEMPTS_MAX = 999_999
const CREATE_TRIES_MAX = 16

export function createCheckpointStore(
  objects: ObjectStore,
  options: CheckpointStoreOptions,
): CheckpointStore {
  return new ObjectCheckpointStore(objects, options)
}

interface Entry {
  readonly objectName: string
  readonly offset: number
  readonly attempt: number
}

class ObjectCheckpointStore implements CheckpointStore {
  readonly #objects: ObjectStore
  readonly #options: CheckpointStoreOptions
  /** Objects that this store wrote or read whole: their validity need not be read again. */
  readonly #known = new Map<string, Set<string>>()

  constructor(objects: ObjectStore, options: CheckpointStoreOptions) {
    this.#objects = objects
    this.#options = options
  }

  async save({ name, offset, chunks }: NewCheckpoint): Promise<void> {
    const { topicId } = this.#options
    const bytes = await encodeCheckpointObject({ name, offset, topicId }, chunks)
    this.#knownOf(name).add(await this.#create(name, offset, bytes))
    await this.#deleteOlder(name)
  }

  async loadLatest(name: string): Promise<LoadedCheckpoint | undefined> {
    const damaged: string[] = []
    for (const entry of await this.#newestFirst(name)) {
      const bytes = await this.#readValid(name, entry)
      if (bytes !== undefined) return { offset: entry.offset, bytes, damaged }
      damaged.push(entry.objectName)
    }
    if (damaged.length > 0) this.#options.allDamaged?.(name, damaged)
    return undefined
  }

  /** The checkpoint's bytes, or `undefined` when it is damaged or gone. */
  async #readValid(name: string, entry: Entry): Promise<Uint8Array | undefined> {
    const { objectName, offset } = entry
    try {
      const object = await this.#objects.read(objectName)
      const checkpoint = object && (await decodeCheckpointObject(objectName, object.bytes))
      if (checkpoint === undefined) return undefined
      const { header } = checkpoint
      if (header.name !== name || header.offset !== offset) return undefined
      const { topicId } = this.#options
      if (topicId !== undefined && header.topicId !== topicId)
        throw objectErrors.create('CHECKPOINT_TOPIC_MISMATCH', {
          expected: `${objectName} of topic ${topicId}`,
          received: `topic ${header.topicId}`,
        })
      this.#knownOf(name).add(objectName)
      return checkpoint.bytes
    } catch (error) {
      if (error instanceof BackhaulError && error.code === 'OBJECT_DAMAGED') return undefined
      throw error
    }
  }

  async #create(name: string, offset: number, bytes: Uint8Array): Promise<string> {
    for (let tries = 1; ; tries += 1) {
      const taken = (await this.#newestFirst(name)).find((entry) => entry.offset === offset)
      const attempt = Math.min((taken?.attempt ?? -1) + 1, ATTEMPTS_MAX)
      const objectName = `${folderOf(name)}${digits(offset, 20)}-${digits(attempt, 6)}`
      try {
        await this.#objects.create(objectName, bytes)
        return objectName
      } catch (error) {
        const raced = error instanceof BackhaulError && error.code === 'OBJECT_PRECONDITION_FAILED'
        if (!raced || tries === CREATE_TRIES_MAX) throw error
      }
    }
  }

  async #deleteOlder(name: string): Promise<void> {
    const entries = await this.#newestFirst(name)
    const kept = new Set<number>()
    const known = this.#knownOf(name)
    for (const entry of entries) {
      if (kept.size === this.#options.keep && !kept.has(entry.offset)) {
        await this.#objects.delete(entry.objectName)
        known.delete(entry.objectName)
      } else if (!kept.has(entry.offset) && (await this.#isValid(name, entry))) {
        kept.add(entry.offset)
      }
    }
  }

  async #isValid(name: string, entry: Entry): Promise<boolean> {
    if (this.#knownOf(name).has(entry.objectName)) return true
    try {
      return (await this.#readValid(name, entry)) !== undefined
    } catch (error) {
      // Of a later program or another topic: none that this one could start from.
      if (error instanceof BackhaulError && error.code.startsWith('CHECKPOINT_')) return false
      throw error
    }
  }

  async #newestFirst(name: string): Promise<Entry[]> {
    const folder = folderOf(name)
    const listed = await this.#objects.list(folder, { limit: CHECKPOINTS_LISTED_MAX })
    return listed.flatMap((info) => parse(folder, info.name)).toReversed()
  }

  #knownOf(name: string): Set<string> {
    const known = this.#known.get(name) ?? new Set()
    this.#known.set(name, known)
    return known
  }
}

function folderOf(name: string): string {
  return `checkpoints/${name}/`
}

function digits(value: number, width: number): string {
  return String(value).padStart(width, '0')
}

function parse(folder: string, objectName: string): Entry[] {
  const match = /^(\d{20})-(\d{6})$/.exec(objectName.slice(folder.length))
  if (match === null) return []
  return [{ objectName, offset: Number(match[1]), attempt: Number(match[2]) }]
}
