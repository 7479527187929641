/**
 * One run of the batch, its steps in order. Each step leaves something that is created once or that
 * a repeat cannot change, and the control rows come last: a run that is cut off anywhere is gone on
 * with by the next, which takes the same ranges, names and jobs and ends with the same rows.
 *
 *   cut ─► raw files ─► manifest ─► staging files ─► tables ─► facts ─► quality ─► ledger, report
 *   ─► control rows
 *
 * What a run holds back is loaded after such a run, every so often (`settle-late.ts`).
 * Raw and staging files may have been made by shards (`shard.ts`); the run makes what they have not.
 */
import type { ContentSource } from '../shared/content/content-source.ts'
import type { EventLog } from '../shared/log/event-log.ts'
import { TOPICS } from '../shared/log/topics.ts'
import { acquireLease } from '../shared/objects/lease.ts'
import type { ObjectStore } from '../shared/objects/object-store.ts'
import type { Cut as QoeCut } from '../shared/qoe/cuts.ts'
import type { FoldLimits } from '../shared/qoe/fold.ts'
import type { Clock } from '../shared/runtime/clock.ts'
import { BackhaulError } from '../shared/runtime/errors.ts'
import type { Failpoints } from '../shared/runtime/failpoints.ts'
import type { Warehouse, WarehouseUsage } from '../shared/warehouse/warehouse.ts'
import { beginControl, beginCut } from './begin-run.ts'
import type { BatchConfig } from './config.ts'
import type { ContentOfRun } from './content-facts.ts'
import { boundaryOf, type Control, watermarksAtCut, writeControl } from './control.ts'
import { type AcceptedLoss, type Cut, type Problem, readCut } from './cut.ts'
import { computeFacts } from './fact-step.ts'
import { flatten, removeLateFiles, removeStrayFiles, type StagingFile } from './flatten.ts'
import { FlattenDatabase } from './flatten-database.ts'
import { writeLedger } from './ledger.ts'
import { jobsOf, load, type Loaded } from './load.ts'
import { type Manifest, readManifest, writeManifest } from './manifest.ts'
import { LEASE_NAME } from './object-names.ts'
import { checkQuality, type QualityFlag } from './quality.ts'
import { readParts, waitForParts } from './parts.ts'
import { manifestOf, writeRawFiles, type WrittenRange } from './raw-files.ts'
import { reportOf, type RunReport, writeReport } from './report.ts'
import { settleLate } from './settle-late.ts'
import type { BatchTelemetry } from './telemetry.ts'
import { nextRun } from './unfinished-run.ts'

export interface BatchParts {
  readonly log: EventLog
  readonly objects: ObjectStore
  readonly warehouse: Warehouse
  readonly clock: Clock
  readonly config: BatchConfig
  readonly limits: FoldLimits
  readonly cuts: readonly QoeCut[]
  /** How long the log keeps records, ms: what it says of the lag. */
  readonly logRetentionMs: number
  readonly telemetry: BatchTelemetry
  readonly failpoints: Failpoints
  /** Content metadata; absent where there is none. */
  readonly content?: ContentSource
  /** Who runs; shown to whoever is refused meanwhile. */
  readonly holder: string
  /** For files on their way. */
  readonly temporaryFolder: string
}

/** In their order. */
const RUN_STEPS = [
  'control',
  'cut',
  'raw files',
  'flatten',
  'load',
  'facts',
  'quality',
  'close',
] as const
type RunStep = (typeof RUN_STEPS)[number]

export interface RunOptions {
  /** Partitions whose lost records are given up. */
  readonly acceptLoss?: readonly AcceptedLoss[]
  /**
   * Waits so long, ms, until shards have made every range of their cut, then makes what they have not;
   * takes no cut by itself.
   */
  readonly mergeWithinMs?: number
  /** Decides about all copies in `late_events` afterwards, however long they have waited. */
  readonly settleLate?: boolean
  /**
   * Ends the run before its next step, and while it makes Parquet at once; a statement of the warehouse ends
   * when that is closed. The next run goes on with it.
   */
  readonly signal?: AbortSignal
  /** Called when a step begins, with its name and how many of all are done. */
  readonly onStep?: (step: RunStep, done: number, steps: number) => void
}

export type RunOutcome =
  | { readonly outcome: 'completed'; readonly report: RunReport }
  /** Nothing new, or nothing that can be taken: then `problems` say why. */
  | { readonly outcome: 'idle'; readonly problems: readonly Problem[] }

/**
 * Throws `LEASE_HELD` while another run is under way, and what a step throws; the run is then gone
 * on with by the next one.
 */
export async function runBatch(parts: BatchParts, options: RunOptions): Promise<RunOutcome> {
  const { objects, config, clock, holder, telemetry } = parts
  try {
    const durationMs = config.leaseMs
    const lease = await acquireLease(objects, { name: LEASE_NAME, holder, durationMs, clock })
    try {
      const assertMayGoOn = () => {
        lease.assertHeld()
        options.signal?.throwIfAborted()
      }
      const outcome = await new Run(parts, options, assertMayGoOn).run()
      await settleLate({ ...parts, assertMayGoOn }, options.settleLate === true)
      return outcome
    } finally {
      await lease.release()
    }
  } catch (error) {
    if (options.signal?.aborted === true) {
      telemetry.runInterrupted()
      throw options.signal.reason
    }
    if (error instanceof BackhaulError && error.code === 'LEASE_HELD') telemetry.runRefused(error)
    else telemetry.runFailed(error)
    throw error
  }
}

class Run {
  readonly #parts: BatchParts
  readonly #options: RunOptions
  readonly #assertMayGoOn: () => void
  readonly #stepsMs: Record<string, number> = {}
  readonly #usedBefore: WarehouseUsage | undefined

  constructor(parts: BatchParts, options: RunOptions, assertMayGoOn: () => void) {
    this.#parts = parts
    this.#options = options
    this.#assertMayGoOn = assertMayGoOn
    this.#usedBefore = parts.warehouse.usage?.()
  }

  async run(): Promise<RunOutcome> {
    const { telemetry, failpoints } = this.#parts
    const control = await this.#step('control', () => this.#control())
    const cut = await this.#step('cut', () => this.#cut(control))
    if (cut === undefined || cut.ranges.length === 0) return this.#idle(cut?.leftOut ?? [])
    if (cut.lag !== undefined) telemetry.lagMeasured(cut.lag)
    await failpoints.hit('batch.afterCut')
    const manifest = await this.#step('raw files', () => this.#manifest(cut))
    if (manifest.ranges.length === 0) return this.#idle(manifest.leftOut)
    await failpoints.hit('batch.afterManifest')
    const staging = await this.#step('flatten', () => this.#flatten(cut, manifest))
    await failpoints.hit('batch.afterFlatten')
    const loaded = await this.#step('load', () => this.#load(cut, staging))
    const watermarks = watermarksAtCut(control, manifest)
    const { dates } = loaded
    const jobs = jobsOf(cut.run)
    const { sessionDates } = await this.#step('facts', async () => {
      const context = { ...this.#parts, content: await this.#content() }
      return computeFacts(context, { run: cut.run, dates, watermarks, jobs })
    })
    await failpoints.hit('batch.afterFacts')
    const flags = await this.#step('quality', () =>
      checkQuality(this.#parts, { cut, manifest, dates, sessionDates }),
    )
    await failpoints.hit('batch.afterQuality')
    const boundaryMs = await this.#boundary(control, manifest)
    const report = await this.#step('close', () =>
      this.#close({ cut, manifest, staging, loaded, boundaryMs, flags }),
    )
    await failpoints.hit('batch.afterControlRows')
    for (const problem of manifest.leftOut) telemetry.partitionLeftOut(problem)
    telemetry.runCompleted({ run: cut.run, atMs: this.#parts.clock.nowMs(), boundaryMs })
    return { outcome: 'completed', report }
  }

  /** A shard that came too late for the last run may have been killed before it took its files away. */
  async #control(): Promise<Control> {
    const control = await beginControl(this.#parts.warehouse)
    await removeLateFiles(this.#parts.objects, control.lastRun)
    return control
  }

  async #cut(control: Control): Promise<Cut | undefined> {
    const { objects } = this.#parts
    const { acceptLoss = [], mergeWithinMs } = this.#options
    if (mergeWithinMs !== undefined) return readCut(objects, await nextRun(objects, control))
    const assertMayGoOn = this.#assertMayGoOn
    return beginCut({ ...this.#parts, acceptLoss, assertMayGoOn }, control)
  }

  /**
   * Raw files of a range that failed midway go once it is decided that they do not count: the next run
   * takes the range again and may divide it into others, and in no ledger no erasure would find them.
   */
  async #manifest(cut: Cut): Promise<Manifest> {
    const { objects } = this.#parts
    const manifest = (await readManifest(objects, cut.run)) ?? (await this.#newManifest(cut))
    for (const name of manifest.givenUp) await objects.delete(name)
    return manifest
  }

  /** Raw files first, the manifest last. */
  async #newManifest(cut: Cut): Promise<Manifest> {
    const { objects, failpoints } = this.#parts
    await this.#waitForShards(cut)
    const manifest = manifestOf(cut, await this.#writtenRanges(cut))
    await failpoints.hit('batch.afterRawFiles')
    await writeManifest(objects, manifest)
    return manifest
  }

  /** A shard that was evicted, or was done before this cut was taken, may never make its ranges. */
  async #waitForShards(cut: Cut): Promise<void> {
    const { mergeWithinMs: waitMs, signal } = this.#options
    if (waitMs === undefined) return
    const assertMayGoOn = this.#assertMayGoOn
    const missing = await waitForParts({ ...this.#parts, waitMs, signal, assertMayGoOn }, cut)
    const { run, ranges } = cut
    if (missing > 0) this.#parts.telemetry.shardsLate({ run, missing, ranges: ranges.length })
  }

  /** What has become of every range of the cut: by shards, or by this run. */
  async #writtenRanges(cut: Cut): Promise<WrittenRange[]> {
    const context = { ...this.#parts, assertMayGoOn: this.#assertMayGoOn }
    const { objects } = this.#parts
    const parts = await readParts(objects, cut)
    const missing = [...cut.ranges.entries()].filter(([place]) => !parts.has(place))
    const ranges = missing.map(([, range]) => range)
    const written = await writeRawFiles(context, cut, ranges)
    const own = new Map(missing.map(([place], index) => [place, written[index]]))
    // What a shard has kept meanwhile counts: it may have read what this run could not.
    const kept = missing.length === 0 ? parts : await readParts(objects, cut)
    return [...cut.ranges.keys()].flatMap(
      (place) => kept.get(place)?.written ?? own.get(place) ?? [],
    )
  }

  async #flatten(cut: Cut, manifest: Manifest): Promise<readonly StagingFile[]> {
    const { config, temporaryFolder, objects, clock } = this.#parts
    const { signal } = this.#options
    const parts = await readParts(objects, cut)
    const context = {
      ...this.#parts,
      assertMayGoOn: this.#assertMayGoOn,
      openDatabase: () =>
        FlattenDatabase.open({
          temporaryFolder,
          memoryBytes: config.flattenMemoryBytes,
          threads: config.flattenThreads,
          clock,
          signal,
        }),
    }
    const made = [...parts.values()].flatMap(({ staging }) => staging)
    const staging = await flatten(context, { cut, manifest, made })
    await removeStrayFiles(objects, cut.run, staging)
    return staging
  }

  #load(cut: Cut, staging: readonly StagingFile[]): Promise<Loaded> {
    const { run, cutAtMs: heldAtMs } = cut
    const context = { ...this.#parts, assertMayGoOn: this.#assertMayGoOn }
    return load(context, { run, files: staging, jobs: jobsOf(run), heldAtMs })
  }

  /** The metadata as it is now, or the last good; a source that cannot be read holds no run up. */
  async #content(): Promise<ContentOfRun | undefined> {
    const { content, clock, telemetry } = this.#parts
    if (content === undefined) return undefined
    const takenAtMs = clock.nowMs()
    try {
      await content.refresh((error) => telemetry.contentRefused(error), this.#options.signal)
    } catch (error) {
      this.#options.signal?.throwIfAborted()
      telemetry.contentFailed(error)
    }
    return { catalogue: content.catalogue, takenAtMs }
  }

  async #boundary(control: Control, manifest: Manifest): Promise<number | undefined> {
    const { log, limits } = this.#parts
    const { partitions } = await log.describeTopic(TOPICS.events)
    return boundaryOf(watermarksAtCut(control, manifest), partitions, limits)
  }

  /** The run is over when its control rows are written. */
  async #close(done: {
    readonly cut: Cut
    readonly manifest: Manifest
    readonly staging: readonly StagingFile[]
    readonly loaded: Loaded
    readonly boundaryMs: number | undefined
    readonly flags: readonly QualityFlag[]
  }): Promise<RunReport> {
    const { warehouse, objects, clock, config, failpoints } = this.#parts
    const usage = this.#usage()
    const report = reportOf({ ...done, usage, config, stepsMs: this.#stepsMs })
    const session = await warehouse.open()
    try {
      this.#assertMayGoOn()
      await writeLedger(session, done)
      await failpoints.hit('batch.afterLedger')
      await writeReport(objects, report)
      await failpoints.hit('batch.afterReport')
      const { partitions } = done.loaded
      await writeControl(session, { ...done, usage, partitions, endedAtMs: clock.nowMs() })
    } finally {
      await session.close()
    }
    return report
  }

  /** Up to here: the statements that write it down are not in it. */
  #usage(): WarehouseUsage | undefined {
    const [before, now] = [this.#usedBefore, this.#parts.warehouse.usage?.()]
    if (before === undefined || now === undefined) return undefined
    return {
      bytesRead: now.bytesRead - before.bytesRead,
      bytesBilled: now.bytesBilled - before.bytesBilled,
    }
  }

  #idle(problems: readonly Problem[]): RunOutcome {
    const { telemetry } = this.#parts
    for (const problem of problems) telemetry.partitionLeftOut(problem)
    telemetry.runIdle()
    return { outcome: 'idle', problems }
  }

  async #step<Result>(name: RunStep, action: () => Promise<Result>): Promise<Result> {
    this.#assertMayGoOn()
    this.#options.onStep?.(name, RUN_STEPS.indexOf(name), RUN_STEPS.length)
    const { clock, telemetry } = this.#parts
    const startMs = clock.monotonicMs()
    const result = await action()
    const durationMs = Math.round(clock.monotonicMs() - startMs)
    this.#stepsMs[name] = durationMs
    telemetry.stepDone(name, durationMs)
    return result
  }
}
