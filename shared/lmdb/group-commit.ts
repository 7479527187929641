/**
 * Group commit over one LMDB folder: writes that are asked for while a commit is on its way share
 * the next one, and so its flush. Commits follow one another, never overlap: a failed commit takes
 * down exactly the tasks in it, and what a task prepared always stands on durable state.
 *
 * One process owns a folder, others may write as its guests (`owner-row.ts`). What a store caches
 * of the tables is loaded again when another process has written, before any task is prepared.
 */
import { statfs } from 'node:fs/promises'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Clock } from '../runtime/clock.ts'
import { assert, BackhaulError } from '../runtime/errors.ts'
import { OwnerRow, type Access, type Change } from './owner-row.ts'
import {
  commitCause,
  isFull,
  isInputOutput,
  openLmdbRoot,
  type LmdbRoot,
  type Table,
} from './root.ts'
import type { CommitStanding, CommitTelemetry } from './telemetry.ts'

/** One caller's write. Tasks are prepared in the order in which they were asked for. */
export interface WriteTask<Result> {
  /** Bytes of keys and values that it adds; 0 for a task that only removes, which is never refused as full. */
  readonly bytes: number
  /**
   * Says what to write, when its commit is made up; once more when another process has written
   * meanwhile, after `abandoned`. What it throws refuses this task alone.
   */
  prepare(): readonly Change[]
  /** The commit is on disk. */
  committed(): Result
  /** Nothing of the commit is in the store; undoes what `prepare` staged. */
  abandoned(): void
}

/** How the store that stands on this names what can happen. */
export interface CommitErrors {
  full(received: string, cause?: unknown): BackhaulError
  unavailable(received: string, cause?: unknown): BackhaulError
  overtaken(): BackhaulError
  closed(): BackhaulError
  /** A write was asked of a reader. */
  readOnly(): BackhaulError
}

export interface GroupCommitOptions<Name extends string> {
  readonly folder: string
  readonly access: Access
  /** All tables of the store. */
  readonly tables: readonly Name[]
  /** Bytes that keys and values may take in LMDB's pages, free pages not counted. */
  readonly mapBytes: number
  /** Tasks of one commit hold at most this many bytes, one large task excepted. */
  readonly commitMaxBytes: number
  /** Bytes of tasks that wait for a commit; beyond, a task is refused as unavailable. */
  readonly queueMaxBytes: number
  /** Tasks that wait for a commit; likewise. */
  readonly queueMaxTasks: number
  readonly errors: CommitErrors
  readonly clock: Clock
  readonly telemetry: CommitTelemetry
  /** Another process has written: loads what the store caches of its tables. */
  load?(): void
  beforeCommit?(): Promise<void> | void
  afterCommit?(): Promise<void> | void
}

interface Queued {
  readonly task: WriteTask<unknown>
  resolve(result: unknown): void
  reject(error: unknown): void
}

/** What a commit writes, and the tasks that stand or fall with it. */
interface Batch {
  readonly staged: readonly Queued[]
  readonly changes: readonly Change[]
}

/** Room in the map beyond the budget, so that LMDB need not map the file anew. */
const MAP_SLACK_BYTES = 64 * 1024 * 1024

export class GroupCommit<Name extends string = string> {
  readonly #options: GroupCommitOptions<Name>
  readonly #root: LmdbRoot
  readonly #owner: OwnerRow
  readonly #tables: ReadonlyMap<string, Table>
  readonly #queue: Queued[] = []
  #queuedBytes = 0
  #running: Promise<void> | undefined
  #closed = false
  #broken: unknown
  /** Never below the bytes in use; measured again before anything is refused for it. */
  #usedBytesAtMost: number
  /** Part of the bound that the commit being made up will use. */
  #stagedBytes = 0

  constructor(options: GroupCommitOptions<Name>) {
    const { access, errors, folder, mapBytes, tables } = options
    this.#options = options
    try {
      this.#root = openLmdbRoot(folder, mapBytes + MAP_SLACK_BYTES, access === 'reader')
      this.#owner = new OwnerRow(this.#root, errors.overtaken)
      this.#tables = new Map(tables.map((name) => [name, this.#root.table(name)]))
      if (access === 'owner') this.#owner.claim()
    } catch (error) {
      throw errors.unavailable(error instanceof Error ? error.message : String(error), error)
    }
    this.#usedBytesAtMost = this.measureUsedBytes()
    options.telemetry.standingIsRead(() => this.#standing())
  }

  table(name: Name): Table {
    const table = this.#tables.get(name)
    assert(table !== undefined, 'a table is opened with its store')
    return table
  }

  /** Whether what the store caches is written by this process and, which it notices, its guests. */
  get isOwner(): boolean {
    return this.#options.access === 'owner'
  }

  /** Throws for a reader. */
  assertWrites(): void {
    if (this.#options.access === 'reader') throw this.#options.errors.readOnly()
  }

  /**
   * Called before a read: lets a guest or reader see what others have written so far, which an
   * owner's reads do without. Throws when the store has failed for good.
   */
  beforeRead(): void {
    if (this.#broken !== undefined) throw this.#unavailable()
    if (!this.isOwner) this.#root.database.resetReadTxn()
  }

  /** Looks for what guests have written beside an owner that does not write itself. */
  noticeGuests(): void {
    const mayLook = !this.#closed && this.#broken === undefined && this.#running === undefined
    if (mayLook && this.#owner.guestHasWritten()) this.#load()
  }

  /** Resolves with `task.committed()` once the task is on disk. */
  write<Result>(task: WriteTask<Result>): Promise<Result> {
    const { access, errors, queueMaxBytes, queueMaxTasks } = this.#options
    if (this.#closed) return this.#refuse(errors.closed())
    if (access === 'reader') return this.#refuse(errors.readOnly())
    if (this.#broken !== undefined) return this.#refuse(this.#unavailable())
    // A task larger than the whole queue may still wait alone.
    const tooMuch = this.#queue.length > 0 && this.#queuedBytes + task.bytes > queueMaxBytes
    if (tooMuch || this.#queue.length >= queueMaxTasks)
      return this.#refuse(
        errors.unavailable(
          `a full queue (${this.#queue.length} writes, ${this.#queuedBytes} bytes)`,
        ),
      )
    const done = new Promise<unknown>((resolve, reject) => {
      this.#queue.push({ task, resolve, reject })
    })
    this.#queuedBytes += task.bytes
    this.#running ??= this.#run()
    return done as Promise<Result>
  }

  /** Bytes of the pages in use, as LMDB counts them. */
  measureUsedBytes(): number {
    let bytes = 0
    for (const table of this.#tables.values()) {
      const stats = table.getStats() as PageCounts
      const pages = stats.treeBranchPageCount + stats.treeLeafPageCount + stats.overflowPages
      bytes += pages * stats.pageSize
    }
    return bytes
  }

  /** Lets the writes asked for so far end, refuses later ones, and closes the folder. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await this.#running
    await this.#root.database.close()
  }

  #unavailable(): BackhaulError {
    return this.#options.errors.unavailable('a store that failed and must be opened anew')
  }

  #refuse(error: BackhaulError): Promise<never> {
    this.#options.telemetry.writeRefused(error.code)
    return Promise.reject(error)
  }

  #standing(): CommitStanding {
    // LMDB answers no more for a folder that is closed or has failed.
    const isMeasurable = !this.#closed && this.#broken === undefined
    return {
      usedBytes: isMeasurable ? this.measureUsedBytes() : this.#usedBytesAtMost,
      budgetBytes: this.#options.mapBytes,
      queuedWrites: this.#queue.length,
      queuedBytes: this.#queuedBytes,
    }
  }

  async #run(): Promise<void> {
    while (this.#queue.length > 0) {
      // What else is asked for in this turn of the event loop shares the commit.
      await nextTurn()
      await this.#commit(this.#take())
    }
    this.#running = undefined
  }

  #take(): Queued[] {
    let bytes = 0
    let count = 0
    for (const { task } of this.#queue) {
      if (count > 0 && bytes + task.bytes > this.#options.commitMaxBytes) break
      bytes += task.bytes
      count += 1
    }
    this.#queuedBytes -= bytes
    return this.#queue.splice(0, count)
  }

  async #commit(queued: readonly Queued[]): Promise<void> {
    const { clock, telemetry } = this.#options
    const startedAtMs = clock.monotonicMs()
    let batch: Batch
    try {
      batch = await this.#write(queued)
    } catch (error) {
      const failure = await this.#failureOf(error)
      telemetry.commitFailed(failure.code)
      for (const { task } of queued) task.abandoned()
      // A task that was refused before has its answer already.
      for (const { reject } of queued) reject(failure)
      return
    }
    if (batch.changes.length > 0) {
      const bytes = batch.staged.reduce((sum, { task }) => sum + task.bytes, 0)
      telemetry.committed({ bytes, durationMs: clock.monotonicMs() - startedAtMs })
    }
    await this.#publish(batch.staged)
  }

  /** Resolves when what the tasks want is on disk. */
  async #write(queued: readonly Queued[]): Promise<Batch> {
    if (!this.isOwner) {
      await this.#options.beforeCommit?.()
      return this.#writeAlone(queued)
    }
    const batch = this.#prepare(queued)
    await this.#options.beforeCommit?.()
    if (batch.changes.length === 0) return batch
    if (await this.#owner.writeIfUnchanged(batch.changes)) return batch
    for (const { task } of batch.staged) task.abandoned()
    return this.#writeAlone(batch.staged)
  }

  #writeAlone(queued: readonly Queued[]): Promise<Batch> {
    if (this.#broken !== undefined) throw this.#unavailable()
    return this.#owner.writeAlone(() => {
      this.#load()
      return this.#prepare(queued)
    })
  }

  #load(): void {
    this.#root.database.resetReadTxn()
    this.#usedBytesAtMost = this.measureUsedBytes()
    this.#options.load?.()
  }

  /** Asks the tasks what to write; refuses those that cannot be. */
  #prepare(queued: readonly Queued[]): Batch {
    const staged: Queued[] = []
    const changes: Change[] = []
    this.#stagedBytes = 0
    for (const entry of queued) {
      try {
        if (this.#broken !== undefined) throw this.#unavailable()
        this.#reserve(entry.task.bytes)
        for (const change of entry.task.prepare()) changes.push(change)
        staged.push(entry)
      } catch (error) {
        if (error instanceof BackhaulError) this.#options.telemetry.writeRefused(error.code)
        entry.reject(error)
      }
    }
    return { staged, changes }
  }

  async #publish(staged: readonly Queued[]): Promise<void> {
    let failure: Error | undefined
    try {
      await this.#options.afterCommit?.()
    } catch (error) {
      failure = this.#options.errors.unavailable('a failure after the commit', error)
    }
    for (const { task, resolve, reject } of staged) {
      const result = task.committed()
      if (failure === undefined) resolve(result)
      else reject(failure)
    }
  }

  /** Throws when the store has no room for the bytes. */
  #reserve(bytes: number): void {
    if (bytes === 0) return
    const { mapBytes, errors } = this.#options
    const added = bytesInPages(bytes)
    if (this.#usedBytesAtMost + added > mapBytes) {
      this.#usedBytesAtMost = this.measureUsedBytes() + this.#stagedBytes
      if (this.#usedBytesAtMost + added > mapBytes)
        throw errors.full(`${bytes} bytes more in ${this.#usedBytesAtMost} of ${mapBytes} used`)
    }
    this.#usedBytesAtMost += added
    this.#stagedBytes += added
  }

  async #failureOf(error: unknown): Promise<BackhaulError> {
    const { errors, folder } = this.#options
    const cause = await commitCause(error)
    if (error instanceof BackhaulError) return error
    this.#probe()
    if (isFull(cause)) return errors.full('no space on the disk', cause)
    if (isInputOutput(cause) && (await isNearlyFull(folder)))
      return errors.full('a disk that is nearly full', cause)
    return errors.unavailable(cause instanceof Error ? cause.message : String(cause), cause)
  }

  /**
   * After some failures LMDB refuses every further transaction, and a write would then wait for
   * ever; an empty transaction shows it.
   */
  #probe(): void {
    try {
      this.#root.database.transactionSync(() => undefined)
    } catch (error) {
      this.#broken = error
    }
  }
}

interface PageCounts {
  readonly pageSize: number
  readonly treeBranchPageCount: number
  readonly treeLeafPageCount: number
  readonly overflowPages: number
}

const PAGE_BYTES = 4096

/** An upper bound: pages of small values are half full at worst, and the tree above them is small. */
function bytesInPages(bytes: number): number {
  return 2 * bytes + 2 * PAGE_BYTES
}

const NEARLY_FULL_BYTES = 16 * 1024 * 1024

async function isNearlyFull(folder: string): Promise<boolean> {
  const { bavail, bsize } = await statfs(folder)
  return bavail * bsize < NEARLY_FULL_BYTES
}
