/** The Kafka client over @platformatic/kafka: its connections and its encoding of each request. */
import {
  AuthenticationError,
  compressionsAlgorithms,
  ConfigResourceTypes,
  Connection,
  createAPI,
  createTopicsV7,
  describeConfigsV4,
  fetchV12,
  findCoordinatorV4,
  heartbeatV4,
  joinGroupV9,
  leaveGroupV5,
  listOffsetsV7,
  metadataV12,
  offsetCommitV8,
  offsetFetchV8,
  produceV11,
  ResponseError,
  syncGroupV5,
  type API,
  type ConnectionOptions,
  type RecordsBatch,
  Writer,
} from '@platformatic/kafka'
import { connectionFailure } from './connection-failure.ts'
import {
  GROUP_PROTOCOL_TYPE,
  topicIdText,
  type BrokerAddress,
  type BrokerConnection,
  type ClusterMetadata,
  type CoordinatorAnswer,
  type FetchAnswer,
  type FetchBounds,
  type FetchedRecord,
  type FetchPosition,
  type JoinAnswer,
  type JoinRequest,
  type KafkaClient,
  type MemberIdentity,
  type ConnectionSettings,
  type OffsetAnswer,
  type OffsetQuery,
  type OffsetToCommit,
  type ProduceAnswer,
  type ProduceBatch,
  type SyncRequest,
  type TopicSettings,
  type TopicToCreate,
} from './kafka-client.ts'
import { REQUESTS_IN_FLIGHT_MAX } from './limits.ts'
import { byTopic } from './partition-lists.ts'
import { RecordBatchEncoder } from './record-batch.ts'
import { decompressZstd } from './zstd-frames.ts'

const ACKS_ALL = -1
const NO_REPLICA = -1
const READ_UNCOMMITTED = 0
const FROM_START = -2n
const FROM_END = -1n
const NO_EPOCH = -1
const NO_SESSION = 0
const COORDINATOR_OF_GROUP = 0
const TOPIC_RESOURCE = ConfigResourceTypes.TOPIC
/** Bits of a batch's attributes. */
const LOG_APPEND_TIME = 0x08
const CONTROL_BATCH = 0x20

const encoder = new RecordBatchEncoder()

// The library's table of codecs is open to its users; its own one of zstd is slow for large batches.
Object.assign(compressionsAlgorithms.zstd, {
  decompressSync: (data: Parameters<typeof compressionsAlgorithms.zstd.decompressSync>[0]) =>
    decompressZstd(Buffer.isBuffer(data) ? data : data.slice()),
})

/** The produce request with batches of our own encoding. */
const produceApi = createAPI<[readonly ProduceBatch[], number], produceV11.ProduceResponse>(
  produceV11.api.key,
  produceV11.api.version,
  encodeProduce,
  produceV11.parseResponse,
)

export function createPlatformaticClient(settings: ConnectionSettings): KafkaClient {
  const { clientId, connectTimeoutMs, tls, sasl } = settings
  const options: ConnectionOptions = {
    connectTimeout: connectTimeoutMs,
    maxInflights: REQUESTS_IN_FLIGHT_MAX,
    ...(tls && { tls: tls.ca === undefined ? {} : { ca: tls.ca } }),
    ...(sasl && {
      sasl: { mechanism: sasl.mechanism, username: sasl.user, password: sasl.password },
    }),
  }
  return {
    async connect(address, requestTimeoutMs) {
      const connection = new Connection(clientId, { ...options, requestTimeout: requestTimeoutMs })
      // What goes wrong is told by the calls; an event without a listener would end the process.
      connection.on('error', () => undefined)
      try {
        await connection.connect(address.host, address.port)
      } catch (error) {
        await connection.close()
        throw connectionFailure(address, error, isAuthenticationError)
      }
      return new PlatformaticConnection(connection, address)
    },
  }
}

class PlatformaticConnection implements BrokerConnection {
  readonly #connection: Connection
  readonly #address: BrokerAddress
  #open = true

  constructor(connection: Connection, address: BrokerAddress) {
    this.#connection = connection
    this.#address = address
    connection.on('close', () => (this.#open = false))
  }

  get isOpen(): boolean {
    return this.#open
  }

  async produce(
    batches: readonly ProduceBatch[],
    timeoutMs: number,
  ): Promise<readonly ProduceAnswer[]> {
    const answer = await this.#send(produceApi, batches, timeoutMs)
    return answer.responses.flatMap(({ name, partitionResponses }) =>
      partitionResponses.map(({ index, errorCode, baseOffset, logAppendTimeMs }) => ({
        topic: name,
        partition: index,
        errorCode,
        baseOffset: Number(baseOffset),
        appendTimeMs: Number(logAppendTimeMs),
      })),
    )
  }

  async fetch(
    wanted: readonly FetchPosition[],
    { maxWaitMs, maxBytes }: FetchBounds,
  ): Promise<readonly FetchAnswer[]> {
    const topics = byTopic(wanted).map(({ topic, partitions }) => ({
      // This version of the request names topics; the field is called after later ones.
      topicId: topic,
      partitions: partitions.map((position) => ({
        partition: position.partition,
        currentLeaderEpoch: NO_EPOCH,
        fetchOffset: BigInt(position.offset),
        lastFetchedEpoch: NO_EPOCH,
        partitionMaxBytes: position.maxBytes,
      })),
    }))
    const { responses } = await this.#send(
      fetchV12.api,
      maxWaitMs,
      1,
      maxBytes,
      READ_UNCOMMITTED,
      NO_SESSION,
      NO_EPOCH,
      topics,
      [],
      '',
    )
    return responses.flatMap(({ topicId, partitions }) =>
      partitions.map(({ partitionIndex, errorCode, highWatermark, records }) => ({
        topic: topicId,
        partition: partitionIndex,
        errorCode,
        endOffset: Number(highWatermark),
        records: (records ?? []).flatMap(recordsOf),
      })),
    )
  }

  async listOffset({ topic, partition, at }: OffsetQuery): Promise<OffsetAnswer> {
    const timestamp = at === 'start' ? FROM_START : FROM_END
    const { topics } = await this.#send(listOffsetsV7.api, NO_REPLICA, READ_UNCOMMITTED, [
      {
        name: topic,
        partitions: [{ partitionIndex: partition, currentLeaderEpoch: NO_EPOCH, timestamp }],
      },
    ])
    return offsetAnswer(topics[0]?.partitions[0], (found) => found.offset)
  }

  async metadata(topics: readonly string[]): Promise<ClusterMetadata> {
    const answer = await this.#send(metadataV12.api, [...topics], false, false)
    return {
      brokers: answer.brokers.map(({ nodeId, host, port }) => ({ nodeId, host, port })),
      controllerId: answer.controllerId,
      topics: answer.topics.map(({ name, errorCode, topicId, partitions }) => {
        const leaders: number[] = []
        for (const { partitionIndex, leaderId } of partitions) leaders[partitionIndex] = leaderId
        return { name: name ?? '', errorCode, topicId: topicIdText(topicId), leaders }
      }),
    }
  }

  async createTopic(topic: TopicToCreate) {
    const { topics } = await this.#send(
      createTopicsV7.api,
      [
        {
          name: topic.name,
          numPartitions: topic.partitions,
          replicationFactor: topic.replicationFactor,
          assignments: [],
          configs: Object.entries(topic.settings).map(([name, value]) => ({ name, value })),
        },
      ],
      topic.timeoutMs,
      false,
    )
    const [created] = topics
    return { errorCode: created?.errorCode ?? -1, message: created?.errorMessage ?? undefined }
  }

  async topicSettings(topic: string, names: readonly string[]): Promise<TopicSettings> {
    const resources = [
      { resourceType: TOPIC_RESOURCE, resourceName: topic, configurationKeys: [...names] },
    ]
    const { results } = await this.#send(describeConfigsV4.api, resources, false, false)
    const values = (results[0]?.configs ?? []).map(({ name, value }) => [name, value ?? ''])
    return { errorCode: results[0]?.errorCode ?? -1, values: Object.fromEntries(values) }
  }

  async findCoordinator(group: string): Promise<CoordinatorAnswer> {
    const { coordinators } = await this.#send(findCoordinatorV4.api, COORDINATOR_OF_GROUP, [group])
    const [found] = coordinators
    return { errorCode: found?.errorCode ?? -1, nodeId: found?.nodeId ?? -1 }
  }

  async joinGroup(join: JoinRequest): Promise<JoinAnswer> {
    const answer = await this.#send(
      joinGroupV9.api,
      join.group,
      join.sessionTimeoutMs,
      join.rebalanceTimeoutMs,
      join.memberId,
      null,
      GROUP_PROTOCOL_TYPE,
      [{ name: join.protocol, metadata: join.metadata }],
      null,
    )
    const { errorCode, memberId, generationId, leader, members } = answer
    return { errorCode, memberId, generation: generationId, leaderId: leader, members }
  }

  async syncGroup(sync: SyncRequest) {
    const { errorCode, assignment } = await this.#send(
      syncGroupV5.api,
      sync.group,
      sync.generation,
      sync.memberId,
      null,
      GROUP_PROTOCOL_TYPE,
      sync.protocol,
      [...sync.assignments],
    )
    return { errorCode, assignment }
  }

  async heartbeat({ group, generation, memberId }: MemberIdentity) {
    return this.#send(heartbeatV4.api, group, generation, memberId, null)
  }

  async leaveGroup(group: string, memberId: string) {
    return this.#send(leaveGroupV5.api, group, [{ memberId }])
  }

  async commitOffset(member: MemberIdentity, { topic, partition, offset }: OffsetToCommit) {
    const { group, generation, memberId } = member
    const committed = {
      partitionIndex: partition,
      committedOffset: BigInt(offset),
      committedLeaderEpoch: NO_EPOCH,
      committedMetadata: null,
    }
    const { topics } = await this.#send(offsetCommitV8.api, group, generation, memberId, null, [
      { name: topic, partitions: [committed] },
    ])
    return { errorCode: topics[0]?.partitions[0]?.errorCode ?? -1 }
  }

  async committedOffset(group: string, topic: string, partition: number): Promise<OffsetAnswer> {
    const wanted = [{ name: topic, partitionIndexes: [partition] }]
    const { groups } = await this.#send(
      offsetFetchV8.api,
      [{ groupId: group, memberEpoch: NO_EPOCH, topics: wanted }],
      false,
    )
    const [found] = groups
    if (found !== undefined && found.errorCode !== 0)
      return { errorCode: found.errorCode, offset: -1 }
    return offsetAnswer(found?.topics[0]?.partitions[0], (at) => at.committedOffset)
  }

  async close(): Promise<void> {
    this.#open = false
    await this.#connection.close()
  }

  /** One request; what brokers refuse is in the answer, so that it is judged part by part. */
  async #send<Arguments extends unknown[], Answer>(
    api: API<Arguments, Answer>,
    ...parameters: Arguments
  ): Promise<Answer> {
    try {
      return await api.async(this.#connection, ...parameters)
    } catch (error) {
      if (error instanceof ResponseError) return error['response'] as Answer
      await this.close()
      throw connectionFailure(this.#address, error, isAuthenticationError)
    }
  }
}

function encodeProduce(batches: readonly ProduceBatch[], timeoutMs: number): Writer {
  return Writer.create()
    .appendString(null)
    .appendInt16(ACKS_ALL)
    .appendInt32(timeoutMs)
    .appendArray(byTopic(batches), (topics, { topic, partitions }) => {
      topics.appendString(topic).appendArray([...partitions], (parts, { partition, records }) => {
        const batch = encoder.encode(records)
        parts
          .appendInt32(partition)
          .appendUnsignedVarInt(batch.length + 1)
          .append(batch)
      })
    })
    .appendTaggedFields()
}

function isAuthenticationError(error: unknown): boolean {
  return error instanceof AuthenticationError
}

function recordsOf(batch: RecordsBatch): FetchedRecord[] {
  if ((batch.attributes & CONTROL_BATCH) !== 0) return []
  const appendTime = (batch.attributes & LOG_APPEND_TIME) !== 0
  const firstOffset = Number(batch.firstOffset)
  const firstTimestampMs = Number(batch.firstTimestamp)
  const maxTimestampMs = Number(batch.maxTimestamp)
  return batch.records.map(({ offsetDelta, timestampDelta, key, value, headers }) => ({
    offset: firstOffset + offsetDelta,
    timestampMs: appendTime ? maxTimestampMs : firstTimestampMs + Number(timestampDelta),
    key,
    value,
    headers: headers.map(([name, text]) => [`${name ?? ''}`, `${text ?? ''}`] as const),
  }))
}

function offsetAnswer<Found extends { readonly errorCode: number }>(
  found: Found | undefined,
  offsetOf: (found: Found) => bigint,
): OffsetAnswer {
  if (found === undefined) return { errorCode: -1, offset: -1 }
  return { errorCode: found.errorCode, offset: Number(offsetOf(found)) }
}
