/** What is read and folded, how far it is, and what the fold puts out. */
import type { FoldCounters, FoldStatus } from '../shared/qoe/fold.ts'
import { defineMetrics, type Logger, type MetricsOf } from '../shared/runtime/telemetry.ts'
import { TASK_STATES, type PartitionTaskStatus, type TaskState } from './task-state.ts'

const partition = ['partition'] as const

export const foldMetrics = defineMetrics({
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
})

type Metrics = MetricsOf<typeof foldMetrics>

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

export function foldEvents(metrics: Metrics, log: Logger) {
  return {
    recordsRead(of: number, records: number) {
      metrics.recordsRead.inc({ partition: of }, records)
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
    taskReported(status: PartitionTaskStatus) {
      const of = { partition: status.partition }
      metrics.lagRecords.set(of, status.lagRecords)
      metrics.lagMs.set(of, status.lagMs)
      if (status.watermarkMs !== undefined) metrics.watermarkMs.set(of, status.watermarkMs)
    },
    stateChanged(of: number, state: TaskState) {
      for (const each of TASK_STATES)
        metrics.state.set({ partition: of, state: each }, each === state ? 1 : 0)
      log.info({ partition: of, state }, 'partition state')
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
  }
}

export function forgetFold(metrics: Metrics, of: number): void {
  for (const outcome of OUTCOMES) metrics.foldEvents.remove({ partition: of, outcome })
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
  ])
    gauge.remove({ partition: of })
}
