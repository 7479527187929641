/** What the LMDB event log reports: its metrics, and the named events that move them. */
import { commitEvents, commitMetrics, type CommitTelemetry } from '../lmdb/telemetry.ts'
import { collect, createMetrics, defineMetrics, type TelemetryBase } from '../runtime/telemetry.ts'
import { APPEND_QUEUE_MAX_BYTES, APPEND_QUEUE_MAX_CALLS, WAITING_READS_MAX } from './lmdb-limits.ts'

const ofPartition = ['topic', 'partition'] as const

export const lmdbLogMetrics = defineMetrics({
  ...commitMetrics({
    service: 'log',
    store: 'event log',
    budgetSetting: 'BACKHAUL_LOG_MAP_BYTES',
    queueMaxWrites: APPEND_QUEUE_MAX_CALLS,
    queueMaxBytes: APPEND_QUEUE_MAX_BYTES,
  }),
  waitingReads: {
    kind: 'gauge',
    name: 'log_waiting_reads',
    help: `Reads that wait for the next record of the partition (limit: ${WAITING_READS_MAX}).`,
    labels: ofPartition,
  },
  partitionBytes: {
    kind: 'gauge',
    name: 'log_partition_bytes',
    help: 'Bytes of the records that the partition keeps (retention: BACKHAUL_LOG_RETENTION_BYTES).',
    labels: ofPartition,
  },
  startOffset: {
    kind: 'gauge',
    name: 'log_start_offset',
    help: 'First offset that the partition still keeps.',
    labels: ofPartition,
  },
  endOffset: {
    kind: 'gauge',
    name: 'log_end_offset',
    help: 'Offset that the partition’s next record gets.',
    labels: ofPartition,
  },
  removedRecords: {
    kind: 'counter',
    name: 'log_retention_removed_records_total',
    help: 'Records that the retention removed.',
    labels: ['topic'],
  },
  retentionFailures: {
    kind: 'counter',
    name: 'log_retention_failures_total',
    help: 'Runs of the retention that failed and were left to the next.',
  },
  followingFailures: {
    kind: 'counter',
    name: 'log_following_failures_total',
    help: 'Looks for what other processes appended that failed and were left to the next.',
  },
})

/** How one partition stands at this moment. */
export interface LogPartitionStanding {
  readonly topic: string
  readonly partition: number
  readonly waitingReads: number
  readonly chunkBytes: number
  readonly startOffset: number
  readonly endOffset: number
}

export interface LmdbLogTelemetry extends CommitTelemetry {
  /** From now on, metrics read what `standing` answers. */
  partitionsAreRead(standing: () => Iterable<LogPartitionStanding>): void
  recordsRemoved(topic: string, records: number): void
  retentionFailed(error: unknown): void
  followingFailed(error: unknown): void
}

export function createLmdbLogTelemetry({ registry, log }: TelemetryBase): LmdbLogTelemetry {
  const metrics = createMetrics(lmdbLogMetrics, registry)
  return {
    ...commitEvents(metrics),
    partitionsAreRead(standing) {
      const fields = [
        [metrics.waitingReads, 'waitingReads'],
        [metrics.partitionBytes, 'chunkBytes'],
        [metrics.startOffset, 'startOffset'],
        [metrics.endOffset, 'endOffset'],
      ] as const
      for (const [metric, field] of fields)
        collect(metric, (gauge) => {
          for (const now of standing())
            gauge.set({ topic: now.topic, partition: now.partition }, now[field])
        })
    },
    recordsRemoved(topic, records) {
      metrics.removedRecords.inc({ topic }, records)
      log.debug({ topic, records }, 'records removed by the retention')
    },
    retentionFailed(error) {
      metrics.retentionFailures.inc()
      log.warn({ err: error }, 'retention of the log failed, the next run tries again')
    },
    followingFailed(error) {
      metrics.followingFailures.inc()
      log.debug({ err: error }, 'a look for what other processes appended failed')
    },
  }
}
