/** What serving reports of the history: its metrics, and the named events that move them. */
import { BackhaulError } from '../../shared/runtime/errors.ts'
import { createMetrics, defineMetrics, type TelemetryBase } from '../../shared/runtime/telemetry.ts'

export const historyMetrics = defineMetrics({
  queriesInFlight: {
    kind: 'gauge',
    name: 'serving_history_queries_in_flight',
    help: 'History queries that run, also those that nobody waits for any more (limit: historyQueriesInFlightMax).',
  },
  queriesWaiting: {
    kind: 'gauge',
    name: 'serving_history_queries_waiting',
    help: 'History queries that wait for their turn (limit: historyQueriesWaitingMax).',
  },
  minutes: {
    kind: 'counter',
    name: 'serving_history_minute_lookups_total',
    help: 'Minutes of the history asked for, by whether they were in the cache.',
    labels: ['outcome'],
  },
  minuteRows: {
    kind: 'gauge',
    name: 'serving_history_minute_rows',
    help: 'Rows in the cache of the history’s minutes, and one for each minute (limit: historyMinuteRowsMax).',
  },
  boundaryMs: {
    kind: 'gauge',
    name: 'serving_history_boundary_ms',
    help: 'Batch-complete boundary, epoch ms: minutes before it are answered from the history.',
  },
  failures: {
    kind: 'counter',
    name: 'serving_history_failures_total',
    help: 'Times that the history could not be read, by error code of the warehouse.',
    labels: ['code'],
  },
})

export type HistoryTelemetry = ReturnType<typeof createHistoryTelemetry>

export function createHistoryTelemetry({ registry, log }: TelemetryBase) {
  const metrics = createMetrics(historyMetrics, registry)
  return {
    minutesAsked(counts: { readonly hits: number; readonly misses: number }) {
      metrics.minutes.inc({ outcome: 'hit' }, counts.hits)
      metrics.minutes.inc({ outcome: 'miss' }, counts.misses)
    },
    runSeen(facts: { readonly run: number; readonly completeToMs: number }) {
      metrics.boundaryMs.set(facts.completeToMs)
      log.info({ run: facts.run, completeToMs: facts.completeToMs }, 'history is read up to here')
    },
    /** Logged once a row of failures; the counter tells how long it lasts. */
    failed(facts: { readonly error: BackhaulError; readonly isFirst: boolean }) {
      const { cause } = facts.error
      metrics.failures.inc({
        code: cause instanceof BackhaulError ? cause.code : facts.error.code,
      })
      if (facts.isFirst) log.warn({ err: facts.error }, 'history cannot be read')
    },
    sizesChanged(sizes: {
      readonly inFlight: number
      readonly waiting: number
      readonly minuteRows: number
    }) {
      metrics.queriesInFlight.set(sizes.inFlight)
      metrics.queriesWaiting.set(sizes.waiting)
      metrics.minuteRows.set(sizes.minuteRows)
    },
  }
}
