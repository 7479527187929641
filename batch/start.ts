/** Builds the batch from its ports. It does nothing by itself: a schedule or the CLI asks for runs. */
import type { ContentSource } from '../shared/content/content-source.ts'
import type { EventLog } from '../shared/log/event-log.ts'
import type { ObjectStore } from '../shared/objects/object-store.ts'
import type { Cut } from '../shared/qoe/cuts.ts'
import type { FoldLimits } from '../shared/qoe/fold.ts'
import type { Clock } from '../shared/runtime/clock.ts'
import type { Failpoints } from '../shared/runtime/failpoints.ts'
import type { TelemetryBase } from '../shared/runtime/telemetry.ts'
import type { ReconcileSummary } from '../shared/warehouse/reconcile-summary.ts'
import type { Warehouse } from '../shared/warehouse/warehouse.ts'
import type { BatchConfig } from './config.ts'
import type { AcceptedLoss } from './cut.ts'
import { planRun, type RunPlan } from './dry-run/plan-run.ts'
import { runBatch, type RunOptions, type RunOutcome } from './run.ts'
import { runShard, type ShardOptions, type ShardOutcome } from './shard.ts'
import { createBatchTelemetry } from './telemetry.ts'

export interface BatchOptions {
  readonly log: EventLog
  readonly objects: ObjectStore
  readonly warehouse: Warehouse
  readonly clock: Clock
  readonly config: BatchConfig
  /** Those of the processor, so that both compute the same metrics. */
  readonly limits: FoldLimits
  readonly cuts: readonly Cut[]
  /** How long the log keeps records, ms. */
  readonly logRetentionMs: number
  readonly telemetry: TelemetryBase
  readonly failpoints: Failpoints
  /** Content metadata; absent where there is none. */
  readonly content?: ContentSource
  /** Who runs; shown to whoever is refused meanwhile. */
  readonly holder: string
  /** For files on their way; may be shared, created when it is missing. */
  readonly temporaryFolder: string
}

export interface Batch {
  /**
   * One run: what came since the last, within bounds. When it throws, the next call goes on with
   * the same run. Throws `LEASE_HELD` while another run is under way, here or elsewhere.
   */
  run(options?: RunOptions): Promise<RunOutcome>
  /** What the next run would do; nothing is written, and no lease taken. */
  plan(acceptLoss?: readonly AcceptedLoss[]): Promise<RunPlan>
  /** The part of a shard in the next run: files of some partitions, which the run then takes. */
  runShard(options: ShardOptions): Promise<ShardOutcome>
  /** Shows in metrics and log what a reconciliation found that another process made. */
  showVerdict(verdict: ReconcileSummary): void
}

export function createBatch(options: BatchOptions): Batch {
  const parts = { ...options, telemetry: createBatchTelemetry(options.telemetry) }
  return {
    run: (runOptions = {}) => runBatch(parts, runOptions),
    plan: (acceptLoss) => planRun(parts, acceptLoss),
    runShard: (shardOptions) => runShard(parts, shardOptions),
    showVerdict: (verdict) => parts.telemetry.reconciled(verdict),
  }
}
