/**
 * Group commit over one LMDB folder: writes that are asked for while a commit is on its way share
 * the next one, and so its flush. Commits follow one another, never overlap: a failed commit takes
 * down exactly the tasks in it, and what a task prepared always stands on durable state.
 *
 * One process writes a folder at a time. Every commit is conditional on an owner row that each
 * opening raises, so a process that was overtaken by another can write nothing any more.
 */
import { statfs } from 'node:fs/promises'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Clock } from '../runtime/clock.ts'
import { BackhaulError } from '../runtime/errors.ts'
import {
  commitCause,
  isFull,
  isInputOutput,
  openLmdbRoot,
  type LmdbRoot,
  type Table,
} from './root.ts'
import type { CommitStanding, CommitTelemetry } from './telemetry.ts'

/** Puts the value, or removes the key when there is none. */
export interface Change {
  readonly table: Table
  readonly key: Buffer
  readonly value: Buffer | undefined
}

/** One caller's write. Tasks are prepared in the order in which they were asked for. */
export interface WriteTask<Result> {
  /** Bytes of keys and values that it adds; 0 for a task that only removes, which is never refused as full. */
  readonly bytes: number
  /** Says what to write, when its commit is made up. What it throws refuses this task alone. */
  prepare(): readonly Change[]
  /** The commit is on disk. */
  committed(): Result
  /** The commit failed, nothing of it is in the store; undoes what `prepare` staged. */
  abandoned(): void
}

/** How the store that stands on this names what can happen. */
export interface CommitErrors {
  full(received: string, cause?: unknown): BackhaulError
  unavailable(received: string, cause?: unknown): BackhaulError
  overtaken(): BackhaulError
  closed(): BackhaulError
}

export interface GroupCommitOptions {
  readonly folder: string
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
  beforeCommit?(): Promise<void> | void
  afterCommit?(): Promise<void> | void
}

interface Queued {
  readonly task: WriteTask<unknown>
  resolve(result: unknown): void
  reject(error: unknown): void
}

const OWNER_KEY = Buffer.from('owner')
/** Room in the map beyond the budget, so that LMDB need not map the file anew. */
const MAP_SLACK_BYTES = 64 * 1024 * 1024

export class GroupCommit {
  readonly #options: GroupCommitOptions
  readonly #root: LmdbRoot
  readonly #owner: Table
  readonly #ownerVersion: number
  readonly #tables: Table[] = []
  readonly #queue: Queued[] = []
  #queuedBytes = 0
  #running: Promise<void> | undefined
  #closed = false
  #broken: unknown
  /** Never below the bytes in use; measured again before anything is refused for it. */
  #usedBytesAtMost = 0
  /** Part of the bound that the commit being made up will use. */
  #stagedBytes = 0

  constructor(options: GroupCommitOptions) {
    this.#options = options
    this.#root = openLmdbRoot(options.folder, options.mapBytes + MAP_SLACK_BYTES)
    this.#owner = this.#root.table('owner', { versions: true })
    this.#ownerVersion = this.#root.database.transactionSync(() => {
      const version = (this.#owner.getEntry(OWNER_KEY)?.version ?? 0) + 1
      this.#owner.putSync(OWNER_KEY, Buffer.from('1'), version)
      return version
    })
    options.telemetry.standingIsRead(() => this.#standing())
  }

  table(name: string): Table {
    const table = this.#root.table(name)
    this.#tables.push(table)
    this.#usedBytesAtMost = this.measureUsedBytes()
    return table
  }

  /** Resolves with `task.committed()` once the task is on disk. */
  write<Result>(task: WriteTask<Result>): Promise<Result> {
    const { errors, queueMaxBytes, queueMaxTasks } = this.#options
    if (this.#closed) return this.#refuse(errors.closed())
    if (this.#broken !== undefined)
      return this.#refuse(errors.unavailable('a store that failed and must be opened anew'))
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
    for (const table of this.#tables) {
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
    const { errors, clock, telemetry } = this.#options
    const startedAtMs = clock.monotonicMs()
    const staged: Queued[] = []
    const changes: Change[] = []
    this.#stagedBytes = 0
    for (const entry of queued) {
      try {
        if (this.#broken !== undefined) throw errors.unavailable('a store that failed before')
        this.#reserve(entry.task.bytes)
        for (const change of entry.task.prepare()) changes.push(change)
        staged.push(entry)
      } catch (error) {
        if (error instanceof BackhaulError) telemetry.writeRefused(error.code)
        entry.reject(error)
      }
    }
    try {
      await this.#options.beforeCommit?.()
      if (changes.length > 0) await this.#apply(changes)
    } catch (error) {
      const failure = await this.#failureOf(error)
      telemetry.commitFailed(failure.code)
      for (const { task } of staged) task.abandoned()
      for (const { reject } of staged) reject(failure)
      return
    }
    if (changes.length > 0) {
      const bytes = staged.reduce((sum, { task }) => sum + task.bytes, 0)
      telemetry.committed({ bytes, durationMs: clock.monotonicMs() - startedAtMs })
    }
    await this.#publish(staged)
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

  async #apply(changes: readonly Change[]): Promise<void> {
    const written = await this.#owner.ifVersion(OWNER_KEY, this.#ownerVersion, () => {
      for (const { table, key, value } of changes) {
        // The writes' own promises stand for the condition's, which is awaited.
        if (value === undefined) void table.remove(key)
        else void table.put(key, value)
      }
    })
    if (!written) throw this.#options.errors.overtaken()
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
