/** What the LMDB speed store reports: its metrics, and the named events that move them. */
import { commitEvents, commitMetrics, type CommitTelemetry } from '../lmdb/telemetry.ts'
import { createMetrics, defineMetrics, type TelemetryBase } from '../runtime/telemetry.ts'
import { WRITE_QUEUE_MAX_BYTES, WRITE_QUEUE_MAX_TASKS } from './lmdb-limits.ts'

export const lmdbSpeedMetrics = defineMetrics({
  ...commitMetrics({
    service: 'speed',
    store: 'speed store',
    budgetSetting: 'BACKHAUL_SPEED_MAP_BYTES',
    queueMaxWrites: WRITE_QUEUE_MAX_TASKS,
    queueMaxBytes: WRITE_QUEUE_MAX_BYTES,
  }),
  expiredRows: {
    kind: 'counter',
    name: 'speed_expired_rows_total',
    help: 'Rows that were removed because their time was past.',
  },
  expiryFailures: {
    kind: 'counter',
    name: 'speed_expiry_failures_total',
    help: 'Removals of expired rows that failed and were left to the next.',
  },
})

export interface LmdbSpeedTelemetry extends CommitTelemetry {
  rowsExpired(rows: number): void
  expiryFailed(error: unknown): void
}

export function createLmdbSpeedTelemetry({ registry, log }: TelemetryBase): LmdbSpeedTelemetry {
  const metrics = createMetrics(lmdbSpeedMetrics, registry)
  return {
    ...commitEvents(metrics),
    rowsExpired(rows) {
      metrics.expiredRows.inc(rows)
      log.debug({ rows }, 'expired rows removed')
    },
    expiryFailed(error) {
      metrics.expiryFailures.inc()
      log.warn({ err: error }, 'removal of expired rows failed, the next run tries again')
    },
  }
}
