/**
 * The event log in one LMDB folder, all topics and partitions together. One process owns it; others
 * may append as its guests, or read. Appends of all partitions that are asked for while a commit is
 * on its way share the next one; an append resolves when its commit is flushed. Appends to one
 * partition are queued in the order of the calls. Committed offsets of groups are durable;
 * membership is of this process, and ends with it.
 */
import type { Clock } from '../runtime/clock.ts'
import { assert } from '../runtime/errors.ts'
import { noFailpoints, type Failpoints } from '../runtime/failpoints.ts'
import { systemRandom, type Random } from '../runtime/random.ts'
import { createTelemetryBase, type TelemetryBase } from '../runtime/telemetry.ts'
import { GroupCommit } from '../lmdb/group-commit.ts'
import type { Access } from '../lmdb/owner-row.ts'
import type { Table } from '../lmdb/root.ts'
import { ConsumerGroup } from './consumer-groups.ts'
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
import { chunkSeekKey, decodeChunk, partitionEndKey } from './lmdb-chunk.ts'
import {
  APPEND_QUEUE_MAX_BYTES,
  APPEND_QUEUE_MAX_CALLS,
  COMMIT_MAX_BYTES,
  FOLLOW_PERIOD_MS,
  GROUP_NAME_MAX_BYTES,
  RETENTION_PERIOD_MS,
} from './lmdb-limits.ts'
import type { LmdbPartition } from './lmdb-partition.ts'
import { applyPartitionRetention } from './lmdb-retention.ts'
import {
  createLmdbLogTelemetry,
  type LmdbLogTelemetry,
  type LogPartitionStanding,
} from './lmdb-telemetry.ts'
import { LmdbTopics, type LmdbTopic } from './lmdb-topics.ts'
import { logErrors } from './log-errors.ts'

export interface LmdbEventLogOptions {
  /** Folder of the environment; created when it is missing, but not by a reader. */
  readonly folder: string
  /** `owner` when absent. Only an owner applies the retention by itself. */
  readonly access?: Access
  /** Bytes of pages in use beyond which appends are refused with `LOG_FULL`. */
  readonly mapBytes: number
  readonly clock: Clock
  readonly failpoints?: Failpoints
  readonly random?: Random
  /** Where `lmdbLogMetrics` are registered; without it they are kept to the log itself. */
  readonly telemetry?: TelemetryBase
}

export async function openLmdbEventLog(options: LmdbEventLogOptions): Promise<EventLog> {
  return new LmdbEventLog(options)
}

class LmdbEventLog implements EventLog {
  readonly #clock: Clock
  readonly #commits: GroupCommit
  readonly #chunks: Table
  readonly #groupOffsets: Table
  readonly #topics: LmdbTopics
  readonly #telemetry: LmdbLogTelemetry
  readonly #groups = new Map<string, ConsumerGroup>()
  readonly #stopTimers: (() => void)[]
  #retention: Promise<number> = Promise.resolve(0)
  #closed = false

  constructor(options: LmdbEventLogOptions) {
    const failpoints = options.failpoints ?? noFailpoints
    this.#clock = options.clock
    this.#telemetry = createLmdbLogTelemetry(options.telemetry ?? createTelemetryBase('silent'))
    this.#commits = new GroupCommit({
      folder: options.folder,
      access: options.access ?? 'owner',
      tables: ['chunks', 'groups', 'partitions', 'topics'],
      mapBytes: options.mapBytes,
      commitMaxBytes: COMMIT_MAX_BYTES,
      queueMaxBytes: APPEND_QUEUE_MAX_BYTES,
      queueMaxTasks: APPEND_QUEUE_MAX_CALLS,
      errors: {
        full: (received, cause) => logErrors.create('LOG_FULL', { received, cause }),
        unavailable: (received, cause) => logErrors.create('LOG_UNAVAILABLE', { received, cause }),
        overtaken: () => logErrors.create('LOG_OVERTAKEN'),
        closed: () => logErrors.create('LOG_CLOSED'),
        readOnly: () => logErrors.create('LOG_READ_ONLY'),
      },
      clock: options.clock,
      telemetry: this.#telemetry,
      load: () => this.#topics.load(),
      beforeCommit: () => failpoints.hit('log.beforeCommit'),
      afterCommit: () => failpoints.hit('log.afterCommit'),
    })
    this.#chunks = this.#commits.table('chunks')
    this.#groupOffsets = this.#commits.table('groups')
    this.#topics = new LmdbTopics(
      this.#commits,
      { chunks: this.#chunks, partitions: this.#commits.table('partitions') },
      options.random ?? systemRandom,
    )
    this.#telemetry.partitionsAreRead(() => this.#partitionStandings())
    this.#stopTimers = [this.#clock.every(FOLLOW_PERIOD_MS, () => this.#follow())]
    if (this.#commits.isOwner) this.#stopTimers.push(this.#applyRetentionByItself())
  }

  async ensureTopics(topics: readonly TopicSpec[]): Promise<void> {
    for (const spec of topics) await this.#topics.ensure(spec)
  }

  async describeTopic(topic: string): Promise<TopicDescription> {
    const { topicId, spec } = this.#topic(topic)
    return { topicId, partitions: spec.partitions }
  }

  async append(topic: string, partition: number, records: readonly NewRecord[]): Promise<Appended> {
    assert(records.length > 0, 'an append has records')
    const task = this.#partition(topic, partition).appendTask(records, () => this.#clock.nowMs())
    return this.#commits.write(task)
  }

  async read(topic: string, partition: number, request: ReadRequest): Promise<ReadResult> {
    const from = this.#partition(topic, partition)
    const first = this.#readNow(from, request)
    if (first.records.length > 0 || request.waitMs <= 0) return first
    await this.#appendOrEnd(from, request)
    if (this.#closed) return { records: [], endOffset: from.state.endOffset }
    return this.#readNow(this.#partition(topic, partition), request)
  }

  async readAt(topic: string, positions: readonly Position[]): Promise<(LogRecord | undefined)[]> {
    assert(
      positions.length <= READ_AT_MAX_POSITIONS,
      `at most ${READ_AT_MAX_POSITIONS} positions a call`,
    )
    return positions.map(({ partition, offset }) => {
      const from = this.#partition(topic, partition)
      const { startOffset, endOffset } = from.state
      if (offset < startOffset || offset >= endOffset) return undefined
      const [record] = this.#recordsFrom(from, offset)
      return record?.offset === offset ? record : undefined
    })
  }

  async offsets(topic: string, partition: number): Promise<OffsetRange> {
    const { startOffset, endOffset } = this.#partition(topic, partition).state
    return { start: startOffset, end: endOffset }
  }

  async joinGroup(group: string, topic: string, handler: GroupHandler): Promise<GroupMember> {
    this.#commits.assertWrites()
    const { partitions } = this.#topic(topic).spec
    const key = groupPrefix(group, topic).toString('latin1')
    let members = this.#groups.get(key)
    if (members === undefined) {
      const store = (partition: number, nextOffset: number) =>
        this.#storeOffset(groupKey(group, topic, partition), nextOffset)
      members = new ConsumerGroup(partitions, store, this.#clock)
      this.#groups.set(key, members)
    }
    return members.join(handler)
  }

  async committedOffset(
    group: string,
    topic: string,
    partition: number,
  ): Promise<number | undefined> {
    this.#partition(topic, partition)
    return this.#groupOffsets.get(groupKey(group, topic, partition))?.readUIntBE(0, 6)
  }

  applyRetention(): Promise<number> {
    // Runs follow one another: two at once would count the same records.
    const run = this.#retention.then(
      () => this.#applyRetention(),
      () => this.#applyRetention(),
    )
    this.#retention = run
    return run
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    for (const stop of this.#stopTimers) stop()
    for (const partition of this.#topics.partitions()) partition.wake()
    await this.#commits.close()
  }

  /** Notices what other processes have appended; wakes the reads that wait for it. */
  #follow(): void {
    try {
      if (this.#commits.isOwner) return this.#commits.noticeGuests()
      this.#commits.beforeRead()
      for (const partition of this.#topics.partitions())
        if (partition.waitingReads > 0) partition.load()
    } catch (error) {
      this.#telemetry.followingFailed(error)
    }
  }

  #applyRetentionByItself(): () => void {
    return this.#clock.every(RETENTION_PERIOD_MS, () => {
      // A run that fails (a full disk, closing) is repeated by the next.
      this.applyRetention().catch((error: unknown) => {
        if (!this.#closed) this.#telemetry.retentionFailed(error)
      })
    })
  }

  async #applyRetention(): Promise<number> {
    this.#commits.assertWrites()
    if (!this.#commits.isOwner) this.#topics.load()
    let removed = 0
    for (const { spec, partitions } of this.#topics.all())
      for (const partition of partitions) {
        if (this.#closed) return removed
        const nowMs = this.#clock.nowMs()
        const gone = await applyPartitionRetention(this.#commits, this.#chunks, partition, {
          keepFromMs: nowMs - spec.retentionMs,
          keepBytes: spec.retentionBytes,
        })
        if (gone > 0) this.#telemetry.recordsRemoved(spec.name, gone)
        removed += gone
      }
    return removed
  }

  *#partitionStandings(): Generator<LogPartitionStanding, void, undefined> {
    for (const { spec, partitions } of this.#topics.all())
      for (const { partition, waitingReads, state } of partitions)
        yield { topic: spec.name, partition, waitingReads, ...state }
  }

  /** What the log holds at this moment; short, so that no reader keeps old pages from reuse. */
  #readNow(from: LmdbPartition, request: ReadRequest): ReadResult {
    const { startOffset, endOffset } = from.state
    const { fromOffset } = request
    if (fromOffset < startOffset || fromOffset > endOffset) throw outOfRange(from, fromOffset)
    const records: LogRecord[] = []
    if (fromOffset === endOffset) return { records, endOffset }
    let bytes = 0
    for (const record of this.#recordsFrom(from, fromOffset)) {
      if (record.offset >= endOffset) break
      bytes += record.value.byteLength
      if (records.length > 0 && bytes > request.maxBytes) break
      records.push(record)
      if (records.length >= request.maxRecords || bytes >= request.maxBytes) break
    }
    // The retention may have deleted the record in a commit that is not accounted for yet.
    if (records[0]?.offset !== fromOffset) throw outOfRange(from, fromOffset)
    return { records, endOffset }
  }

  *#recordsFrom(from: LmdbPartition, offset: number): Generator<LogRecord, void, undefined> {
    const { topicNumber, partition } = from
    const entries = this.#chunks.getRange({
      start: chunkSeekKey(topicNumber, partition, offset),
      end: partitionEndKey(topicNumber, partition),
    })
    for (const { value } of entries) yield* decodeChunk(value, partition, offset)
  }

  #appendOrEnd(from: LmdbPartition, request: ReadRequest): Promise<void> {
    const { signal } = request
    return new Promise((resolve) => {
      if (signal?.aborted === true) return resolve()
      const done = (): void => {
        cancelAppend()
        cancelTimer()
        signal?.removeEventListener('abort', done)
        resolve()
      }
      const cancelAppend = from.onAppend(done)
      const cancelTimer = this.#clock.after(request.waitMs, done)
      signal?.addEventListener('abort', done, { once: true })
    })
  }

  #storeOffset(key: Buffer, nextOffset: number): Promise<void> {
    const value = Buffer.allocUnsafe(6)
    value.writeUIntBE(nextOffset, 0, 6)
    return this.#commits.write({
      bytes: key.length + value.length,
      prepare: () => [{ table: this.#groupOffsets, key, value }],
      committed: () => undefined,
      abandoned: () => undefined,
    })
  }

  #topic(name: string): LmdbTopic {
    if (this.#closed) throw logErrors.create('LOG_CLOSED')
    this.#commits.beforeRead()
    return this.#topics.get(name)
  }

  #partition(topic: string, partition: number): LmdbPartition {
    const { spec, partitions } = this.#topic(topic)
    const found = partitions[partition]
    assert(
      found !== undefined,
      `${topic} has partitions 0 to ${spec.partitions - 1}, not ${partition}`,
    )
    // An owner notices what others write; to load at every call would cost its appends.
    if (!this.#commits.isOwner) found.load()
    return found
  }
}

function outOfRange(from: LmdbPartition, fromOffset: number): Error {
  const { startOffset, endOffset } = from.state
  return logErrors.create('LOG_OFFSET_OUT_OF_RANGE', {
    expected: `an offset from ${startOffset} to ${endOffset} in partition ${from.partition}`,
    received: String(fromOffset),
  })
}

/** A prefix that no other group and topic has: the lengths come first. */
function groupPrefix(group: string, topic: string): Buffer {
  const groupName = Buffer.from(group)
  const topicName = Buffer.from(topic)
  assert(
    groupName.length > 0 && groupName.length <= GROUP_NAME_MAX_BYTES,
    `a group name has 1 to ${GROUP_NAME_MAX_BYTES} bytes`,
  )
  return Buffer.concat([Buffer.of(groupName.length, topicName.length), groupName, topicName])
}

function groupKey(group: string, topic: string, partition: number): Buffer {
  const number = Buffer.allocUnsafe(2)
  number.writeUInt16BE(partition, 0)
  return Buffer.concat([groupPrefix(group, topic), number])
}
