/** What the warehouse on BigQuery reports: its metrics, and the named events that move them. */
import { createMetrics, defineMetrics, type TelemetryBase } from '../runtime/telemetry.ts'
import { JOB_ATTEMPTS_MAX, REQUEST_ATTEMPTS_MAX } from './bigquery-limits.ts'

export const bigQueryMetrics = defineMetrics({
  duration: {
    kind: 'histogram',
    name: 'warehouse_bigquery_job_duration_ms',
    help: 'Time from a statement or load to its end, by what it was for.',
    labels: ['verb'],
  },
  repeats: {
    kind: 'counter',
    name: 'warehouse_bigquery_repeats_total',
    help: `Requests that failed and were sent again (limit for one: ${REQUEST_ATTEMPTS_MAX} times in all), by what they failed with.`,
    labels: ['reason'],
  },
  attempts: {
    kind: 'counter',
    name: 'warehouse_bigquery_job_attempts_total',
    help: `Jobs that were started because the one before had failed for good (limit for one call: ${JOB_ATTEMPTS_MAX} in all).`,
    labels: ['verb'],
  },
  processed: {
    kind: 'counter',
    name: 'warehouse_bigquery_processed_bytes_total',
    help: 'Bytes that statements have read, by what they were for.',
    labels: ['verb'],
  },
  billed: {
    kind: 'counter',
    name: 'warehouse_bigquery_billed_bytes_total',
    help: 'Bytes that jobs of verbs were billed for (limit for one: BIGQUERY_MAXIMUM_MIB_BILLED).',
    labels: ['verb'],
  },
})

export interface BigQueryTelemetry {
  ended(verb: string, durationMs: number, bytes: { processed: number; billed: number }): void
  repeated(reason: string): void
  attempted(verb: string): void
}

export function createBigQueryTelemetry({ registry }: TelemetryBase): BigQueryTelemetry {
  const metrics = createMetrics(bigQueryMetrics, registry)
  return {
    ended(verb, durationMs, { processed, billed }) {
      metrics.duration.observe({ verb }, durationMs)
      metrics.processed.inc({ verb }, processed)
      metrics.billed.inc({ verb }, billed)
    },
    repeated: (reason) => metrics.repeats.inc({ reason }),
    attempted: (verb) => metrics.attempts.inc({ verb }),
  }
}
