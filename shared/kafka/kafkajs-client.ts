/** The Kafka client over kafkajs: its connections and its encoding of each request. */
import { connectionFailure } from './connection-failure.ts'
import {
  GROUP_PROTOCOL_TYPE,
  isTombstone,
  ZSTD_LEVEL,
  type BrokerAddress,
  type BrokerConnection,
  type ConnectionSettings,
  type CoordinatorAnswer,
  type FetchAnswer,
  type FetchBounds,
  type FetchedRecord,
  type FetchPosition,
  type JoinAnswer,
  type JoinRequest,
  type KafkaClient,
  type MemberIdentity,
  type OffsetAnswer,
  type OffsetQuery,
  type OffsetToCommit,
  type ProduceAnswer,
  type ProduceBatch,
  type SyncRequest,
  type TopicSettings,
  type TopicToCreate,
} from './kafka-client.ts'
import {
  createConnection,
  exchange,
  useZstd,
  ZSTD,
  type KafkajsConnection,
  type KafkajsExchange,
} from './kafkajs-internals.ts'
import { metadataExchange } from './kafkajs-metadata.ts'
import { REQUESTS_IN_FLIGHT_MAX } from './limits.ts'
import { byTopic } from './partition-lists.ts'

const ACKS_ALL = -1
const READ_UNCOMMITTED = 0
const FROM_START = '-2'
const FROM_END = '-1'
const COORDINATOR_OF_GROUP = 0
const TOPIC_RESOURCE = 2

export function createKafkajsClient(settings: ConnectionSettings): KafkaClient {
  const { clientId, connectTimeoutMs, tls, sasl } = settings
  useZstd(ZSTD_LEVEL)
  return {
    async connect(address, requestTimeoutMs) {
      const connection = createConnection({
        ...address,
        clientId,
        connectionTimeout: connectTimeoutMs,
        requestTimeout: requestTimeoutMs,
        maxInFlightRequests: REQUESTS_IN_FLIGHT_MAX,
        ssl: tls === undefined ? null : tls.ca === undefined ? {} : { ca: tls.ca },
        sasl: sasl === undefined ? null : { ...sasl, username: sasl.user },
      })
      try {
        await connection.connect()
        await connection.authenticate()
      } catch (error) {
        connection.socket?.destroy()
        throw connectionFailure(address, error, isAuthenticationError)
      }
      return new KafkajsBrokerConnection(connection, address)
    },
  }
}

interface PartitionAnswer {
  readonly partition: number
  readonly errorCode: number
}
interface TopicAnswers<Partition> {
  readonly topicName: string
  readonly partitions: readonly Partition[]
}
type Answers<Partition> = readonly {
  readonly topic: string
  readonly partitions: readonly Partition[]
}[]

class KafkajsBrokerConnection implements BrokerConnection {
  readonly #connection: KafkajsConnection
  readonly #address: BrokerAddress
  #closed = false

  constructor(connection: KafkajsConnection, address: BrokerAddress) {
    this.#connection = connection
    this.#address = address
  }

  get isOpen(): boolean {
    return !this.#closed && this.#connection.isConnected()
  }

  async produce(
    batches: readonly ProduceBatch[],
    timeoutMs: number,
  ): Promise<readonly ProduceAnswer[]> {
    const topicData = byTopic(batches).map(({ topic, partitions }) => ({
      topic,
      partitions: partitions.map(({ partition, records }) => ({
        partition,
        messages: records.map(({ key, value, headers }) => ({
          key,
          value: isTombstone(key, value)
            ? null
            : Buffer.from(value.buffer, value.byteOffset, value.byteLength),
          headers,
        })),
      })),
    }))
    const values = { acks: ACKS_ALL, timeout: timeoutMs, compression: ZSTD, topicData }
    const { topics } = await this.#send<{
      topics: readonly TopicAnswers<
        PartitionAnswer & { readonly baseOffset: string; readonly logAppendTime: string }
      >[]
    }>(exchange('Produce', 7, values))
    return topics.flatMap(({ topicName, partitions }) =>
      partitions.map(({ partition, errorCode, baseOffset, logAppendTime }) => ({
        topic: topicName,
        partition,
        errorCode,
        baseOffset: Number(baseOffset),
        appendTimeMs: Number(logAppendTime),
      })),
    )
  }

  async fetch(
    wanted: readonly FetchPosition[],
    { maxWaitMs, maxBytes }: FetchBounds,
  ): Promise<readonly FetchAnswer[]> {
    const topics = byTopic(wanted).map(({ topic, partitions }) => ({
      topic,
      partitions: partitions.map((position) => ({
        partition: position.partition,
        fetchOffset: `${position.offset}`,
        maxBytes: position.maxBytes,
      })),
    }))
    const bounds = { maxWaitTime: maxWaitMs, minBytes: 1, maxBytes }
    const { responses } = await this.#send<{
      responses: readonly TopicAnswers<
        PartitionAnswer & { readonly highWatermark: string; readonly messages: readonly Message[] }
      >[]
    }>(exchange('Fetch', 11, { ...bounds, isolationLevel: READ_UNCOMMITTED, topics }))
    return responses.flatMap(({ topicName, partitions }) =>
      partitions.map(({ partition, errorCode, highWatermark, messages }) => ({
        topic: topicName,
        partition,
        errorCode,
        endOffset: Number(highWatermark),
        records: messages.filter(({ isControlRecord }) => !isControlRecord).map(recordOf),
      })),
    )
  }

  async listOffset({ topic, partition, at }: OffsetQuery): Promise<OffsetAnswer> {
    const timestamp = at === 'start' ? FROM_START : FROM_END
    const topics = [{ topic, partitions: [{ partition, timestamp }] }]
    const { responses } = await this.#send<{
      responses: Answers<PartitionAnswer & { readonly offset: string }>
    }>(exchange('ListOffsets', 3, { isolationLevel: READ_UNCOMMITTED, topics }))
    return offsetAnswer(responses)
  }

  metadata(topics: readonly string[]) {
    return this.#send(metadataExchange(topics))
  }

  async createTopic(topic: TopicToCreate) {
    const created = {
      topic: topic.name,
      numPartitions: topic.partitions,
      replicationFactor: topic.replicationFactor,
      configEntries: Object.entries(topic.settings).map(([name, value]) => ({ name, value })),
    }
    const values = { topics: [created], timeout: topic.timeoutMs, validateOnly: false }
    const { topicErrors } = await this.#send<{
      topicErrors: readonly { readonly errorCode: number; readonly errorMessage: string | null }[]
    }>(exchange('CreateTopics', 3, values))
    const [answer] = topicErrors
    return { errorCode: answer?.errorCode ?? -1, message: answer?.errorMessage ?? undefined }
  }

  async topicSettings(topic: string, names: readonly string[]): Promise<TopicSettings> {
    const resources = [{ type: TOPIC_RESOURCE, name: topic, configNames: names }]
    const answer = await this.#send<{
      resources: readonly {
        readonly errorCode: number
        readonly configEntries: readonly {
          readonly configName: string
          readonly configValue: string | null
        }[]
      }[]
    }>(exchange('DescribeConfigs', 2, { resources, includeSynonyms: false }))
    const [found] = answer.resources
    const values = (found?.configEntries ?? []).map((entry) => [
      entry.configName,
      entry.configValue ?? '',
    ])
    return { errorCode: found?.errorCode ?? -1, values: Object.fromEntries(values) }
  }

  async findCoordinator(group: string): Promise<CoordinatorAnswer> {
    const values = { groupId: group, coordinatorType: COORDINATOR_OF_GROUP }
    const { errorCode, coordinator } = await this.#send<{
      errorCode: number
      coordinator: { readonly nodeId: number }
    }>(exchange('GroupCoordinator', 2, values))
    return { errorCode, nodeId: coordinator.nodeId }
  }

  async joinGroup(join: JoinRequest): Promise<JoinAnswer> {
    const values = {
      groupId: join.group,
      memberId: join.memberId,
      sessionTimeout: join.sessionTimeoutMs,
      rebalanceTimeout: join.rebalanceTimeoutMs,
      protocolType: GROUP_PROTOCOL_TYPE,
      groupProtocols: [{ name: join.protocol, metadata: join.metadata }],
    }
    const answer = await this.#send<{
      errorCode: number
      memberId: string
      generationId: number
      leaderId: string
      members: readonly { readonly memberId: string; readonly memberMetadata: Buffer }[]
    }>(exchange('JoinGroup', 5, values))
    const { errorCode, memberId, generationId, leaderId } = answer
    const members = answer.members.map((member) => ({
      memberId: member.memberId,
      metadata: member.memberMetadata,
    }))
    return { errorCode, memberId, generation: generationId, leaderId, members }
  }

  async syncGroup(sync: SyncRequest) {
    const values = {
      groupId: sync.group,
      generationId: sync.generation,
      memberId: sync.memberId,
      groupAssignment: sync.assignments.map(({ memberId, assignment }) => ({
        memberId,
        memberAssignment: assignment,
      })),
    }
    const { errorCode, memberAssignment } = await this.#send<{
      errorCode: number
      memberAssignment: Buffer | null
    }>(exchange('SyncGroup', 3, values))
    return { errorCode, assignment: memberAssignment ?? Buffer.alloc(0) }
  }

  heartbeat(member: MemberIdentity) {
    return this.#send<{ errorCode: number }>(exchange('Heartbeat', 3, identity(member)))
  }

  leaveGroup(group: string, memberId: string) {
    const values = { groupId: group, memberId }
    return this.#send<{ errorCode: number }>(exchange('LeaveGroup', 3, values))
  }

  async commitOffset(member: MemberIdentity, { topic, partition, offset }: OffsetToCommit) {
    const topics = [{ topic, partitions: [{ partition, offset: `${offset}` }] }]
    const { responses } = await this.#send<{ responses: Answers<PartitionAnswer> }>(
      exchange('OffsetCommit', 5, { ...identity(member), topics }),
    )
    return { errorCode: responses[0]?.partitions[0]?.errorCode ?? -1 }
  }

  async committedOffset(group: string, topic: string, partition: number): Promise<OffsetAnswer> {
    const values = { groupId: group, topics: [{ topic, partitions: [{ partition }] }] }
    const { errorCode, responses } = await this.#send<{
      errorCode: number
      responses: Answers<PartitionAnswer & { readonly offset: string }>
    }>(exchange('OffsetFetch', 4, values))
    return errorCode === 0 ? offsetAnswer(responses) : { errorCode, offset: -1 }
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    // Its own disconnect waits for the answers, which may never come.
    this.#connection.socket?.destroy()
    this.#connection.rejectRequests(new Error('the connection was closed'))
    void this.#connection.disconnect().catch(() => undefined)
  }

  /** One request; what brokers refuse is in the answer, so that it is judged part by part. */
  async #send<Answer>(sent: KafkajsExchange<Answer>): Promise<Answer> {
    try {
      return await this.#connection.send(sent)
    } catch (error) {
      await this.close()
      throw connectionFailure(this.#address, error, isAuthenticationError)
    }
  }
}

interface Message {
  readonly offset: string
  readonly timestamp: string
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: Readonly<Record<string, Buffer>>
  readonly isControlRecord: boolean
}

function recordOf({ offset, timestamp, key, value, headers }: Message): FetchedRecord {
  return {
    offset: Number(offset),
    timestampMs: Number(timestamp),
    key,
    value,
    headers: Object.entries(headers).map(([name, text]) => [name, text.toString()] as const),
  }
}

function identity({ group, memberId, generation }: MemberIdentity): object {
  return { groupId: group, memberId, groupGenerationId: generation }
}

function offsetAnswer(
  answers: Answers<PartitionAnswer & { readonly offset: string }>,
): OffsetAnswer {
  const found = answers[0]?.partitions[0]
  if (found === undefined) return { errorCode: -1, offset: -1 }
  return { errorCode: found.errorCode, offset: Number(found.offset) }
}

function isAuthenticationError(error: unknown): boolean {
  return error instanceof Error && error.name === 'KafkaJSSASLAuthenticationError'
}
