/** Topics on Kafka: how they are created, and what an existing one must be like. */
import type { KafkaCluster } from '../kafka/cluster.ts'
import { ERROR, errorName, refusal } from '../kafka/protocol-errors.ts'
import { BackhaulError } from '../runtime/errors.ts'
import { FOR_EVER_MS, type TopicDescription, type TopicSpec } from './event-log.ts'
import type { KafkaConfig } from './kafka-config.ts'
import { logErrors } from './log-errors.ts'

const TIMESTAMP_TYPE = 'message.timestamp.type'
const LOG_APPEND_TIME = 'LogAppendTime'
const MIN_INSYNC_REPLICAS = 'min.insync.replicas'
const CLEANUP_POLICY = 'cleanup.policy'

export class KafkaTopics {
  readonly #cluster: KafkaCluster
  readonly #config: KafkaConfig

  constructor(cluster: KafkaCluster, config: KafkaConfig) {
    this.#cluster = cluster
    this.#config = config
  }

  async describe(topic: string): Promise<TopicDescription> {
    const { topicId, leaders } = await this.#cluster.retry(() => this.#cluster.describe(topic))
    return { topicId, partitions: leaders.length }
  }

  /** Creates the topic, or refuses one that the promises do not hold for. */
  async ensure(spec: TopicSpec): Promise<void> {
    await this.#cluster.retry(async () => {
      const exists = await this.#exists(spec.name)
      if (!exists) await this.#create(spec)
      await this.#verify(spec)
    })
  }

  async #exists(topic: string): Promise<boolean> {
    try {
      await this.#cluster.describe(topic)
      return true
    } catch (error) {
      if (error instanceof BackhaulError && error.code === 'LOG_TOPIC_UNKNOWN') return false
      throw error
    }
  }

  async #create(spec: TopicSpec): Promise<void> {
    const { replicationFactor, minInsyncReplicas, batchMaxBytes, requestTimeoutMs } = this.#config
    const controller = await this.#cluster.controller()
    const { errorCode, message } = await controller.createTopic({
      name: spec.name,
      partitions: spec.partitions,
      replicationFactor,
      settings: {
        [TIMESTAMP_TYPE]: LOG_APPEND_TIME,
        [MIN_INSYNC_REPLICAS]: `${minInsyncReplicas}`,
        [CLEANUP_POLICY]: cleanupPolicy(spec),
        'compression.type': 'zstd',
        'retention.ms': spec.retentionMs === FOR_EVER_MS ? '-1' : `${spec.retentionMs}`,
        // Time alone: records that went for their bytes may be ones that the batch has not taken yet.
        'retention.bytes': '-1',
        'max.message.bytes': `${batchMaxBytes}`,
      },
      timeoutMs: requestTimeoutMs,
    })
    // Another process may have created it a moment ago: what it is like is verified all the same.
    if (errorCode === ERROR.none || errorCode === ERROR.topicAlreadyExists) return
    if (errorCode === ERROR.notController || errorCode === ERROR.requestTimedOut) {
      this.#cluster.markStale()
      throw refusal(errorCode, spec.name)
    }
    if (errorCode === ERROR.clusterAuthorizationFailed) throw refusal(errorCode, spec.name)
    if (errorCode === ERROR.topicAuthorizationFailed) throw refusal(errorCode, spec.name)
    throw logErrors.create('LOG_TOPIC_NOT_CREATED', {
      expected: `${spec.name} with ${spec.partitions} partitions and ${replicationFactor} replicas each`,
      received: message ?? errorName(errorCode),
    })
  }

  /** The topic as all of it can be used: every partition has a leader, or a later try may find one. */
  async #verify(spec: TopicSpec): Promise<void> {
    const { leaders } = await this.#awaitKnown(spec.name)
    if (leaders.length !== spec.partitions)
      throw logErrors.create('LOG_TOPIC_MISMATCH', {
        expected: `BACKHAUL_PARTITIONS to be the ${leaders.length} partitions that ${spec.name} has`,
        received: `${spec.partitions}`,
      })
    if (leaders.some((leader) => leader < 0))
      throw refusal(ERROR.leaderNotAvailable, `partitions of ${spec.name}`)
    await this.#verifySettings(spec)
  }

  /** A topic that was created a moment ago may not be known to every broker yet. */
  async #awaitKnown(topic: string) {
    try {
      return await this.#cluster.describe(topic)
    } catch (error) {
      if (error instanceof BackhaulError && error.code === 'LOG_TOPIC_UNKNOWN')
        throw refusal(ERROR.unknownTopicOrPartition, topic)
      throw error
    }
  }

  async #verifySettings({ name: topic, compacted, retentionMs }: TopicSpec): Promise<void> {
    const controller = await this.#cluster.controller()
    const names = [TIMESTAMP_TYPE, MIN_INSYNC_REPLICAS, CLEANUP_POLICY]
    const { errorCode, values } = await controller.topicSettings(topic, names)
    if (errorCode !== ERROR.none) throw refusal(errorCode, `settings of ${topic}`)
    const { minInsyncReplicas } = this.#config
    const unfit = (name: string, expected: string) =>
      logErrors.create('LOG_TOPIC_UNFIT', {
        expected: `${name} of ${topic} to be ${expected}`,
        received: values[name] ?? 'none',
      })
    if (values[TIMESTAMP_TYPE] !== LOG_APPEND_TIME) throw unfit(TIMESTAMP_TYPE, LOG_APPEND_TIME)
    if (Number(values[MIN_INSYNC_REPLICAS]) < minInsyncReplicas)
      throw unfit(MIN_INSYNC_REPLICAS, `at least KAFKA_MIN_INSYNC_REPLICAS = ${minInsyncReplicas}`)
    // All frames of a session have one key: compaction would throw acknowledged ones away.
    if (compacted !== true && values[CLEANUP_POLICY]?.includes('compact') === true)
      throw unfit(CLEANUP_POLICY, 'delete')
    if (retentionMs === FOR_EVER_MS && values[CLEANUP_POLICY]?.includes('delete') === true)
      throw unfit(CLEANUP_POLICY, 'compact')
  }
}

/** Most keys of a compacted topic are never repeated: its records expire as well. */
function cleanupPolicy({ compacted, retentionMs }: TopicSpec): string {
  if (compacted !== true) return 'delete'
  return retentionMs === FOR_EVER_MS ? 'compact' : 'compact,delete'
}
