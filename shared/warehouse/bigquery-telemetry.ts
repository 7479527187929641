/** What the warehouse on BigQuery reports: its metrics, the named events that move them, and its bytes. */
import { createMetrics, defineMetrics, type TelemetryBase } from '../runtime/telemetry.ts'
import { JOB_ATTEMPTS_MAX, REQUEST_ATTEMPTS_MAX } from './bigquery-limits.ts'
import type { WarehouseUsage } from './warehouse.ts'

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

/** Adds up the bytes of what ends, whether or not anybody has the metrics. */
export class BigQueryUsage implements BigQueryTelemetry {
  readonly #metrics: BigQueryTelemetry | undefined
  #bytesRead = 0
  #bytesBilled = 0

  constructor(metrics: BigQueryTelemetry | undefined) {
    this.#metrics = metrics
  }

  get total(): WarehouseUsage {
    return { bytesRead: this.#bytesRead, bytesBilled: this.#bytesBilled }
  }

  ended(verb: string, durationMs: number, bytes: { processed: number; billed: number }): void {
    this.#bytesRead += bytes.processed
    this.#bytesBilled += bytes.billed
    this.#metrics?.ended(verb, durationMs, bytes)
  }

  repeated(reason: string): void {
    this.#metrics?.repeated(reason)
  }

  attempted(verb: string): void {
    this.#metrics?.attempted(verb)
  }
}
