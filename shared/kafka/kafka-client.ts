/**
 * What the event log needs of a Kafka client library: connections, and the requests sent over them.
 * Which broker to ask, what to repeat and when is decided above; a library only encodes, sends and
 * decodes. Brokers' errors are part of an answer, by Kafka's own codes (`protocol-errors.ts`), for
 * each partition apart. A call rejects when the connection fails or no answer comes in time; the
 * connection is then not open any more, and whether the broker did its work is left open.
 *
 * Brokers work on one request of a connection after another, so what may wait long (a fetch, a
 * join) needs a connection of its own.
 */
import type { NewRecord } from '../log/event-log.ts'

export interface BrokerAddress {
  readonly host: string
  readonly port: number
}

/** How to reach brokers: the same for all of them. */
export interface ConnectionSettings {
  readonly clientId: string
  readonly connectTimeoutMs: number
  /** Certificate authorities in PEM, `undefined` for those of the system; without TLS, no object. */
  readonly tls: { readonly ca: string | undefined } | undefined
  readonly sasl: SaslCredentials | undefined
}

export interface SaslCredentials {
  readonly mechanism: 'PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512'
  readonly user: string
  readonly password: string
}

export interface KafkaClient {
  /**
   * Opens a connection on which a request may take `requestTimeoutMs`. Rejects with
   * `LOG_CREDENTIALS_REFUSED` or `LOG_SECURITY_MISMATCH` where another setting is needed.
   */
  connect(address: BrokerAddress, requestTimeoutMs: number): Promise<BrokerConnection>
}

export interface BrokerConnection {
  readonly isOpen: boolean
  produce(batches: readonly ProduceBatch[], timeoutMs: number): Promise<readonly ProduceAnswer[]>
  fetch(wanted: readonly FetchPosition[], bounds: FetchBounds): Promise<readonly FetchAnswer[]>
  listOffset(position: OffsetQuery): Promise<OffsetAnswer>
  metadata(topics: readonly string[]): Promise<ClusterMetadata>
  createTopic(topic: TopicToCreate): Promise<{ errorCode: number; message: string | undefined }>
  /** Settings of a topic, by Kafka's names. */
  topicSettings(topic: string, names: readonly string[]): Promise<TopicSettings>
  findCoordinator(group: string): Promise<CoordinatorAnswer>
  joinGroup(join: JoinRequest): Promise<JoinAnswer>
  syncGroup(sync: SyncRequest): Promise<{ errorCode: number; assignment: Buffer }>
  heartbeat(member: MemberIdentity): Promise<{ errorCode: number }>
  leaveGroup(group: string, memberId: string): Promise<{ errorCode: number }>
  commitOffset(member: MemberIdentity, commit: OffsetToCommit): Promise<{ errorCode: number }>
  /** The group's committed offset, −1 where there is none. */
  committedOffset(group: string, topic: string, partition: number): Promise<OffsetAnswer>
  close(): Promise<void>
}

export interface PartitionName {
  readonly topic: string
  readonly partition: number
}

export interface ProduceBatch extends PartitionName {
  readonly records: readonly NewRecord[]
}

export interface ProduceAnswer extends PartitionName {
  readonly errorCode: number
  readonly baseOffset: number
  /** −1 where the topic keeps the producer's times. */
  readonly appendTimeMs: number
}

export interface FetchPosition extends PartitionName {
  readonly offset: number
  readonly maxBytes: number
}

export interface FetchBounds {
  /** How long the broker waits for a first record. */
  readonly maxWaitMs: number
  /** Bytes of the whole answer; one batch always fits. */
  readonly maxBytes: number
}

export interface FetchAnswer extends PartitionName {
  readonly errorCode: number
  /** Offset that the next record gets, as far as all in-sync replicas have it. */
  readonly endOffset: number
  /** In order; they may begin before the offset asked for. */
  readonly records: readonly FetchedRecord[]
}

export interface FetchedRecord {
  readonly offset: number
  readonly timestampMs: number
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: readonly (readonly [name: string, value: string])[]
}

export interface OffsetQuery extends PartitionName {
  readonly at: 'start' | 'end'
}

export interface OffsetAnswer {
  readonly errorCode: number
  readonly offset: number
}

export interface ClusterMetadata {
  readonly brokers: readonly (BrokerAddress & { readonly nodeId: number })[]
  readonly controllerId: number
  readonly topics: readonly TopicMetadata[]
}

export interface TopicMetadata {
  readonly name: string
  readonly errorCode: number
  readonly topicId: string
  /** Leader of each partition by its number, −1 where there is none. */
  readonly leaders: readonly number[]
}

export interface TopicToCreate {
  readonly name: string
  readonly partitions: number
  readonly replicationFactor: number
  readonly settings: Readonly<Record<string, string>>
  readonly timeoutMs: number
}

export interface TopicSettings {
  readonly errorCode: number
  readonly values: Readonly<Record<string, string>>
}

export interface CoordinatorAnswer {
  readonly errorCode: number
  readonly nodeId: number
}

export interface MemberIdentity {
  readonly group: string
  readonly memberId: string
  readonly generation: number
}

export interface JoinRequest {
  readonly group: string
  /** Empty for a new member. */
  readonly memberId: string
  readonly protocol: string
  readonly metadata: Buffer
  readonly sessionTimeoutMs: number
  readonly rebalanceTimeoutMs: number
}

export interface JoinAnswer {
  readonly errorCode: number
  readonly memberId: string
  readonly generation: number
  readonly leaderId: string
  /** Told to the leader alone. */
  readonly members: readonly { readonly memberId: string; readonly metadata: Buffer }[]
}

export interface SyncRequest extends MemberIdentity {
  readonly protocol: string
  readonly assignments: readonly { readonly memberId: string; readonly assignment: Buffer }[]
}

export interface OffsetToCommit extends PartitionName {
  readonly offset: number
}

/** Kafka's name for the consumer groups' own protocol type; tools show members of such groups. */
export const GROUP_PROTOCOL_TYPE = 'consumer'
/** zstd's fastest standard level: the same size as the default here, for 40 % of the time. */
export const ZSTD_LEVEL = 1

/** A topic's id as Kafka's tools print it, from its hexadecimal digits with or without dashes. */
export function topicIdText(hex: string): string {
  return Buffer.from(hex.replaceAll('-', ''), 'hex').toString('base64url')
}

/** Whether a record is the end of its key, for which Kafka has null in place of a value. */
export function isTombstone(key: string | undefined, value: Uint8Array): boolean {
  return value.byteLength === 0 && key !== undefined
}
