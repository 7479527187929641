/** Rows on their way into the speed store, and how long the steps up to there take. */
import type { DirtyQueue } from '../shared/qoe/fold.ts'
import { defineMetrics, type Logger, type MetricsOf } from '../shared/runtime/telemetry.ts'
import { CATCH_UP_WAIT_MAX_MS, FRESHNESS_OBJECTIVE_MS } from './limits.ts'

const partition = ['partition'] as const

/** Of ages since the log’s append; FRESHNESS_OBJECTIVE_MS is one of them. */
const AGE_MS = [5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 30_000, 60_000, 600_000]

export const rowMetrics = defineMetrics({
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
})

type Metrics = MetricsOf<typeof rowMetrics>

const QUEUES: readonly DirtyQueue[] = ['narrow', 'wide', 'session', 'sessionUrgent']

export function rowEvents(metrics: Metrics, log: Logger) {
  // The first stale row is to be an increase.
  for (const outcome of ['fresh', 'stale']) metrics.narrowRows.inc({ outcome }, 0)
  return {
    stepDone(step: string, done: { durationMs: number; ageMs: number }) {
      metrics.stepDurationMs.observe({ step }, done.durationMs)
      metrics.stepAgeMs.observe({ step }, Math.max(0, done.ageMs))
    },
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
    paused(of: number, reason: string) {
      metrics.paused.inc({ partition: of, reason })
    },
    retried(of: number, call: string, error: { code: string; message: string; attempt: number }) {
      metrics.retries.inc({ partition: of, call, code: error.code })
      if (error.attempt === 0)
        log.warn({ partition: of, call, err: error.message }, 'call failed, trying again')
    },
    commitFailed(of: number, error: { code: string; message: string }) {
      metrics.retries.inc({ partition: of, call: 'commit', code: error.code })
      log.warn({ partition: of, err: error.message }, 'offset not committed, the next one will be')
    },
  }
}

export function forgetRows(metrics: Metrics, of: number): void {
  for (const queue of QUEUES) {
    metrics.dirtyRows.remove({ partition: of, queue })
    metrics.writesInFlight.remove({ partition: of, queue })
  }
  metrics.oldestWriteMs.remove({ partition: of })
  metrics.rowsMayWaitMs.remove({ partition: of })
}
