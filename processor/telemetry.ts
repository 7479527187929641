/** What the processor reports: its metrics, and the named events that move them. */
import {
  createMetrics,
  defineMetrics,
  type Logger,
  type TelemetryBase,
} from '../shared/runtime/telemetry.ts'
import type { DirtyQueue, FoldCounters, FoldStatus } from '../shared/qoe/fold.ts'
import { CATCH_UP_WAIT_MAX_MS, FRESHNESS_OBJECTIVE_MS } from './limits.ts'
import type { PartitionTaskStatus, TaskState } from './task-state.ts'
import { TASK_STATES } from './task-state.ts'

const partition = ['partition'] as const

/** Of ages since the log’s append; FRESHNESS_OBJECTIVE_MS is one of them. */
const AGE_MS = [5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 30_000, 60_000, 600_000]

export const processorMetrics = defineMetrics({
  foldEvents: {
    kind: 'gauge',
    name: 'processor_fold_events',
    help: 'Events of the current generation by outcome; read is the sum of all others at every moment.',
    labels: ['partition', 'outcome'],
  },
  ticks: {
    kind: 'gauge',
    name: 'processor_fold_ticks',
    help: 'Ticks read in the current generation.',
    labels: partition,
  },
  receivedAtClamped: {
    kind: 'gauge',
    name: 'processor_received_at_clamped_records',
    help: 'Records whose arrival time was later than the log’s append time, in the current generation.',
    labels: partition,
  },
  keysToOther: {
    kind: 'gauge',
    name: 'processor_keys_to_other',
    help: 'Keys that found their cut’s minute full and count as `other`, since the partition was taken up (limit: PROCESSOR_KEYS_PER_CUT_MINUTE_MAX). A key may count again.',
    labels: partition,
  },
  recordsRead: {
    kind: 'counter',
    name: 'processor_records_read_total',
    help: 'Records read from playback.events, repeats after a restart included.',
    labels: partition,
  },
  lagRecords: {
    kind: 'gauge',
    name: 'processor_lag_records',
    help: 'Records of the partition not yet folded.',
    labels: partition,
  },
  lagMs: {
    kind: 'gauge',
    name: 'processor_lag_ms',
    help: 'Age of the last record folded while there are later ones, else 0.',
    labels: partition,
  },
  watermarkMs: {
    kind: 'gauge',
    name: 'processor_watermark_ms',
    help: 'Watermark of the partition, epoch milliseconds.',
    labels: partition,
  },
  state: {
    kind: 'gauge',
    name: 'processor_partition_state',
    help: '1 for the state that the partition is in, else 0.',
    labels: ['partition', 'state'],
  },
  sessions: {
    kind: 'gauge',
    name: 'processor_state_sessions',
    help: 'Sessions held in the state.',
    labels: partition,
  },
  openSessions: {
    kind: 'gauge',
    name: 'processor_state_open_sessions',
    help: 'Sessions held that have not closed.',
    labels: partition,
  },
  panes: {
    kind: 'gauge',
    name: 'processor_state_panes',
    help: 'Minutes of cut keys held in the state.',
    labels: partition,
  },
  outputsPending: {
    kind: 'gauge',
    name: 'processor_outputs_pending',
    help: 'Closed sessions and exceptions not yet durable in their topics (limit: PROCESSOR_OUTPUTS_PENDING_MAX).',
    labels: partition,
  },
  outputsSent: {
    kind: 'counter',
    name: 'processor_outputs_sent_total',
    help: 'Records appended to the output topics.',
    labels: ['partition', 'topic'],
  },
  outputsLeft: {
    kind: 'counter',
    name: 'processor_outputs_left_to_primary_total',
    help: 'Closed sessions and exceptions of a secondary view, which the primary view puts out.',
    labels: partition,
  },
  viewPrimary: {
    kind: 'gauge',
    name: 'processor_view_primary',
    help: '1 while the view of this processor is the active one, which alone puts anything out, else 0.',
  },
  viewLookFailures: {
    kind: 'counter',
    name: 'processor_view_look_failures_total',
    help: 'Times that it could not be read which view is active; what was known last goes on to count.',
  },
  dirtyRows: {
    kind: 'gauge',
    name: 'processor_dirty_rows',
    help: 'Changed rows that wait to be written (limit: PROCESSOR_DIRTY_ROWS_MAX over all queues).',
    labels: ['partition', 'queue'],
  },
  writesInFlight: {
    kind: 'gauge',
    name: 'processor_writes_in_flight',
    help: 'Row writes under way (limit: PROCESSOR_WRITES_IN_FLIGHT_MAX per queue).',
    labels: ['partition', 'queue'],
  },
  oldestWriteMs: {
    kind: 'gauge',
    name: 'processor_oldest_write_ms',
    help: 'Age of the oldest row write under way (limit: PROCESSOR_WRITE_STALL_MS).',
    labels: partition,
  },
  rowsMayWaitMs: {
    kind: 'gauge',
    name: 'processor_rows_may_wait_ms',
    help: `How long rows may wait because the partition catches up with the log, 0 when it follows (limit: ${CATCH_UP_WAIT_MAX_MS}).`,
    labels: partition,
  },
  rowsWritten: {
    kind: 'counter',
    name: 'processor_rows_written_total',
    help: 'Rows durable in the speed store, repeats included.',
    labels: ['partition', 'queue'],
  },
  rowsExpired: {
    kind: 'counter',
    name: 'processor_rows_expired_total',
    help: 'Rows that were older than the row retention and were not written.',
    labels: ['partition', 'queue'],
  },
  writeDurationMs: {
    kind: 'histogram',
    name: 'processor_write_duration_ms',
    help: 'Time of a row write until it is durable, repeats included.',
    labels: ['queue'],
  },
  stepDurationMs: {
    kind: 'histogram',
    name: 'processor_step_duration_ms',
    help: 'Time that a step took for a batch with records; of fetch, the wait for them included.',
    labels: ['step'],
  },
  stepAgeMs: {
    kind: 'histogram',
    name: 'processor_record_age_ms',
    help: 'Age of the last record of a batch, since the log appended it, when the step was done with it. By the clocks of log and processor.',
    labels: ['step'],
    buckets: AGE_MS,
  },
  rowsDurableMs: {
    kind: 'histogram',
    name: 'processor_rows_durable_after_ms',
    help: 'Time from a mark in a queue of changed rows until all rows before it were durable. Marks are set as often as the queue is flushed.',
    labels: ['queue'],
  },
  narrowRows: {
    kind: 'counter',
    name: 'processor_narrow_rows_total',
    help: 'Rows of narrow cuts that are durable, by outcome: fresh, or stale when the oldest record in them was longer in the log than 10 s (FRESHNESS_OBJECTIVE_MS).',
    labels: ['outcome'],
  },
  narrowRowsAgeMs: {
    kind: 'histogram',
    name: 'processor_narrow_rows_age_ms',
    help: 'Age of the oldest record in the narrow rows of a flush, since the log appended it, when all of them were durable. By the clocks of log and processor.',
    buckets: AGE_MS,
  },
  retries: {
    kind: 'counter',
    name: 'processor_retries_total',
    help: 'Repeats of calls that failed for a while, by what was called.',
    labels: ['partition', 'call', 'code'],
  },
  paused: {
    kind: 'counter',
    name: 'processor_pauses_total',
    help: 'Times that a partition stopped reading, by reason.',
    labels: ['partition', 'reason'],
  },
  marksFull: {
    kind: 'counter',
    name: 'processor_progress_marks_skipped_total',
    help: 'Progress marks not set because a queue remembered as many as it may.',
    labels: ['partition', 'queue'],
  },
  poison: {
    kind: 'counter',
    name: 'processor_poison_records_total',
    help: 'Unreadable records, kept sealed in playback.rejects.',
    labels: partition,
  },
  poisonCut: {
    kind: 'counter',
    name: 'processor_poison_cut_total',
    help: 'Unreadable records of which playback.rejects took the beginning only; the whole is in playback.events.',
    labels: partition,
  },
  checkpointBytes: {
    kind: 'gauge',
    name: 'processor_checkpoint_bytes',
    help: 'Size of the last checkpoint.',
    labels: partition,
  },
  checkpointOffset: {
    kind: 'gauge',
    name: 'processor_checkpoint_offset',
    help: 'Offset that the last checkpoint shows.',
    labels: partition,
  },
  checkpointDurationMs: {
    kind: 'histogram',
    name: 'processor_checkpoint_duration_ms',
    help: 'Time from the cut of a checkpoint until it is durable.',
  },
  checkpointFailures: {
    kind: 'counter',
    name: 'processor_checkpoint_failures_total',
    help: 'Checkpoints that could not be saved and were left to the next interval.',
    labels: ['partition', 'code'],
  },
  checkpointsDamaged: {
    kind: 'counter',
    name: 'processor_checkpoints_damaged_total',
    help: 'Checkpoints found damaged at a start and passed over.',
    labels: partition,
  },
  rebuilds: {
    kind: 'counter',
    name: 'processor_rebuilds_total',
    help: 'Starts without a checkpoint: the partition is rebuilt under a new generation.',
    labels: partition,
  },
  generation: {
    kind: 'gauge',
    name: 'processor_generation',
    help: 'Generation of the partition’s rows.',
    labels: partition,
  },
  dataLossRecords: {
    kind: 'gauge',
    name: 'processor_data_loss_records',
    help: 'Records that expired before they were processed; alarm on anything above 0.',
    labels: partition,
  },
  ticksAppended: {
    kind: 'counter',
    name: 'processor_ticks_appended_total',
    help: 'Ticks appended to an idle partition.',
    labels: partition,
  },
  fenced: {
    kind: 'counter',
    name: 'processor_fenced_total',
    help: 'Times that this processor found itself replaced, dropped its state and joined again.',
  },
  leasesRefused: {
    kind: 'counter',
    name: 'processor_old_generation_refused_total',
    help: 'Commits and other work of an older group generation, refused before they were sent.',
    labels: partition,
  },
})

const OUTCOMES: readonly (keyof FoldCounters)[] = [
  'read',
  'applied',
  'duplicate',
  'late',
  'amended',
  'afterClose',
  'capped',
  'poison',
  'buffered',
]

const QUEUES: readonly DirtyQueue[] = ['narrow', 'wide', 'session', 'sessionUrgent']

export type ProcessorTelemetry = ReturnType<typeof createProcessorTelemetry>

export function createProcessorTelemetry({ registry, log }: TelemetryBase) {
  const metrics = createMetrics(processorMetrics, registry)
  // The first stale row is to be an increase.
  for (const outcome of ['fresh', 'stale']) metrics.narrowRows.inc({ outcome }, 0)
  return {
    log,
    ...recordEvents(metrics, log),
    ...storeEvents(metrics, log),
    ...lifeEvents(metrics, log),
  }
}

type Metrics = ReturnType<typeof createMetrics<typeof processorMetrics>>

function recordEvents(metrics: Metrics, log: Logger) {
  return {
    recordsRead(of: number, records: number) {
      metrics.recordsRead.inc({ partition: of }, records)
    },
    stepDone(step: string, done: { durationMs: number; ageMs: number }) {
      metrics.stepDurationMs.observe({ step }, done.durationMs)
      metrics.stepAgeMs.observe({ step }, Math.max(0, done.ageMs))
    },
    poisonKept(of: number, found: { offset: number; reason: string; traceparent?: string }) {
      metrics.poison.inc({ partition: of })
      log.warn({ partition: of, ...found }, 'unreadable record kept in playback.rejects')
    },
    poisonCut(of: number, bytes: number) {
      metrics.poisonCut.inc({ partition: of })
      log.warn({ partition: of, bytes }, 'playback.rejects takes the beginning of the record only')
    },
    foldReported(of: number, fold: FoldStatus) {
      for (const outcome of OUTCOMES)
        metrics.foldEvents.set({ partition: of, outcome }, fold.counters[outcome])
      metrics.ticks.set({ partition: of }, fold.ticks)
      metrics.receivedAtClamped.set({ partition: of }, fold.receivedAtClamped)
      metrics.keysToOther.set({ partition: of }, fold.keysToOther)
      metrics.sessions.set({ partition: of }, fold.sessions)
      metrics.openSessions.set({ partition: of }, fold.openSessions)
      metrics.panes.set({ partition: of }, fold.panes)
      metrics.outputsPending.set({ partition: of }, fold.pendingOutputs)
    },
    tickAppended(of: number) {
      metrics.ticksAppended.inc({ partition: of })
    },
  }
}

function storeEvents(metrics: Metrics, log: Logger) {
  return {
    queueReported(of: number, queue: string, sizes: { dirty: number; inFlight: number }) {
      metrics.dirtyRows.set({ partition: of, queue }, sizes.dirty)
      metrics.writesInFlight.set({ partition: of, queue }, sizes.inFlight)
    },
    oldestWrite(of: number, ageMs: number) {
      metrics.oldestWriteMs.set({ partition: of }, ageMs)
    },
    rowsMayWait(of: number, waitMs: number) {
      metrics.rowsMayWaitMs.set({ partition: of }, waitMs)
    },
    rowsWritten(of: number, queue: string, done: { rows: number; durationMs: number }) {
      metrics.rowsWritten.inc({ partition: of, queue }, done.rows)
      metrics.writeDurationMs.observe({ queue }, done.durationMs)
    },
    rowsDurable(queue: string, afterMs: number) {
      metrics.rowsDurableMs.observe({ queue }, afterMs)
    },
    narrowRowsDurable(rows: number, ageMs: number) {
      const outcome = ageMs > FRESHNESS_OBJECTIVE_MS ? 'stale' : 'fresh'
      metrics.narrowRows.inc({ outcome }, rows)
      metrics.narrowRowsAgeMs.observe(ageMs)
    },
    rowsExpired(of: number, queue: string, rows: number) {
      metrics.rowsExpired.inc({ partition: of, queue }, rows)
    },
    markSkipped(of: number, queue: string) {
      metrics.marksFull.inc({ partition: of, queue })
    },
    outputsSent(of: number, topic: string, records: number) {
      metrics.outputsSent.inc({ partition: of, topic }, records)
    },
    outputsLeft(of: number, outputs: number) {
      metrics.outputsLeft.inc({ partition: of }, outputs)
    },
    viewRole(isPrimary: boolean, activeView: string | undefined) {
      metrics.viewPrimary.set(isPrimary ? 1 : 0)
      const role = isPrimary ? 'primary' : 'secondary'
      log.info({ role, activeView }, 'role of this view among those that there are')
    },
    viewLookFailed(error: unknown, isFirst: boolean) {
      metrics.viewLookFailures.inc()
      if (isFirst) log.warn({ err: error }, 'which view is active cannot be read')
    },
    retried(of: number, call: string, error: { code: string; message: string; attempt: number }) {
      metrics.retries.inc({ partition: of, call, code: error.code })
      if (error.attempt === 0)
        log.warn({ partition: of, call, err: error.message }, 'call failed, trying again')
    },
    checkpointSaved(of: number, saved: { offset: number; bytes: number; durationMs: number }) {
      metrics.checkpointOffset.set({ partition: of }, saved.offset)
      metrics.checkpointBytes.set({ partition: of }, saved.bytes)
      metrics.checkpointDurationMs.observe(saved.durationMs)
      log.debug({ partition: of, ...saved }, 'checkpoint saved')
    },
    checkpointFailed(of: number, error: { code: string; message: string }) {
      metrics.checkpointFailures.inc({ partition: of, code: error.code })
      log.warn({ partition: of, err: error.message }, 'checkpoint not saved, the next one will be')
    },
  }
}

function lifeEvents(metrics: Metrics, log: Logger) {
  return {
    taskReported(status: PartitionTaskStatus) {
      const of = { partition: status.partition }
      metrics.lagRecords.set(of, status.lagRecords)
      metrics.lagMs.set(of, status.lagMs)
      if (status.watermarkMs !== undefined) metrics.watermarkMs.set(of, status.watermarkMs)
    },
    stateChanged(of: number, state: TaskState) {
      for (const each of TASK_STATES)
        metrics.state.set({ partition: of, state: each }, each === state ? 1 : 0)
      if (state === 'stopped') forget(metrics, of)
      log.info({ partition: of, state }, 'partition state')
    },
    paused(of: number, reason: string) {
      metrics.paused.inc({ partition: of, reason })
    },
    allCheckpointsDamaged(name: string, damaged: readonly string[]) {
      log.error({ checkpoint: name, damaged }, 'every checkpoint is damaged')
    },
    recovered(
      of: number,
      found: {
        offset: number
        generation: number
        damaged: readonly string[]
        migrations: readonly string[]
      },
    ) {
      const { migrations } = found
      if (migrations.length > 0)
        log.info({ partition: of, migrations }, 'checkpoint of an earlier format brought forward')
      metrics.generation.set({ partition: of }, found.generation)
      metrics.dataLossRecords.set({ partition: of }, 0)
      metrics.checkpointOffset.set({ partition: of }, found.offset)
      metrics.checkpointsDamaged.inc({ partition: of }, found.damaged.length)
      if (found.damaged.length > 0)
        log.error({ partition: of, damaged: found.damaged }, 'damaged checkpoints passed over')
    },
    rebuilding(of: number, generation: number) {
      metrics.rebuilds.inc({ partition: of })
      log.warn({ partition: of, generation }, 'no checkpoint: building from the earliest record')
    },
    dataLost(of: number, gap: { from: number; to: number }) {
      metrics.dataLossRecords.set({ partition: of }, gap.to - gap.from)
      log.fatal({ partition: of, ...gap }, 'records expired before they were processed')
    },
    taskFailed(of: number, error: { code: string; message: string; cause: unknown }) {
      log.error({ partition: of, code: error.code, err: error.cause }, error.message)
    },
    fenced(partitions: readonly number[]) {
      metrics.fenced.inc()
      log.warn({ partitions }, 'replaced in the group: state dropped, joining again')
    },
    oldGenerationRefused(of: number, generation: number) {
      metrics.leasesRefused.inc({ partition: of })
      log.warn({ partition: of, generation }, 'work of an older group generation refused')
    },
    commitFailed(of: number, error: { code: string; message: string }) {
      metrics.retries.inc({ partition: of, call: 'commit', code: error.code })
      log.warn({ partition: of, err: error.message }, 'offset not committed, the next one will be')
    },
    leaveFailed(error: { code: string; message: string }) {
      log.warn({ err: error.message }, 'could not leave the group')
    },
    joinFailed(error: { code: string; message: string }) {
      log.error({ err: error.message }, 'could not join the group, trying again')
    },
  }
}

/**
 * What stood of a partition that is somebody else's now: a lag that nobody works off any more, or a
 * state that nobody leaves, would go on to alert. Its state stays, as stopped.
 */
function forget(metrics: Metrics, of: number): void {
  const key = { partition: of }
  for (const outcome of OUTCOMES) metrics.foldEvents.remove({ ...key, outcome })
  for (const queue of QUEUES) {
    metrics.dirtyRows.remove({ ...key, queue })
    metrics.writesInFlight.remove({ ...key, queue })
  }
  for (const gauge of [
    metrics.ticks,
    metrics.receivedAtClamped,
    metrics.keysToOther,
    metrics.lagRecords,
    metrics.lagMs,
    metrics.watermarkMs,
    metrics.sessions,
    metrics.openSessions,
    metrics.panes,
    metrics.outputsPending,
    metrics.oldestWriteMs,
    metrics.rowsMayWaitMs,
    metrics.checkpointBytes,
    metrics.checkpointOffset,
    metrics.generation,
    metrics.dataLossRecords,
  ])
    gauge.remove(key)
}
