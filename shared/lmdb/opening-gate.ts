/**
 * Keeps openings of an LMDB folder apart from writes to it, whichever processes do either. An opening
 * looks for the last commit and then tells every process that this is the last, without a lock (3.5.6,
 * `mdb_env_open2`). What is committed between the two is lost although it is on disk: the next writer
 * begins from the commit before it.
 *
 * The gate is an environment of its own in the folder. Nobody ever writes to it, so it may be opened at
 * any time. Who opens the folder has its write lock; who writes to the folder has a reader's slot of it.
 * A process that is killed gives back both.
 *
 *   to open    lock ─► flag ─► until no other process has a slot ─► open ─► flag away ─► unlock
 *   to write   slot ─► no flag? ─► write ─► slot back      (a flag: slot back, wait for the lock, again)
 */
import { existsSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { open, type RootDatabase, type Transaction } from 'lmdb'
import { transact } from './transaction.ts'

const MAP_BYTES = 64 * 1024
/** Between two looks whether others still write, ms. */
const LOOK_MS = 1
/** An opening gives up after so many looks: a commit takes less, unless its disk stands still. */
const LOOKS_MAX = 30_000
const READER_LINE = /^\s*(\d+)\s+[0-9a-f]+\s+(?:\d+|-)\s*$/
const IDLE_END = /-\s*$/

export class OpeningGate {
  readonly #database: RootDatabase<Buffer, Buffer>
  readonly #flag: string

  constructor(folder: string) {
    const path = join(folder, 'gate')
    this.#database = open<Buffer, Buffer>({
      path,
      noSubdir: false,
      mapSize: MAP_BYTES,
      overlappingSync: false,
      eventTurnBatching: false,
    })
    this.#flag = join(path, 'opening')
  }

  /** Runs what opens the folder; nobody else opens it or writes to it meanwhile. */
  open<Result>(action: () => Result): Result {
    return this.#database.transactionSync(() => {
      writeFileSync(this.#flag, '')
      try {
        this.#awaitWriters()
        return action()
      } finally {
        rmSync(this.#flag, { force: true })
      }
    })
  }

  /** Runs what writes to the folder; nobody opens it meanwhile. */
  async write<Result>(action: () => Promise<Result>): Promise<Result> {
    let slot = this.#take()
    while (slot === undefined) {
      await transact(this.#database, () => this.#removeFlag())
      slot = this.#take()
    }
    try {
      return await action()
    } finally {
      this.#giveBack(slot)
    }
  }

  /** The same of what writes at once. */
  writeSync<Result>(action: () => Result): Result {
    let slot = this.#take()
    while (slot === undefined) {
      this.#database.transactionSync(() => this.#removeFlag())
      slot = this.#take()
    }
    try {
      return action()
    } finally {
      this.#giveBack(slot)
    }
  }

  close(): Promise<void> {
    return this.#database.close()
  }

  /** `undefined` while somebody opens the folder. */
  #take(): Transaction | undefined {
    const slot = this.#database.useReadTransaction()
    if (!existsSync(this.#flag)) return slot
    this.#giveBack(slot)
    return undefined
  }

  #giveBack(slot: Transaction): void {
    slot.done()
    this.#database.resetReadTxn()
  }

  /** Under the lock: nobody opens, so it was left by one that was killed. */
  #removeFlag(): void {
    rmSync(this.#flag, { force: true })
  }

  #awaitWriters(): void {
    const asleep = new Int32Array(new SharedArrayBuffer(4))
    for (let looks = 0; this.#othersWrite(); looks += 1) {
      if (looks === LOOKS_MAX) throw new Error('another process writes without an end')
      Atomics.wait(asleep, 0, 0, LOOK_MS)
    }
  }

  /** This process has the folder open already if it writes, and so opens nothing anew. */
  #othersWrite(): boolean {
    this.#database.readerCheck()
    return this.#database
      .readerList()
      .split('\n')
      .some((line) => {
        const processId = READER_LINE.exec(line)?.[1]
        return processId !== undefined && Number(processId) !== process.pid && !IDLE_END.test(line)
      })
  }
}
