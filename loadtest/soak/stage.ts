/**
 * Everything that runs in a soak, each a process of its own as in production: Kafka, Cassandra behind a
 * proxy, two gateways behind a balancer, two processors, serving, and the batch of `batch-runs.ts`.
 */
import { join } from 'node:path'
import { startCassandra, type Cassandra } from '../../scripts/services/cassandra.ts'
import { startKafka, type Kafka } from '../../scripts/services/kafka.ts'
import { freePorts } from '../../scripts/services/ports.ts'
import { lastLines } from '../../scripts/services/server-process.ts'
import { endMainProcessesWith, MainProcess } from '../../shared/http/testing/main-process.ts'
import type { StopStack } from '../../shared/runtime/lifecycle.ts'
import { cassandraSettings } from '../../shared/speed/testing/cassandra-settings.ts'
import { until } from '../faults/until.ts'
import { GatewayOnKafka } from '../gateway-on-kafka.ts'
import type { ProcessorProcess } from '../processor-process.ts'
import { KafkaMachine } from '../processor/kafka-machine.ts'
import { Balancer } from './balancer.ts'

export const PARTITIONS = 4
const GATEWAYS = 2
const PROCESSORS = 2
const SERVING = join(import.meta.dirname, '..', '..', 'serving', 'main.ts')
const COPY_MAP_BYTES = 2 ** 32
const TAIL_LINES = 15

/** Sessions of a minute close, and minutes are restated, while a soak of minutes runs. */
const FOLD = {
  PROCESSOR_SESSION_TIMEOUT_MS: '30000',
  PROCESSOR_ALLOWED_LATENESS_MS: '60000',
  PROCESSOR_REORDER_MS: '2000',
  PROCESSOR_OUT_OF_ORDERNESS_MS: '500',
  PROCESSOR_SESSION_KEEP_MS: '20000',
}

export class Stage {
  readonly kafka: Kafka
  readonly cassandra: Cassandra
  readonly machine: KafkaMachine
  readonly gateways: readonly GatewayOnKafka[]
  /** Those that are there for good; one that was killed gives its place to the next. */
  readonly processors: ProcessorProcess[]
  readonly #balancer: Balancer
  readonly #serving: ServingProcess
  readonly #visitors: ProcessorProcess[] = []

  /** Started and ready; `stack` stops it, whatever became of it. */
  static async start(brokers: 1 | 3, stack: StopStack): Promise<Stage> {
    const kafka = await startKafka({ brokers })
    stack.add('kafka', () => kafka.stop())
    // It is cut off, never killed, so a write need not be on its disk when it is acknowledged.
    const cassandra = await startCassandra({ proxied: true, commitLogSync: 'periodic' })
    stack.add('cassandra', () => cassandra.stop())
    const machine = new KafkaMachine(machineOptions(kafka, cassandra))
    stack.add('folder', () => Promise.resolve(machine.remove()))
    const gateways = await startGateways(kafka, stack)
    const balancer = await Balancer.start(gateways.map(({ port }) => port))
    stack.add('balancer', () => balancer.stop())
    endMainProcessesWith(stack)
    // The tables, by a client that may take as long as a busy node does.
    const speed = await machine.openSpeed()
    await speed.close()
    const processors: ProcessorProcess[] = []
    while (processors.length < PROCESSORS) processors.push(await startProcessor(machine))
    const serving = await startServing(machine)
    return new Stage({ kafka, cassandra, machine, gateways, processors, balancer, serving })
  }

  private constructor(parts: StageParts) {
    this.kafka = parts.kafka
    this.cassandra = parts.cassandra
    this.machine = parts.machine
    this.gateways = parts.gateways
    this.processors = [...parts.processors]
    this.#balancer = parts.balancer
    this.#serving = parts.serving
  }

  /** Of `/v1/events` as a WebSocket, whichever gateway answers. */
  get gatewayUrl(): string {
    return `ws://127.0.0.1:${this.#balancer.port}/v1/events`
  }

  get servingUrl(): string {
    return this.#serving.url
  }

  async replaceProcessor(place: number): Promise<void> {
    this.processors[place] = await startProcessor(this.machine)
  }

  /** A processor that joins the others; whoever calls this ends it. */
  async addVisitor(): Promise<ProcessorProcess> {
    const visitor = await startProcessor(this.machine)
    this.#visitors.push(visitor)
    return visitor
  }

  /** The last lines that each process wrote, for whoever asks what happened. */
  tails(): string {
    const tails: (readonly [name: string, text: string])[] = [
      ...this.gateways.map(({ output }, at) => [`gateway ${at}`, output] as const),
      ...this.processors.map(({ stderr }, at) => [`processor ${at}`, stderr] as const),
      ...this.#visitors.map(({ stderr }, at) => [`visiting processor ${at}`, stderr] as const),
      ['serving', this.#serving.stderr],
    ]
    return tails.map(([name, text]) => `── ${name}\n${lastLines(text, TAIL_LINES)}`).join('\n')
  }
}

interface StageParts {
  readonly kafka: Kafka
  readonly cassandra: Cassandra
  readonly machine: KafkaMachine
  readonly gateways: readonly GatewayOnKafka[]
  readonly processors: readonly ProcessorProcess[]
  readonly balancer: Balancer
  readonly serving: ServingProcess
}

class ServingProcess extends MainProcess {
  readonly url: string

  constructor(port: number, environment: Readonly<Record<string, string>>) {
    super({ script: [SERVING], adminPort: port, environment })
    this.url = `http://127.0.0.1:${port}`
  }
}

function replication({ brokers }: Kafka): Readonly<Record<string, string>> {
  const isOne = brokers.length === 1
  return {
    KAFKA_REPLICATION_FACTOR: isOne ? '1' : '3',
    KAFKA_MIN_INSYNC_REPLICAS: isOne ? '1' : '2',
  }
}

function machineOptions(kafka: Kafka, cassandra: Cassandra) {
  const config = cassandraSettings({ contactPoints: [cassandra.directContactPoint] })
  return {
    brokers: kafka.bootstrap,
    partitions: PARTITIONS,
    cassandra: config,
    fold: FOLD,
    copyMapBytes: COPY_MAP_BYTES,
    settings: {
      ...replication(kafka),
      BACKHAUL_LOG_LEVEL: 'warn',
      PROCESSOR_SPEED_STORE: 'cassandra',
      PROCESSOR_NARROW_FLUSH_MS: '1000',
      PROCESSOR_WIDE_FLUSH_MS: '5000',
      PROCESSOR_SESSION_ROW_INTERVAL_MS: '5000',
      PROCESSOR_CHECKPOINT_INTERVAL_MS: '3000',
      PROCESSOR_TICK_IDLE_MS: '1000',
      PROCESSOR_RETRY_DELAY_MAX_MS: '1000',
      PROCESSOR_STOP_GRACE_MS: '30000',
      CASSANDRA_CONTACT_POINTS: cassandra.contactPoint,
      CASSANDRA_KEYSPACE: config.keyspace,
      CASSANDRA_REPLICATION_FACTOR: '1',
      // A busy machine is slow to answer, and repeats would make it slower.
      CASSANDRA_REQUEST_TIMEOUT_MS: '15000',
      BATCH_LEASE_MS: '5000',
    },
  }
}

async function startGateways(kafka: Kafka, stack: StopStack): Promise<GatewayOnKafka[]> {
  const gateways: GatewayOnKafka[] = []
  for (let count = 0; count < GATEWAYS; count += 1) {
    const gateway = await GatewayOnKafka.create({
      ...replication(kafka),
      BACKHAUL_PARTITIONS: `${PARTITIONS}`,
      KAFKA_BROKERS: kafka.bootstrap.join(','),
      KAFKA_PRODUCE_TIMEOUT_MS: '1000',
      GATEWAY_SLOW_RETRY_MS: '200',
      GATEWAY_APPEND_DEADLINE_MS: '4000',
      GATEWAY_DRAIN_DELAY_MS: '100',
      GATEWAY_DRAIN_SPREAD_MS: '500',
    })
    stack.add(`gateway ${count}`, () => gateway.kill())
    gateways.push(gateway)
    await gateway.start()
  }
  return gateways
}

async function startProcessor(machine: KafkaMachine): Promise<ProcessorProcess> {
  const processor = await machine.begin()
  await processor.isReady()
  return processor
}

async function startServing(machine: KafkaMachine): Promise<ServingProcess> {
  const [port = 0] = await freePorts(1)
  const serving = new ServingProcess(port, {
    ...machine.servingSettings,
    BACKHAUL_LOG_LEVEL: 'warn',
    SERVING_PORT: `${port}`,
    SERVING_HISTORY: 'duckdb',
  })
  const isReady = async () => (await serving.ask('/readyz'))?.status === 200
  await until('serving is ready', isReady, () => serving.stderr)
  return serving
}
