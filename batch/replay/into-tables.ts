/**
 * Loads an archived range into the tables again: rows that are missing are inserted and the metrics
 * of their sessions and minutes computed, rows that are there stay. What is event and what is copy
 * is decided by all copies of a run at once, so the runs that hold the range are replayed whole.
 * What only the log holds is loaded by a run of the batch, which takes the same steps.
 */
import { acquireLease } from '../../shared/objects/lease.ts'
import type { ObjectStore } from '../../shared/objects/object-store.ts'
import { TOPICS } from '../../shared/log/topics.ts'
import type { Cut as QoeCut } from '../../shared/qoe/cuts.ts'
import type { FoldLimits } from '../../shared/qoe/fold.ts'
import type { Clock } from '../../shared/runtime/clock.ts'
import { noFailpoints } from '../../shared/runtime/failpoints.ts'
import type { Warehouse } from '../../shared/warehouse/warehouse.ts'
import type { BatchConfig } from '../config.ts'
import { type PartitionWatermark, readControl } from '../control.ts'
import { batchErrors } from '../errors.ts'
import { computeFacts } from '../fact-step.ts'
import { flattenFile, type StagingFile } from '../flatten.ts'
import { FlattenDatabase } from '../flatten-database.ts'
import { load } from '../load.ts'
import { LEASE_NAME, replayFileName } from '../object-names.ts'
import type { RawTopic } from '../raw-line.ts'
import type { BatchTelemetry } from '../telemetry.ts'
import { type ArchivedFile, archivedFiles, readArchived } from './archive.ts'

export interface ReplayTablesParts {
  readonly objects: ObjectStore
  readonly warehouse: Warehouse
  readonly clock: Clock
  readonly config: BatchConfig
  readonly limits: FoldLimits
  readonly cuts: readonly QoeCut[]
  readonly telemetry: BatchTelemetry
  readonly holder: string
  readonly temporaryFolder: string
  readonly signal?: AbortSignal
  onProgress?(runsDone: number, runs: number): void
}

/** Offsets of a partition of a topic; `toOffset` is exclusive. */
export interface ReplayRange {
  readonly topic: RawTopic
  readonly partition: number
  readonly fromOffset: number
  readonly toOffset: number
}

export interface ReplayedRun {
  readonly run: number
  readonly files: number
  /** Rows of the run that the tables hold afterwards. */
  readonly events: number
  readonly copies: number
}

/** Throws `LEASE_HELD`, `BATCH_REPLAY_NOTHING`, and what reading, flattening and loading throw. */
export async function replayIntoTables(
  parts: ReplayTablesParts,
  range: ReplayRange,
): Promise<readonly ReplayedRun[]> {
  const { objects, holder, config, clock, signal } = parts
  const durationMs = config.leaseMs
  const lease = await acquireLease(objects, { name: LEASE_NAME, holder, durationMs, clock })
  const assertMayGoOn = () => {
    lease.assertHeld()
    signal?.throwIfAborted()
  }
  try {
    const { files, watermarks } = await lookUp(parts)
    const runs = [...new Set(files.filter((file) => isWithin(file, range)).map(({ run }) => run))]
    if (runs.length === 0)
      throw batchErrors.create('BATCH_REPLAY_NOTHING', {
        expected: `raw files of ${range.topic}/${range.partition}`,
        received: `none from offset ${range.fromOffset} to ${range.toOffset}`,
      })
    const replayed: ReplayedRun[] = []
    for (const run of runs.toSorted((a, b) => a - b)) {
      const ofRun = files.filter((file) => file.run === run)
      // A job that the tables remember is not run again: every replay has jobs of its own.
      const jobs = `replay-${clock.nowMs()}-${run}`
      const replay = { run, files: ofRun, watermarks, jobs, assertMayGoOn }
      replayed.push(await replayRun(parts, replay))
      parts.onProgress?.(replayed.length, runs.length)
    }
    return replayed
  } finally {
    await lease.release()
  }
}

function isWithin(file: ArchivedFile, { topic, partition, fromOffset, toOffset }: ReplayRange) {
  const isOfPartition = file.topic === topic && file.partition === partition
  return isOfPartition && file.last >= fromOffset && file.first < toOffset
}

async function lookUp({ warehouse }: ReplayTablesParts) {
  const session = await warehouse.open()
  try {
    const { partitions } = await readControl(session)
    const watermarks = partitions
      .filter(({ topic }) => topic === TOPICS.events)
      .map(({ logPartition: partition, watermarkMs }) => ({ partition, watermarkMs }))
    return { files: await archivedFiles(session), watermarks }
  } finally {
    await session.close()
  }
}

interface RunToReplay {
  readonly run: number
  readonly files: readonly ArchivedFile[]
  /** As of the last cut: what has closed since the run stays closed. */
  readonly watermarks: readonly PartitionWatermark[]
  readonly jobs: string
  assertMayGoOn(): void
}

async function replayRun(parts: ReplayTablesParts, of: RunToReplay): Promise<ReplayedRun> {
  const { run, files, watermarks, jobs, assertMayGoOn } = of
  const context = { ...parts, failpoints: noFailpoints, assertMayGoOn }
  const staged: StagingFile[] = []
  try {
    await flattenRun(parts, of, staged)
    const { dates, partitions } = await load(context, { run, files: staged, jobs })
    await computeFacts(parts, { run, dates, watermarks, jobs })
    const sum = (column: 'events' | 'copies') =>
      partitions.reduce((total, row) => total + row[column], 0)
    return { run, files: files.length, events: sum('events'), copies: sum('copies') }
  } finally {
    for (const { name } of staged) await parts.objects.delete(name)
  }
}

async function flattenRun(
  parts: ReplayTablesParts,
  { files, jobs, assertMayGoOn }: RunToReplay,
  staged: StagingFile[],
): Promise<void> {
  const { objects, config, limits, temporaryFolder } = parts
  const database = await FlattenDatabase.open({
    temporaryFolder,
    memoryBytes: config.flattenMemoryBytes,
    threads: config.flattenThreads,
  })
  try {
    for (const [number, raw] of files.entries()) {
      assertMayGoOn()
      const file = {
        raw,
        bytes: await readArchived(objects, raw),
        outOfOrdernessMs: limits.outOfOrdernessMs,
        nameOf: (kind: string) => replayFileName(jobs, kind, number),
      }
      staged.push(...(await flattenFile(parts, database, file)))
    }
  } finally {
    await database.close()
  }
}
