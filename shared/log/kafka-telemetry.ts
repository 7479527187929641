/** What the event log on Kafka reports: its metrics, and the named events that move them. */
import type { BrokerAddress } from '../kafka/kafka-client.ts'
import { WAITING_APPENDS_MAX, WAITING_READS_MAX } from '../kafka/limits.ts'
import type { BackhaulError } from '../runtime/errors.ts'
import { collect, createMetrics, defineMetrics, type TelemetryBase } from '../runtime/telemetry.ts'

const SIZES = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000]

export const kafkaLogMetrics = defineMetrics({
  connections: {
    kind: 'gauge',
    name: 'log_kafka_connections',
    help: 'Open connections to brokers.',
  },
  connectionFailures: {
    kind: 'counter',
    name: 'log_kafka_connection_failures_total',
    help: 'Attempts to connect to a broker that failed.',
    labels: ['broker'],
  },
  produceDuration: {
    kind: 'histogram',
    name: 'log_kafka_produce_duration_ms',
    help: 'Time from sending a produce request to its answer.',
    labels: ['way'],
  },
  produceLanes: {
    kind: 'histogram',
    name: 'log_kafka_produce_request_lanes',
    help: 'Lanes that shared one produce request.',
    buckets: SIZES,
  },
  produceFailures: {
    kind: 'counter',
    name: 'log_kafka_produce_failures_total',
    help: 'Appends that a broker refused or did not answer, by what it said.',
    labels: ['reason'],
  },
  waitingAppends: {
    kind: 'gauge',
    name: 'log_kafka_waiting_appends',
    help: `Appends that wait for a produce request (limit for each broker: ${WAITING_APPENDS_MAX}).`,
  },
  loneLanes: {
    kind: 'gauge',
    name: 'log_kafka_lone_lanes',
    help: 'Lanes that failed and are sent apart from the others until they recover.',
  },
  fetches: {
    kind: 'counter',
    name: 'log_kafka_fetches_total',
    help: 'Fetch requests sent.',
    labels: ['way'],
  },
  waitingReads: {
    kind: 'gauge',
    name: 'log_kafka_waiting_reads',
    help: `Reads that wait for a fetch (limit for each broker: ${WAITING_READS_MAX}).`,
  },
  rebalances: {
    kind: 'counter',
    name: 'log_kafka_group_rebalances_total',
    help: 'Times that this process was given partitions of a consumer group.',
    labels: ['group'],
  },
  fenced: {
    kind: 'counter',
    name: 'log_kafka_group_fenced_total',
    help: 'Times that a consumer group had gone on without this member.',
    labels: ['group'],
  },
})

/** How the log stands at this moment. */
export interface KafkaLogStanding {
  readonly connections: number
  readonly waitingAppends: number
  readonly loneLanes: number
  readonly waitingReads: number
}

export interface ProducedRequest {
  readonly lanes: number
  readonly lone: boolean
  readonly durationMs: number
}

export interface KafkaLogTelemetry {
  /** From now on, metrics read what `standing` answers. */
  standingIsRead(standing: () => KafkaLogStanding): void
  connectionOpened(): void
  connectionFailed(address: BrokerAddress, error: BackhaulError): void
  brokersUnreachable(error: unknown): void
  brokersReachable(): void
  produced(request: ProducedRequest): void
  appendFailed(reason: string): void
  fetched(waiting: boolean): void
  assigned(group: string, partitions: number, generation: number): void
  memberFenced(group: string, reason: string): void
  memberFailed(group: string, error: unknown): void
}

export function createKafkaLogTelemetry({ registry, log }: TelemetryBase): KafkaLogTelemetry {
  const metrics = createMetrics(kafkaLogMetrics, registry)
  return {
    standingIsRead(standing) {
      const gauges = [
        [metrics.connections, 'connections'],
        [metrics.waitingAppends, 'waitingAppends'],
        [metrics.loneLanes, 'loneLanes'],
        [metrics.waitingReads, 'waitingReads'],
      ] as const
      for (const [metric, field] of gauges) collect(metric, (gauge) => gauge.set(standing()[field]))
    },
    connectionOpened: () => undefined,
    connectionFailed({ host, port }, error) {
      metrics.connectionFailures.inc({ broker: `${host}:${port}` })
      log.debug({ err: error }, 'no connection to a broker')
    },
    brokersUnreachable(error) {
      log.error({ err: error }, 'no Kafka broker answers; trying again until one does')
    },
    brokersReachable() {
      log.info('Kafka brokers answer again')
    },
    produced({ lanes, lone, durationMs }) {
      metrics.produceDuration.observe({ way: lone ? 'lone' : 'shared' }, durationMs)
      metrics.produceLanes.observe(lanes)
    },
    appendFailed(reason) {
      metrics.produceFailures.inc({ reason })
    },
    fetched(waiting) {
      metrics.fetches.inc({ way: waiting ? 'waiting' : 'now' })
    },
    assigned(group, partitions, generation) {
      metrics.rebalances.inc({ group })
      log.info({ group, partitions, generation }, 'partitions assigned by the group')
    },
    memberFenced(group, reason) {
      metrics.fenced.inc({ group })
      log.warn({ group, reason }, 'the group went on without this member; joining anew')
    },
    memberFailed(group, error) {
      log.warn({ group, err: error }, 'the group cannot be reached; trying again')
    },
  }
}
