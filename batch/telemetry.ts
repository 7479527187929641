/** What the batch reports: its metrics, and the named events that move them. */
import { BackhaulError } from '../shared/runtime/errors.ts'
import {
  createMetrics,
  defineMetrics,
  type Logger,
  type MetricsOf,
  type TelemetryBase,
} from '../shared/runtime/telemetry.ts'
import type { ReconcileSummary } from '../shared/warehouse/reconcile-summary.ts'
import type { Problem } from './cut.ts'
import type { Lag } from './lag.ts'
import type { QualityFlag } from './quality.ts'
import { QUALITY_CHECKS } from './quality-checks.ts'
import type { RawCounts, RawTopic } from './raw-line.ts'
import type { StagingKind } from './staging.ts'

const STEP_SECONDS = [0.1, 0.5, 1, 5, 10, 30, 60, 300, 900, 3_600]

export const batchMetrics = defineMetrics({
  runs: {
    kind: 'counter',
    name: 'batch_runs_total',
    help: 'Runs by outcome: completed, idle (nothing new), refused (another run is under way), interrupted (by whoever ended the process) or failed.',
    labels: ['outcome'],
  },
  lastRun: {
    kind: 'gauge',
    name: 'batch_last_run_number',
    help: 'Number of the last completed run.',
  },
  lastCompletedAt: {
    kind: 'gauge',
    name: 'batch_last_completed_at_ms',
    help: 'When the last run was completed, epoch milliseconds.',
  },
  boundary: {
    kind: 'gauge',
    name: 'batch_boundary_ms',
    help: 'Minutes that end before this are complete in the history, epoch milliseconds.',
  },
  lagRecords: {
    kind: 'gauge',
    name: 'batch_lag_records',
    help: 'Records that were in no file when the last run took its cut.',
  },
  lagAge: {
    kind: 'gauge',
    name: 'batch_lag_age_ms',
    help: 'The oldest event among them was not older than this, milliseconds; the log keeps records for BACKHAUL_LOG_RETENTION_MS.',
  },
  stepSeconds: {
    kind: 'histogram',
    name: 'batch_step_seconds',
    help: 'Duration of the steps of a run.',
    labels: ['step'],
    buckets: STEP_SECONDS,
  },
  partitionsLeftOut: {
    kind: 'counter',
    name: 'batch_partitions_left_out_total',
    help: 'Partitions that a run could not take, by the code of the error.',
    labels: ['topic', 'code'],
  },
  recordsToRaw: {
    kind: 'counter',
    name: 'batch_raw_records_total',
    help: 'Records in raw files that were written, those written again after a kill included.',
    labels: ['topic'],
  },
  poisonToRaw: {
    kind: 'counter',
    name: 'batch_raw_poison_records_total',
    help: 'Records in raw files that could not be read: they stay in the file and become no row.',
    labels: ['topic'],
  },
  rawBytes: {
    kind: 'counter',
    name: 'batch_raw_bytes_total',
    help: 'Bytes of raw files, compressed.',
    labels: ['topic'],
  },
  flattenedRows: {
    kind: 'counter',
    name: 'batch_flattened_rows_total',
    help: 'Rows of staging files.',
    labels: ['kind'],
  },
  flattenedBytes: {
    kind: 'counter',
    name: 'batch_flattened_bytes_total',
    help: 'Bytes of staging files.',
    labels: ['kind'],
  },
  reconciledRows: {
    kind: 'gauge',
    name: 'batch_reconcile_rows',
    help: 'Rows of the last comparison of live and history: equal, explained (by exceptions), erased (explained by erasures), defect or pending.',
    labels: ['outcome'],
  },
  reconciledAt: {
    kind: 'gauge',
    name: 'batch_reconciled_at_ms',
    help: 'When live and history were last compared, epoch milliseconds.',
  },
  qualityFlags: {
    kind: 'gauge',
    name: 'batch_quality_flags',
    help: 'Rows of data_quality that the last run flagged, by check.',
    labels: ['check'],
  },
  insertedRows: {
    kind: 'counter',
    name: 'batch_inserted_rows_total',
    help: 'Rows that runs inserted into tables; a repeat inserts none.',
    labels: ['table'],
  },
  unnamedRemoved: {
    kind: 'counter',
    name: 'batch_unnamed_files_removed_total',
    help: 'Raw files that no ledger named, left by runs and shards that were cut off or came too late, and removed.',
  },
  lateWaiting: {
    kind: 'gauge',
    name: 'batch_late_events_waiting',
    help: 'Rows of late_events: copies that wait until all days are searched for earlier ones.',
  },
  lateSettled: {
    kind: 'counter',
    name: 'batch_late_events_settled_total',
    help: 'Copies that have left late_events for events and event_copies.',
  },
  contentFailures: {
    kind: 'counter',
    name: 'batch_content_failures_total',
    help: 'Runs that could not read the source of content metadata, by error code: the last good counts on.',
    labels: ['code'],
  },
  contentRefused: {
    kind: 'counter',
    name: 'batch_content_refused_total',
    help: 'Lines and records of content metadata that were left out, by error code.',
    labels: ['code'],
  },
})

export interface BatchTelemetry {
  rawFileWritten(
    topic: RawTopic,
    file: { readonly counts: RawCounts; readonly sizeBytes: number },
  ): void
  fileFlattened(kind: StagingKind, rows: number, bytes: number): void
  rowsInserted(table: string, rows: number): void
  /** Raw files that nothing named are gone. */
  unnamedRemoved(names: readonly string[]): void
  /** So many copies have left `late_events` now, and so many wait there. */
  lateSettled(settled: number, waiting: number): void
  /** How far the files are behind the log at the cut of a run. */
  lagMeasured(lag: Lag): void
  partitionLeftOut(problem: Problem): void
  /** Shards have not made so many ranges in time; the run makes them. */
  shardsLate(of: { readonly run: number; readonly missing: number; readonly ranges: number }): void
  /** What the run has flagged, the worst of each check first. */
  qualityChecked(flags: readonly QualityFlag[]): void
  stepDone(step: string, durationMs: number): void
  runCompleted(run: {
    readonly run: number
    readonly atMs: number
    readonly boundaryMs: number | undefined
  }): void
  reconciled(summary: ReconcileSummary): void
  contentFailed(error: unknown): void
  contentRefused(error: BackhaulError): void
  runIdle(): void
  runRefused(error: Error): void
  runInterrupted(): void
  runFailed(error: unknown): void
}

export function createBatchTelemetry(base: TelemetryBase): BatchTelemetry {
  const metrics = createMetrics(batchMetrics, base.registry)
  const log: Logger = base.log.child({ service: 'batch' })
  return {
    rawFileWritten(topic, { counts, sizeBytes }) {
      metrics.recordsToRaw.inc({ topic }, counts.records)
      metrics.poisonToRaw.inc({ topic }, counts.poison)
      metrics.rawBytes.inc({ topic }, sizeBytes)
    },
    fileFlattened(kind, rows, bytes) {
      metrics.flattenedRows.inc({ kind }, rows)
      metrics.flattenedBytes.inc({ kind }, bytes)
    },
    rowsInserted(table, rows) {
      metrics.insertedRows.inc({ table }, rows)
    },
    lateSettled(settled, waiting) {
      metrics.lateSettled.inc(settled)
      metrics.lateWaiting.set(waiting)
      if (settled > 0) log.info({ settled }, 'copies that waited in late_events are in events')
    },
    lagMeasured(lag) {
      metrics.lagRecords.set(lag.records)
      metrics.lagAge.set(lag.ageMs ?? 0)
      if (lag.isNearExpiry) log.warn(lag, 'records may expire before they are in files')
    },
    partitionLeftOut(problem) {
      const { topic, code } = problem
      metrics.partitionsLeftOut.inc({ topic, code })
      log.error(problem, 'a partition is left out of the run')
    },
    shardsLate(of) {
      log.warn(of, 'shards have not made every range in time; the run makes what is missing')
    },
    qualityChecked(flags) {
      for (const check of Object.keys(QUALITY_CHECKS)) {
        const [worst, ...others] = flags.filter((flag) => flag.check === check)
        metrics.qualityFlags.set({ check }, worst === undefined ? 0 : 1 + others.length)
        if (worst !== undefined) log.warn(worst, 'a check of data quality is flagged')
      }
    },
    stepDone(step, durationMs) {
      metrics.stepSeconds.observe({ step }, durationMs / 1_000)
      log.debug({ step, durationMs }, 'a step of the run is done')
    },
    reconciled({ compared, explained, erased, defects, pending, reconciledAtMs, verdict }) {
      const equal = compared - explained - erased - defects
      metrics.reconciledRows.set({ outcome: 'equal' }, equal)
      metrics.reconciledRows.set({ outcome: 'explained' }, explained)
      metrics.reconciledRows.set({ outcome: 'erased' }, erased)
      metrics.reconciledRows.set({ outcome: 'defect' }, defects)
      metrics.reconciledRows.set({ outcome: 'pending' }, pending)
      metrics.reconciledAt.set(reconciledAtMs)
      const counts = { verdict, compared, explained, erased, defects, pending }
      if (defects > 0) log.error(counts, 'live and history differ without a proof')
      else log.info(counts, 'live and history were compared')
    },
    unnamedRemoved(names) {
      metrics.unnamedRemoved.inc(names.length)
      log.info({ files: names.length, first: names[0] }, 'raw files that nothing named are removed')
    },
    ...contentEvents(metrics, log),
    ...outcomeEvents(metrics, log),
  }
}

function outcomeEvents(
  metrics: MetricsOf<
    Pick<typeof batchMetrics, 'runs' | 'lastRun' | 'lastCompletedAt' | 'boundary'>
  >,
  log: Logger,
): Pick<
  BatchTelemetry,
  'runCompleted' | 'runIdle' | 'runRefused' | 'runInterrupted' | 'runFailed'
> {
  return {
    runCompleted({ run, atMs, boundaryMs }) {
      metrics.runs.inc({ outcome: 'completed' })
      metrics.lastRun.set(run)
      metrics.lastCompletedAt.set(atMs)
      if (boundaryMs !== undefined) metrics.boundary.set(boundaryMs)
      log.info({ run, boundaryMs }, 'a run is completed')
    },
    runIdle() {
      metrics.runs.inc({ outcome: 'idle' })
    },
    runRefused(error) {
      metrics.runs.inc({ outcome: 'refused' })
      log.warn({ error: error.message }, 'another run is under way')
    },
    runInterrupted() {
      metrics.runs.inc({ outcome: 'interrupted' })
      log.info('the run was interrupted; the next goes on with it')
    },
    runFailed(error) {
      metrics.runs.inc({ outcome: 'failed' })
      log.error({ err: error }, 'the run failed; the next goes on with it')
    },
  }
}

function contentEvents(
  metrics: MetricsOf<Pick<typeof batchMetrics, 'contentFailures' | 'contentRefused'>>,
  log: Logger,
): Pick<BatchTelemetry, 'contentFailed' | 'contentRefused'> {
  return {
    contentFailed(error) {
      const code = error instanceof BackhaulError ? error.code : 'unknown'
      metrics.contentFailures.inc({ code })
      log.error({ err: error }, 'content metadata cannot be read: the last good counts on')
    },
    contentRefused(error) {
      metrics.contentRefused.inc({ code: error.code })
      log.warn({ err: error }, 'content metadata was left out')
    },
  }
}
