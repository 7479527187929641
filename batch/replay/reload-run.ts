/**
 * Loads one run of the batch again from its raw files. What is event and what is copy is decided by
 * all copies of a run at once, so a run is loaded whole, and by what stood before its records in the
 * log, so it ends with the rows it had. Files become Parquet in several workers at a time, each a
 * database with memory of its own; the tables have one writer.
 */
import type { ObjectStore } from '../../shared/objects/object-store.ts'
import type { FoldLimits } from '../../shared/qoe/fold.ts'
import type { Clock } from '../../shared/runtime/clock.ts'
import { type Failpoints, noFailpoints } from '../../shared/runtime/failpoints.ts'
import type { Warehouse } from '../../shared/warehouse/warehouse.ts'
import type { BatchConfig } from '../config.ts'
import { flattenFile, type StagingFile } from '../flatten.ts'
import { FlattenDatabase } from '../flatten-database.ts'
import { REPLAY_LEFTOVERS_PER_PAGE } from '../limits.ts'
import { load } from '../load.ts'
import { REPLAYS_FOLDER, replayFileName } from '../object-names.ts'
import { readRunFile, type RunFile } from '../run-files.ts'
import type { BatchTelemetry } from '../telemetry.ts'

export interface ReloadParts {
  readonly objects: ObjectStore
  readonly warehouse: Warehouse
  readonly config: BatchConfig
  readonly limits: FoldLimits
  readonly telemetry: BatchTelemetry
  readonly temporaryFolder: string
  readonly clock: Clock
  readonly signal?: AbortSignal
  /** Off when absent. */
  readonly failpoints?: Failpoints
}

export interface RunToReload {
  readonly run: number
  /** All raw files of the run. */
  readonly files: readonly RunFile[]
  /** What the names of its jobs begin with: jobs that the tables remember are not run again. */
  readonly jobs: string
  /** Files that are made Parquet at a time. */
  readonly workers: number
  /** Throws when the work must not go on. */
  assertMayGoOn(): void
  onFile?(): void
}

export interface ReloadedRun {
  readonly run: number
  readonly files: number
  /** Rows of the run that the tables hold afterwards. */
  readonly events: number
  readonly copies: number
}

export interface Reloaded extends ReloadedRun {
  /** UTC days of the arrival of what was loaded, ascending. */
  readonly dates: readonly string[]
}

export async function reloadRun(parts: ReloadParts, of: RunToReload): Promise<Reloaded> {
  const { run, jobs, assertMayGoOn } = of
  const staged: StagingFile[] = []
  try {
    await flattenAll(parts, of, staged)
    const context = { failpoints: noFailpoints, ...parts, assertMayGoOn }
    const { dates, partitions } = await load(context, { run, files: staged, jobs })
    const sum = (column: 'events' | 'copies') =>
      partitions.reduce((total, row) => total + row[column], 0)
    return { run, files: of.files.length, events: sum('events'), copies: sum('copies'), dates }
  } finally {
    for (const { name } of staged) await parts.objects.delete(name)
  }
}

/** Staging files of replays that were killed. The lease of the batch must be held. */
export async function removeReplayLeftovers(objects: ObjectStore): Promise<void> {
  for (;;) {
    const page = await objects.list(REPLAYS_FOLDER, { limit: REPLAY_LEFTOVERS_PER_PAGE })
    if (page.length === 0) return
    for (const { name } of page) await objects.delete(name)
  }
}

async function flattenAll(
  parts: ReloadParts,
  of: RunToReload,
  staged: StagingFile[],
): Promise<void> {
  const waiting = [...of.files.entries()]
  const workers = Array.from({ length: Math.min(of.workers, waiting.length) }, async () => {
    try {
      await flattenWaiting(parts, { ...of, waiting, staged })
    } catch (error) {
      // The others end with the file they have.
      waiting.length = 0
      throw error
    }
  })
  for (const ended of await Promise.allSettled(workers))
    if (ended.status === 'rejected') throw ended.reason
}

interface Worker extends RunToReload {
  /** Shared by the workers: each takes the next. */
  readonly waiting: [number, RunFile][]
  readonly staged: StagingFile[]
}

async function flattenWaiting(parts: ReloadParts, worker: Worker): Promise<void> {
  const { objects, config, limits, temporaryFolder, clock, signal } = parts
  const { jobs, waiting, staged, assertMayGoOn, onFile } = worker
  const database = await FlattenDatabase.open({
    temporaryFolder,
    memoryBytes: config.flattenMemoryBytes,
    threads: config.flattenThreads,
    clock,
    signal,
  })
  try {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      assertMayGoOn()
      const [number, runFile] = next
      const { file: name, topic, partition } = runFile.present
      const file = {
        raw: { name, topic, partition },
        bytes: await readRunFile(objects, runFile),
        outOfOrdernessMs: limits.outOfOrdernessMs,
        nameOf: (kind: string) => replayFileName(jobs, kind, number),
      }
      staged.push(...(await flattenFile(parts, database, file)))
      onFile?.()
    }
  } finally {
    await database.close()
  }
}
