/** What a standalone server reports of the process that runs its batch. */
import { createMetrics, defineMetrics, type TelemetryBase } from '../shared/runtime/telemetry.ts'

export const standaloneMetrics = defineMetrics({
  batchUp: {
    kind: 'gauge',
    name: 'standalone_batch_up',
    help: '1 while the process of the batch is ready, else 0.',
  },
  batchRestarts: {
    kind: 'counter',
    name: 'standalone_batch_restarts_total',
    help: 'Times that the process of the batch ended unasked and was started again.',
  },
  batchRequests: {
    kind: 'gauge',
    name: 'standalone_batch_requests_in_flight',
    help: 'Requests to the process of the batch that are not answered yet (limit: BATCH_REQUESTS_MAX).',
  },
})

export type StandaloneTelemetry = ReturnType<typeof createStandaloneTelemetry>

export function createStandaloneTelemetry({ registry, log }: TelemetryBase) {
  const metrics = createMetrics(standaloneMetrics, registry)
  metrics.batchUp.set(0)
  return {
    batchReady(facts: { readonly processId: number | undefined }) {
      metrics.batchUp.set(1)
      log.info(facts, 'the process of the batch is ready')
    },
    batchEnded(facts: { readonly why: string; readonly restartInMs: number | undefined }) {
      metrics.batchUp.set(0)
      if (facts.restartInMs === undefined) return
      metrics.batchRestarts.inc()
      log.error(facts, 'the process of the batch ended; it is started again')
    },
    batchRequests(inFlight: number) {
      metrics.batchRequests.set(inFlight)
    },
  }
}
