/**
 * Who may write an LMDB folder, as one row of it. Its value names the owner, by the row's version at
 * the owner's opening; its version rises with every opening and with every commit of a guest.
 *
 * The owner commits on the condition that the version is still the one it knows, so that it may
 * prepare a commit outside of LMDB's write lock. A guest prepares inside the lock, from what the
 * tables say, and raises the version but leaves the name. An owner whose condition failed finds its
 * name and learns that a guest was there, or another name and learns that it was overtaken.
 */
import type { BackhaulError } from '../runtime/errors.ts'
import type { LmdbRoot, Table } from './root.ts'
import { transact } from './transaction.ts'

/**
 * How a folder is opened. The owner is the process that serves from it; a later owner overtakes it.
 * Guests write beside an owner, or without one. Readers write nothing at all.
 */
export type Access = 'owner' | 'guest' | 'reader'

/** Puts the value, or removes the key when there is none. */
export interface Change {
  readonly table: Table
  readonly key: Buffer
  readonly value: Buffer | undefined
}

interface Standing {
  readonly owner: Buffer
  readonly version: number
}

const KEY = Buffer.from('owner')
const NOBODY: Standing = { owner: Buffer.from('0'), version: 0 }

export class OwnerRow {
  readonly #root: LmdbRoot
  readonly #table: Table
  readonly #overtaken: () => BackhaulError
  /** The owner's name while this process is or was the owner; guests have none. */
  #name: Buffer | undefined
  /** Up to which version an owner knows what the tables say. */
  #seenVersion = 0

  constructor(root: LmdbRoot, overtaken: () => BackhaulError) {
    this.#root = root
    this.#table = root.table('owner', { versions: true })
    this.#overtaken = overtaken
  }

  /** Makes this process the owner; what is read from now on is written by none but it and guests. */
  claim(): void {
    this.#seenVersion = this.#root.database.transactionSync(() => {
      const version = this.#read().version + 1
      this.#name = Buffer.from(`${version}`)
      this.#table.putSync(KEY, this.#name, version)
      return version
    })
  }

  /** Whether a guest has written since this owner looked last. */
  guestHasWritten(): boolean {
    this.#root.database.resetReadTxn()
    const { owner, version } = this.#read()
    if (!this.#isMe(owner) || version === this.#seenVersion) return false
    this.#seenVersion = version
    return true
  }

  /** The owner's commit; `false` when another process has written since it looked last. */
  writeIfUnchanged(changes: readonly Change[]): Promise<boolean> {
    return this.#table.ifVersion(KEY, this.#seenVersion, () => {
      // The writes' own promises stand for the condition's, which is awaited.
      for (const { table, key, value } of changes) {
        if (value === undefined) void table.remove(key)
        else void table.put(key, value)
      }
    })
  }

  /**
   * Prepares and writes under LMDB's write lock, so that nobody writes in between; all of it or,
   * when `prepare` throws, nothing.
   */
  async writeAlone<Prepared extends { readonly changes: readonly Change[] }>(
    prepare: () => Prepared,
  ): Promise<Prepared> {
    const { database } = this.#root
    return transact(database, () => {
      const { owner, version } = this.#read()
      if (this.#name !== undefined && !this.#isMe(owner)) throw this.#overtaken()
      this.#seenVersion = version
      if (this.#name === undefined) this.#table.putSync(KEY, owner, version + 1)
      // What is thrown inside undoes the inner transaction alone.
      return database.childTransaction(() => {
        const prepared = prepare()
        for (const { table, key, value } of prepared.changes) {
          if (value === undefined) table.removeSync(key)
          else table.putSync(key, value)
        }
        return prepared
      })
    })
  }

  #isMe(owner: Buffer): boolean {
    return this.#name?.equals(owner) === true
  }

  #read(): Standing {
    const row = this.#table.getEntry(KEY)
    return row === undefined ? NOBODY : { owner: row.value, version: row.version ?? 0 }
  }
}
