/** What the object store on GCS reports: its metrics, and the named events that move them. */
import { createMetrics, defineMetrics, type TelemetryBase } from '../runtime/telemetry.ts'
import { REQUEST_ATTEMPTS_MAX } from './gcs-limits.ts'

export const gcsObjectMetrics = defineMetrics({
  duration: {
    kind: 'histogram',
    name: 'objects_gcs_request_duration_ms',
    help: 'Time from a call to its answer, repeats included, by the permission that it takes.',
    labels: ['permission'],
  },
  repeats: {
    kind: 'counter',
    name: 'objects_gcs_repeats_total',
    help: `Requests that failed and were sent again (limit for one call: ${REQUEST_ATTEMPTS_MAX} times in all), by what they failed with.`,
    labels: ['permission', 'reason'],
  },
})

export interface GcsObjectTelemetry {
  answered(permission: string, durationMs: number): void
  repeated(permission: string, reason: string): void
}

export function createGcsObjectTelemetry({ registry }: TelemetryBase): GcsObjectTelemetry {
  const metrics = createMetrics(gcsObjectMetrics, registry)
  return {
    answered: (permission, durationMs) => metrics.duration.observe({ permission }, durationMs),
    repeated: (permission, reason) => metrics.repeats.inc({ permission, reason }),
  }
}
