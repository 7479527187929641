/**
 * What a folder of objects holds: an LMDB index by name, which every process that uses the folder
 * opens. Its write transactions are exclusive across processes and survive a killed one, so a
 * precondition is judged and a name comes or goes in one step; its keys are in listing order.
 *
 * Files on their way in or out stand in a second table, with their owner, before the first byte is
 * written and until the last is gone: what a killed process leaves behind is known by name.
 */
import { above, after } from '../lmdb/key-ranges.ts'
import { commitCause, isFull, openLmdbRoot, type LmdbRoot, type Table } from '../lmdb/root.ts'
import { transact } from '../lmdb/transaction.ts'
import { BackhaulError } from '../runtime/errors.ts'
import { objectErrors } from './object-errors.ts'
import type { ListOptions, ObjectInfo } from './object-store.ts'

/** A version of an object: names its file. */
export interface ObjectVersion {
  readonly name: string
  readonly generation: number
}

/** Who has a file on its way, and since when. */
export interface FileOwner {
  readonly processId: number
  readonly sinceMs: number
}

type StoredInfo = Omit<ObjectInfo, 'name'>

const MAP_BYTES = 1024 * 1024 * 1024
const SEQUENCE_KEY = Buffer.from('generation')

export class ObjectIndex {
  readonly #root: LmdbRoot
  readonly #objects: Table
  readonly #underway: Table
  readonly #sequence: Table

  constructor(folder: string) {
    this.#root = openLmdbRoot(folder, MAP_BYTES)
    this.#objects = this.#root.table('objects')
    this.#underway = this.#root.table('underway')
    this.#sequence = this.#root.table('sequence')
  }

  get(name: string): ObjectInfo | undefined {
    // Another process may have written since this one last looked.
    this.#root.database.resetReadTxn()
    return this.#stored(name)
  }

  list(prefix: string, options: ListOptions): ObjectInfo[] {
    this.#root.database.resetReadTxn()
    const { startAfter, limit } = options
    const first = Buffer.from(prefix)
    const next = startAfter === undefined ? first : after(Buffer.from(startAfter))
    const start = Buffer.compare(first, next) > 0 ? first : next
    const end = above(first)
    if (end !== undefined && Buffer.compare(start, end) >= 0) return []
    // LMDB has no empty key: an empty prefix begins at the lowest.
    const range = { start: start.length === 0 ? Buffer.of(0) : start, ...(end && { end }), limit }
    return [...this.#objects.getRange(range)].map(({ key, value }) => decode(key.toString(), value))
  }

  /**
   * Takes a generation that no version of any object has had, for a file that is written now.
   * Throws `OBJECT_PRECONDITION_FAILED` unless the object's generation is `ifGeneration`.
   */
  reserve(name: string, ifGeneration: number, owner: FileOwner): Promise<ObjectVersion> {
    return this.#transaction(() => {
      this.#check(name, ifGeneration)
      const generation = (this.#sequence.get(SEQUENCE_KEY)?.readDoubleBE(0) ?? 0) + 1
      const value = Buffer.allocUnsafe(8)
      value.writeDoubleBE(generation, 0)
      this.#sequence.putSync(SEQUENCE_KEY, value)
      this.#enter({ name, generation }, owner)
      return { name, generation }
    })
  }

  /**
   * Makes the written file the object; resolves with the version that it replaces, whose file is
   * then on its way out. Throws `OBJECT_PRECONDITION_FAILED` as `reserve` does.
   */
  publish(
    info: ObjectInfo,
    ifGeneration: number,
    owner: FileOwner,
  ): Promise<ObjectVersion | undefined> {
    return this.#transaction(() => {
      this.#check(info.name, ifGeneration)
      const { name, ...stored } = info
      this.#objects.putSync(Buffer.from(name), Buffer.from(JSON.stringify(stored)))
      this.#underway.removeSync(versionKey(info))
      if (ifGeneration === 0) return undefined
      const replaced = { name, generation: ifGeneration }
      this.#enter(replaced, owner)
      return replaced
    })
  }

  /** Takes the object out; resolves with the version whose file is then on its way out. */
  remove(
    name: string,
    ifGeneration: number | undefined,
    owner: FileOwner,
  ): Promise<ObjectVersion | undefined> {
    return this.#transaction(() => {
      const info = this.#stored(name)
      if (info === undefined) return undefined
      if (ifGeneration !== undefined) this.#check(name, ifGeneration)
      this.#objects.removeSync(Buffer.from(name))
      const removed = { name, generation: info.generation }
      this.#enter(removed, owner)
      return removed
    })
  }

  /** The file is gone. */
  forget(version: ObjectVersion): Promise<void> {
    return this.#transaction(() => void this.#underway.removeSync(versionKey(version)))
  }

  /** Files on their way in or out, whoever has them. */
  filesUnderway(): { readonly version: ObjectVersion; readonly owner: FileOwner }[] {
    this.#root.database.resetReadTxn()
    return [...this.#underway.getRange({})].map(({ key, value }) => ({
      version: parseVersionKey(key),
      owner: JSON.parse(value.toString()) as FileOwner,
    }))
  }

  close(): Promise<void> {
    return this.#root.database.close()
  }

  #stored(name: string): ObjectInfo | undefined {
    const value = this.#objects.get(Buffer.from(name))
    return value === undefined ? undefined : decode(name, value)
  }

  #check(name: string, ifGeneration: number): void {
    const generation = this.#stored(name)?.generation ?? 0
    if (generation !== ifGeneration)
      throw objectErrors.create('OBJECT_PRECONDITION_FAILED', {
        expected: `${name} of generation ${ifGeneration}`,
        received: generation === 0 ? 'no such object' : `generation ${generation}`,
      })
  }

  #enter(version: ObjectVersion, owner: FileOwner): void {
    this.#underway.putSync(versionKey(version), Buffer.from(JSON.stringify(owner)))
  }

  /**
   * Runs `action` in a write transaction and resolves when it is flushed. Other actions may share
   * the transaction and are not undone when this one throws: it throws before it writes.
   */
  async #transaction<Result>(action: () => Result): Promise<Result> {
    try {
      return await transact(this.#root.database, action)
    } catch (error) {
      if (error instanceof BackhaulError) throw error
      const cause = await commitCause(error)
      throw objectErrors.create(isFull(cause) ? 'OBJECT_FULL' : 'OBJECT_UNAVAILABLE', {
        received: cause instanceof Error ? cause.message : String(cause),
        cause,
      })
    }
  }
}

function decode(name: string, value: Buffer): ObjectInfo {
  return { name, ...(JSON.parse(value.toString()) as StoredInfo) }
}

/** `@` is in no object name. */
function versionKey({ name, generation }: ObjectVersion): Buffer {
  return Buffer.from(`${name}@${generation}`)
}

function parseVersionKey(key: Buffer): ObjectVersion {
  const text = key.toString()
  const at = text.lastIndexOf('@')
  return { name: text.slice(0, at), generation: Number(text.slice(at + 1)) }
}
