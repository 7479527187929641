/** What every service reports of its process, so that one that does not stay up is seen. */
import type { Clock } from './clock.ts'
import { createMetrics, defineMetrics, type TelemetryBase } from './telemetry.ts'

export const processMetrics = defineMetrics({
  startTime: {
    kind: 'gauge',
    name: 'backhaul_process_start_time_seconds',
    help: 'When the process began, seconds since 1970; of a pool of gateways, its parent.',
  },
})

/** Once for each process that is asked for metrics. */
export function reportStart({ registry }: TelemetryBase, clock: Clock): void {
  createMetrics(processMetrics, registry).startTime.set(clock.nowMs() / 1_000)
}
