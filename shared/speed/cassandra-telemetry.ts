/** What the speed store on Cassandra reports: its metrics, and the named events that move them. */
import { collect, createMetrics, defineMetrics, type TelemetryBase } from '../runtime/telemetry.ts'
import {
  BATCH_MAX_ROWS,
  STATEMENT_ATTEMPTS_MAX,
  WAITING_STATEMENTS_MAX,
  WAITING_WRITES_MAX_BYTES,
} from './cassandra-limits.ts'

export const cassandraSpeedMetrics = defineMetrics({
  inFlight: {
    kind: 'gauge',
    name: 'speed_cassandra_in_flight_statements',
    help: 'Statements on their way, by class (limits: CASSANDRA_NARROW_WRITES_MAX and its like).',
    labels: ['class'],
  },
  waiting: {
    kind: 'gauge',
    name: 'speed_cassandra_waiting_statements',
    help: `Statements that wait for their turn, by class (limit: ${WAITING_STATEMENTS_MAX}).`,
    labels: ['class'],
  },
  waitingBytes: {
    kind: 'gauge',
    name: 'speed_cassandra_waiting_bytes',
    help: `Bytes of the writes that wait for their turn, by class (limit: ${WAITING_WRITES_MAX_BYTES}).`,
    labels: ['class'],
  },
  duration: {
    kind: 'histogram',
    name: 'speed_cassandra_statement_duration_ms',
    help: 'Time from a statement’s turn to its answer, repeats included.',
    labels: ['class'],
  },
  batchRows: {
    kind: 'histogram',
    name: 'speed_cassandra_batch_rows',
    help: `Rows of one write, by class (limit: ${BATCH_MAX_ROWS}).`,
    labels: ['class'],
    buckets: [1, 2, 5, 10, 20, 30, 40],
  },
  repeats: {
    kind: 'counter',
    name: 'speed_cassandra_repeats_total',
    help: `Statements that failed and were sent again (limit for one call: ${STATEMENT_ATTEMPTS_MAX} times in all), by what they failed with.`,
    labels: ['class', 'reason'],
  },
  refusals: {
    kind: 'counter',
    name: 'speed_cassandra_refusals_total',
    help: 'Calls that were refused because too much waits.',
    labels: ['class'],
  },
})

/** Classes of statements; each has its own statements on their way and its own queue. */
export type StatementClass = 'narrow' | 'wide' | 'session' | 'index' | 'read'

/** How a class stands at this moment. */
export interface ClassStanding {
  readonly inFlight: number
  readonly waiting: number
  readonly waitingBytes: number
}

export interface CassandraSpeedTelemetry {
  /** From now on, metrics read what `standing` answers. */
  standingIsRead(standing: () => Readonly<Record<StatementClass, ClassStanding>>): void
  batchWritten(name: StatementClass, rows: number): void
  answered(name: StatementClass, durationMs: number): void
  repeated(name: StatementClass, reason: string): void
  refused(name: StatementClass): void
  unreachable(error: unknown): void
  reachable(): void
  migrated(keyspace: string, version: number): void
}

export function createCassandraSpeedTelemetry({
  registry,
  log,
}: TelemetryBase): CassandraSpeedTelemetry {
  const metrics = createMetrics(cassandraSpeedMetrics, registry)
  return {
    standingIsRead(standing) {
      for (const field of ['inFlight', 'waiting', 'waitingBytes'] as const)
        collect(metrics[field], (gauge) => {
          for (const [name, found] of Object.entries(standing()))
            gauge.set({ class: name }, found[field])
        })
    },
    batchWritten: (name, rows) => metrics.batchRows.observe({ class: name }, rows),
    answered: (name, durationMs) => metrics.duration.observe({ class: name }, durationMs),
    repeated: (name, reason) => metrics.repeats.inc({ class: name, reason }),
    refused: (name) => metrics.refusals.inc({ class: name }),
    unreachable(error) {
      log.error({ err: error }, 'the speed store cannot be reached; trying again at every call')
    },
    reachable() {
      log.info('the speed store answers')
    },
    migrated(keyspace, version) {
      log.info({ keyspace, version }, 'tables of the speed store brought to the next version')
    },
  }
}
