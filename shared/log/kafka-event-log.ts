/**
 * The event log on Kafka. Records are appended with acks of all in-sync replicas and without
 * idempotence (identity removes duplicates, and clients are known to lose acknowledged records when
 * idempotent sends overlap); times are the brokers' (LogAppendTime); retention is Kafka's own.
 *
 *   append ──► BrokerProducer of the partition's leader: one request for all lanes that are ready
 *   read   ──► BrokerFetcher of the leader: now, or waiting at the broker
 *   groups ──► KafkaGroupMember with the group's coordinator
 *
 * All three stand on `KafkaCluster`, which knows who leads what. Opening does not connect: what
 * cannot be reached is told by the calls, and repeated by whoever makes them.
 */
import { KafkaCluster } from '../kafka/cluster.ts'
import type { Purpose } from '../kafka/connections.ts'
import type { BrokerAddress, ConnectionSettings, KafkaClient } from '../kafka/kafka-client.ts'
import { createKafkajsClient } from '../kafka/kafkajs-client.ts'
import {
  APPEND_MAX_BYTES,
  LEADER_RETRIES_MAX,
  LEADER_RETRY_MS,
  METADATA_TIMEOUT_MS,
} from '../kafka/limits.ts'
import { createPlatformaticClient } from '../kafka/platformatic-client.ts'
import { ERROR, refusal } from '../kafka/protocol-errors.ts'
import { readAuthorities } from '../runtime/addresses.ts'
import type { Clock } from '../runtime/clock.ts'
import { assert } from '../runtime/errors.ts'
import { createTelemetryBase, type TelemetryBase } from '../runtime/telemetry.ts'
import {
  READ_AT_MAX_POSITIONS,
  type Appended,
  type EventLog,
  type GroupHandler,
  type GroupMember,
  type LogRecord,
  type NewRecord,
  type OffsetRange,
  type Position,
  type ReadRequest,
  type ReadResult,
  type TopicDescription,
  type TopicSpec,
} from './event-log.ts'
import type { KafkaConfig } from './kafka-config.ts'
import { KafkaGroupMember } from './kafka-group-member.ts'
import { BrokerProducer, bytesOf } from './kafka-producer.ts'
import { KafkaReader } from './kafka-reader.ts'
import { createKafkaLogTelemetry, type KafkaLogTelemetry } from './kafka-telemetry.ts'
import { KafkaTopics } from './kafka-topics.ts'
import { logErrors } from './log-errors.ts'

export interface KafkaEventLogOptions {
  readonly config: KafkaConfig
  readonly clock: Clock
  /** Where `kafkaLogMetrics` are registered; without it they are kept to the log itself. */
  readonly telemetry?: TelemetryBase
}

const CLIENTS: Readonly<
  Record<KafkaConfig['client'], (settings: ConnectionSettings) => KafkaClient>
> = { platformatic: createPlatformaticClient, kafkajs: createKafkajsClient }

export async function openKafkaEventLog(options: KafkaEventLogOptions): Promise<EventLog> {
  return new KafkaEventLog(options)
}

class KafkaEventLog implements EventLog {
  readonly #config: KafkaConfig
  readonly #clock: Clock
  readonly #telemetry: KafkaLogTelemetry
  readonly #cluster: KafkaCluster
  readonly #topics: KafkaTopics
  readonly #reader: KafkaReader
  readonly #producers = new Map<string, BrokerProducer>()
  readonly #members = new Set<KafkaGroupMember>()
  readonly #appending = new Set<Promise<unknown>>()
  #membersEver = 0
  #closed = false

  constructor({ config, clock, telemetry }: KafkaEventLogOptions) {
    this.#config = config
    this.#clock = clock
    this.#telemetry = createKafkaLogTelemetry(telemetry ?? createTelemetryBase('silent'))
    this.#cluster = new KafkaCluster({
      client: CLIENTS[config.client](connectionSettings(config)),
      bootstrap: config.brokers,
      clock,
      observer: this.#telemetry,
      callTimeoutMs: config.requestTimeoutMs,
      requestTimeoutMs: (purpose) => requestTimeoutMs(config, purpose),
    })
    const parts = { cluster: this.#cluster, clock, telemetry: this.#telemetry }
    this.#topics = new KafkaTopics(this.#cluster, config)
    this.#reader = new KafkaReader(parts)
    this.#telemetry.standingIsRead(() => {
      const producers = [...this.#producers.values()]
      return {
        connections: this.#cluster.connections.open,
        waitingAppends: producers.reduce((sum, producer) => sum + producer.waitingAppends, 0),
        loneLanes: producers.reduce((sum, producer) => sum + producer.loneLanes, 0),
        waitingReads: this.#reader.waitingReads,
      }
    })
  }

  async ensureTopics(topics: readonly TopicSpec[]): Promise<void> {
    this.#assertOpen()
    for (const spec of topics) await this.#topics.ensure(spec)
  }

  async describeTopic(topic: string): Promise<TopicDescription> {
    this.#assertOpen()
    return this.#topics.describe(topic)
  }

  async append(topic: string, partition: number, records: readonly NewRecord[]): Promise<Appended> {
    this.#assertOpen()
    assert(records.length > 0, 'an append has records')
    const bytes = bytesOf(records)
    if (bytes > APPEND_MAX_BYTES)
      throw logErrors.create('LOG_RECORD_TOO_LARGE', {
        expected: `at most ${APPEND_MAX_BYTES} bytes in one append`,
        received: `${bytes}`,
      })
    const appending = this.#append(topic, partition, records)
    this.#appending.add(appending)
    try {
      return await appending
    } finally {
      this.#appending.delete(appending)
    }
  }

  async read(topic: string, partition: number, request: ReadRequest): Promise<ReadResult> {
    this.#assertOpen()
    return this.#reader.read(topic, partition, request)
  }

  async readAt(topic: string, positions: readonly Position[]): Promise<(LogRecord | undefined)[]> {
    this.#assertOpen()
    assert(
      positions.length <= READ_AT_MAX_POSITIONS,
      `at most ${READ_AT_MAX_POSITIONS} positions a call`,
    )
    const offsets = Map.groupBy(positions, ({ partition }) => partition)
    const found = new Map(
      await Promise.all(
        [...offsets].map(async ([partition, wanted]) => {
          const wantedOffsets = wanted.map(({ offset }) => offset)
          const records = await this.#reader.readAt(topic, partition, wantedOffsets)
          return [partition, records] as const
        }),
      ),
    )
    return positions.map(({ partition, offset }) => found.get(partition)?.get(offset))
  }

  async offsets(topic: string, partition: number): Promise<OffsetRange> {
    this.#assertOpen()
    return this.#reader.offsets(topic, partition)
  }

  async joinGroup(group: string, topic: string, handler: GroupHandler): Promise<GroupMember> {
    this.#assertOpen()
    await this.#cluster.retry(() => this.#cluster.topic(topic))
    this.#membersEver += 1
    const member = new KafkaGroupMember({
      group,
      topic,
      handler,
      cluster: this.#cluster,
      clock: this.#clock,
      telemetry: this.#telemetry,
      sessionTimeoutMs: this.#config.groupSessionTimeoutMs,
      rebalanceTimeoutMs: this.#config.groupRebalanceTimeoutMs,
      number: this.#membersEver,
    })
    this.#members.add(member)
    await member.join()
    return member
  }

  async committedOffset(
    group: string,
    topic: string,
    partition: number,
  ): Promise<number | undefined> {
    this.#assertOpen()
    const { errorCode, offset } = await this.#cluster.coordinated(group, (connection) =>
      connection.committedOffset(group, topic, partition),
    )
    if (errorCode !== ERROR.none) throw refusal(errorCode, `group ${group}`)
    return offset < 0 ? undefined : offset
  }

  /** Kafka applies the topics' retention by itself and does not tell what it deletes. */
  async applyRetention(): Promise<number> {
    return 0
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#reader.close()
    await Promise.all([...this.#members].map((member) => member.close()))
    await Promise.allSettled(this.#appending)
    await this.#cluster.close()
  }

  async #append(topic: string, partition: number, records: readonly NewRecord[]) {
    for (let attempt = 0; attempt < LEADER_RETRIES_MAX; attempt += 1) {
      const address =
        this.#cluster.leaderNow(topic, partition) ?? (await this.#cluster.leader(topic, partition))
      const appended = await this.#producer(address).append(topic, partition, records)
      if (appended !== undefined) return appended
      await this.#clock.sleep(LEADER_RETRY_MS)
    }
    throw refusal(ERROR.notLeaderOrFollower, `${topic}/${partition}`)
  }

  #producer(address: BrokerAddress): BrokerProducer {
    const name = `${address.host}:${address.port}`
    let producer = this.#producers.get(name)
    if (producer === undefined) {
      producer = new BrokerProducer(address, {
        cluster: this.#cluster,
        clock: this.#clock,
        telemetry: this.#telemetry,
        produceTimeoutMs: this.#config.produceTimeoutMs,
      })
      this.#producers.set(name, producer)
    }
    return producer
  }

  #assertOpen(): void {
    if (this.#closed) throw logErrors.create('LOG_CLOSED')
  }
}

function connectionSettings(config: KafkaConfig): ConnectionSettings {
  const { clientId, connectTimeoutMs, security, saslMechanism, saslUser, saslPassword } = config
  return {
    clientId,
    connectTimeoutMs,
    tls: security.endsWith('SSL')
      ? { ca: readAuthorities('KAFKA_TLS_CA_FILE', config.tlsCaFile) }
      : undefined,
    sasl: security.startsWith('SASL_')
      ? { mechanism: saslMechanism, user: saslUser, password: saslPassword }
      : undefined,
  }
}

/** A request that waits at the broker for its purpose may take that much longer. */
function requestTimeoutMs(config: KafkaConfig, purpose: Purpose): number {
  if (purpose === 'metadata') return Math.min(METADATA_TIMEOUT_MS, config.requestTimeoutMs)
  if (purpose === 'produce' || purpose.startsWith('lone')) return 2 * config.produceTimeoutMs
  if (purpose.startsWith('join')) return config.groupRebalanceTimeoutMs + config.requestTimeoutMs
  return config.requestTimeoutMs
}
