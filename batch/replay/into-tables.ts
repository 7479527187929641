/**
 * Loads an archived range into the tables again: rows that are missing are inserted and the metrics
 * of their sessions and minutes computed, rows that are there stay. The runs that hold the range are
 * replayed whole. What only the log holds is loaded by a run of the batch, which takes the same steps.
 */
import { acquireLease } from '../../shared/objects/lease.ts'
import { TOPICS } from '../../shared/log/topics.ts'
import type { Cut as QoeCut } from '../../shared/qoe/cuts.ts'
import type { Clock } from '../../shared/runtime/clock.ts'
import { noFailpoints } from '../../shared/runtime/failpoints.ts'
import { readControl } from '../control.ts'
import { batchErrors } from '../errors.ts'
import { computeFacts } from '../fact-step.ts'
import { LEASE_NAME } from '../object-names.ts'
import type { RawTopic } from '../raw-line.ts'
import {
  type ReloadedRun,
  type ReloadParts,
  reloadRun,
  removeReplayLeftovers,
} from './reload-run.ts'
import { readRunFiles, type RunFile } from '../run-files.ts'
import { settleLate } from '../settle-late.ts'
import { refuseUnfinishedRun } from '../unfinished-run.ts'

export interface ReplayTablesParts extends ReloadParts {
  readonly clock: Clock
  readonly cuts: readonly QoeCut[]
  readonly holder: string
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

/**
 * Throws `LEASE_HELD`, `BATCH_REPLAY_NOTHING`, what reading, flattening and loading throw, and
 * `BATCH_REPLAY_RUN_UNFINISHED`: the jobs of a run that is half done do not write again what changes.
 */
export async function replayIntoTables(
  parts: ReplayTablesParts,
  range: ReplayRange,
): Promise<readonly ReloadedRun[]> {
  const { objects, holder, config, clock, signal } = parts
  const durationMs = config.leaseMs
  const lease = await acquireLease(objects, { name: LEASE_NAME, holder, durationMs, clock })
  const assertMayGoOn = () => {
    lease.assertHeld()
    signal?.throwIfAborted()
  }
  try {
    const { control, files, watermarks } = await lookUp(parts)
    await refuseUnfinishedRun(objects, control, 'BATCH_REPLAY_RUN_UNFINISHED')
    const within = files.filter((file) => isWithin(file, range))
    const runs = [...new Set(within.map(({ written }) => written.run))]
    if (runs.length === 0)
      throw batchErrors.create('BATCH_REPLAY_NOTHING', {
        expected: `raw files of ${range.topic}/${range.partition}`,
        received: `none from offset ${range.fromOffset} to ${range.toOffset}`,
      })
    // What is loaded again is not held back: nothing may wait that came before it.
    await settleLate({ ...parts, failpoints: noFailpoints, assertMayGoOn }, true)
    await removeReplayLeftovers(objects)
    const replayed: ReloadedRun[] = []
    for (const run of runs.toSorted((a, b) => a - b)) {
      const ofRun = files.filter(({ written }) => written.run === run)
      const jobs = `replay-${clock.nowMs()}-${run}`
      const replay = { run, files: ofRun, jobs, workers: 1, assertMayGoOn }
      const { dates, ...reloaded } = await reloadRun(parts, replay)
      // Watermarks as of the last cut: what has closed since the run stays closed.
      await computeFacts(parts, { run, dates, watermarks, jobs })
      replayed.push(reloaded)
      parts.onProgress?.(replayed.length, runs.length)
    }
    return replayed
  } finally {
    await lease.release()
  }
}

function isWithin(
  { written }: RunFile,
  { topic, partition, fromOffset, toOffset }: ReplayRange,
): boolean {
  const isOfPartition = written.topic === topic && written.partition === partition
  return isOfPartition && written.last >= fromOffset && written.first < toOffset
}

async function lookUp({ warehouse }: ReplayTablesParts) {
  const session = await warehouse.open()
  try {
    const control = await readControl(session)
    const watermarks = control.partitions
      .filter(({ topic }) => topic === TOPICS.events)
      .map(({ logPartition: partition, watermarkMs }) => ({ partition, watermarkMs }))
    return { control, files: await readRunFiles(session), watermarks }
  } finally {
    await session.close()
  }
}
