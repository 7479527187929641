/**
 * The event log: the only truth. A topic has a fixed number of partitions; a partition is a
 * gapless sequence of records, each with an offset and the time at which the log appended it.
 *
 * The gateway calls `append`, one call at a time per (topic, partition); processors and batches
 * call `read`; the serving API calls `readAt`. All methods may run in parallel with one another.
 * Failures are `logErrors` of `log-errors.ts`: `LOG_UNAVAILABLE` and `LOG_FULL` are retryable and
 * leave open whether the records were appended; `LOG_OFFSET_OUT_OF_RANGE` means data loss for a
 * reader that still needed the offset and must never be answered by jumping.
 */
export interface EventLog {
  /** Creates missing topics; an existing one must have the same number of partitions. */
  ensureTopics(topics: readonly TopicSpec[]): Promise<void>
  /** Identity of the topic: the id changes when a topic is deleted and created again. */
  describeTopic(topic: string): Promise<TopicDescription>
  /**
   * Appends the records in order and resolves when all of them are durable (flushed here, on all
   * in-sync replicas elsewhere), never earlier.
   */
  append(topic: string, partition: number, records: readonly NewRecord[]): Promise<Appended>
  /**
   * Reads records from `fromOffset` on, at least one when there is one, up to the bounds. Waits up
   * to `waitMs` for the first record; resolves empty when none came or `signal` aborted.
   */
  read(topic: string, partition: number, request: ReadRequest): Promise<ReadResult>
  /**
   * Reads single records by position, without a group. Absent ones (expired) are `undefined`.
   * At most `READ_AT_MAX_POSITIONS` positions a call.
   */
  readAt(topic: string, positions: readonly Position[]): Promise<(LogRecord | undefined)[]>
  /** First offset still held and the offset the next record will get. */
  offsets(topic: string, partition: number): Promise<OffsetRange>
  /**
   * Joins a consumer group; partitions are shared among the members alive. The handler may be
   * called before this resolves, so it must not wait for the member.
   */
  joinGroup(group: string, topic: string, handler: GroupHandler): Promise<GroupMember>
  /** The offset last committed by the group for the partition, if any. */
  committedOffset(group: string, topic: string, partition: number): Promise<number | undefined>
  /** Deletes records beyond the topic's retention; returns how many. The adapter also does so by itself. */
  applyRetention(): Promise<number>
  close(): Promise<void>
}

export const READ_AT_MAX_POSITIONS = 256

/** Retention of a topic whose records do not age. */
export const FOR_EVER_MS = Number.MAX_SAFE_INTEGER

export interface TopicSpec {
  readonly name: string
  readonly partitions: number
  /** Records older than this may be deleted, oldest first; `FOR_EVER_MS`: none for its age. */
  readonly retentionMs: number
  /** Bytes a partition may hold before its oldest records are deleted; Kafka, whose disks others watch, has no such bound. */
  readonly retentionBytes: number
  /**
   * Whether a record may go as soon as a later one of its key is there. The embedded log keeps them
   * all until their retention.
   */
  readonly compacted?: boolean
}

export interface TopicDescription {
  readonly topicId: string
  readonly partitions: number
}

export interface NewRecord {
  /** Partitioning key (`sessionId` for events); absent for ticks. */
  readonly key: string | undefined
  /** Empty with a key: in a compacted topic what the key stood for is over. */
  readonly value: Uint8Array
  /** By name; none is called `__proto__`, which a client library that keeps them in an object cannot carry. */
  readonly headers: Readonly<Record<string, string>>
}

export interface Appended {
  /** Offset of the first record; the others follow without gaps. */
  readonly baseOffset: number
  /** The log's append time of these records, epoch ms (`loggedAt`). */
  readonly appendTimeMs: number
}

export interface LogRecord {
  readonly partition: number
  readonly offset: number
  /** Append time by the log's own clock, epoch ms; never decreases within a partition. */
  readonly loggedAtMs: number
  readonly key: string | undefined
  readonly value: Uint8Array
  readonly headers: Readonly<Record<string, string>>
}

export interface ReadRequest {
  readonly fromOffset: number
  readonly maxRecords: number
  readonly maxBytes: number
  readonly waitMs: number
  readonly signal?: AbortSignal
}

export interface ReadResult {
  readonly records: readonly LogRecord[]
  /** The offset the next record of the partition will get, as of this read. */
  readonly endOffset: number
}

export interface Position {
  readonly partition: number
  readonly offset: number
}

export interface OffsetRange {
  readonly start: number
  readonly end: number
}

export interface GroupHandler {
  /** Called with the partitions now owned; work on them may begin. */
  assigned(partitions: readonly number[], generation: number): Promise<void>
  /** Called before partitions are given up; work on them must end before it resolves. */
  revoked(partitions: readonly number[]): Promise<void>
  /**
   * Called instead when the group has gone on without this member: the partitions are others' by
   * now, and nothing more is to be done for them. The member joins anew by itself.
   */
  lost(partitions: readonly number[]): Promise<void>
}

export interface GroupMember {
  readonly generation: number
  /**
   * Whether the group still takes this member for alive, as far as it can know: false once nothing
   * was heard for the session timeout, which it notices itself before anyone tells it.
   */
  readonly isCurrent: boolean
  /** Commits the next offset to read. Throws `LOG_GROUP_FENCED` under an older generation. */
  commit(partition: number, nextOffset: number, generation: number): Promise<void>
  leave(): Promise<void>
}
