/** The topics of an LMDB log: their identity, settings and partitions. */
import { assert } from '../runtime/errors.ts'
import type { Random } from '../runtime/random.ts'
import type { GroupCommit } from '../lmdb/group-commit.ts'
import type { Table } from '../lmdb/root.ts'
import type { TopicSpec } from './event-log.ts'
import { PARTITIONS_MAX, TOPIC_NAME_MAX_BYTES, TOPICS_MAX } from './lmdb-limits.ts'
import { LmdbPartition, type LogTables } from './lmdb-partition.ts'
import { logErrors } from './log-errors.ts'

export interface LmdbTopic {
  readonly topicId: string
  readonly spec: TopicSpec
  readonly partitions: readonly LmdbPartition[]
}

/** A topic's row: what is not in its key, the name. */
interface StoredTopic {
  readonly topicId: string
  readonly number: number
  readonly partitions: number
  readonly retentionMs: number
  readonly retentionBytes: number
}

/** Bytes of a topic's row beside its name. */
const STORED_TOPIC_MAX_BYTES = 256

export class LmdbTopics {
  readonly #commits: GroupCommit
  readonly #table: Table
  readonly #tables: LogTables
  readonly #random: Random
  readonly #topics = new Map<string, LmdbTopic & { readonly number: number }>()
  #ensuring: Promise<void> = Promise.resolve()

  constructor(commits: GroupCommit, tables: LogTables, random: Random) {
    this.#commits = commits
    this.#table = commits.table('topics')
    this.#tables = tables
    this.#random = random
    this.load()
  }

  /** Takes topics and the state of their partitions from the tables; an owner's between commits. */
  load(): void {
    for (const { key, value } of this.#table.getRange({}))
      this.#set(key.toString(), JSON.parse(value.toString()) as StoredTopic)
    for (const partition of this.partitions()) partition.load()
  }

  get(name: string): LmdbTopic {
    // Another process may have created it; an owner notices that by itself.
    if (!this.#topics.has(name) && !this.#commits.isOwner) this.load()
    const topic = this.#topics.get(name)
    if (topic === undefined) throw logErrors.create('LOG_TOPIC_UNKNOWN', { received: name })
    return topic
  }

  all(): Iterable<LmdbTopic> {
    return this.#topics.values()
  }

  *partitions(): Generator<LmdbPartition, void, undefined> {
    for (const topic of this.#topics.values()) yield* topic.partitions
  }

  /** Creates the topic, or takes over the retention of an existing one. */
  ensure(spec: TopicSpec): Promise<void> {
    // One at a time, so that two calls for one topic do not both create it.
    const done = this.#ensuring.then(() => this.#ensure(spec))
    this.#ensuring = done.catch(() => undefined)
    return done
  }

  async #ensure(spec: TopicSpec): Promise<void> {
    assertSpec(spec)
    const { name } = spec
    let stored: StoredTopic | undefined
    await this.#commits.write({
      bytes: name.length + STORED_TOPIC_MAX_BYTES,
      prepare: () => {
        stored = this.#toStore(spec)
        const value = Buffer.from(JSON.stringify(stored))
        return [{ table: this.#table, key: Buffer.from(name), value }]
      },
      committed: () => {
        assert(stored !== undefined, 'a topic is prepared before it is committed')
        this.#set(name, stored)
      },
      abandoned: () => undefined,
    })
  }

  #toStore({ name, partitions, retentionMs, retentionBytes }: TopicSpec): StoredTopic {
    const existing = this.#topics.get(name)
    if (existing !== undefined && existing.spec.partitions !== partitions)
      throw logErrors.create('LOG_TOPIC_MISMATCH', {
        expected: `BACKHAUL_PARTITIONS to be the ${existing.spec.partitions} partitions that ${name} has`,
        received: `${partitions}`,
      })
    const number = existing?.number ?? this.#topics.size
    assert(number < TOPICS_MAX, `a log has at most ${TOPICS_MAX} topics`)
    const topicId = existing?.topicId ?? this.#random.uuid()
    return { topicId, number, partitions, retentionMs, retentionBytes }
  }

  #set(name: string, stored: StoredTopic): void {
    const { topicId, number, partitions, retentionMs, retentionBytes } = stored
    this.#topics.set(name, {
      topicId,
      number,
      spec: { name, partitions, retentionMs, retentionBytes },
      partitions:
        this.#topics.get(name)?.partitions ??
        Array.from(
          { length: partitions },
          (_, partition) => new LmdbPartition(this.#tables, number, partition),
        ),
    })
  }
}

function assertSpec({ name, partitions }: TopicSpec): void {
  const nameBytes = Buffer.byteLength(name)
  assert(
    nameBytes > 0 && nameBytes <= TOPIC_NAME_MAX_BYTES,
    `a topic name has 1 to ${TOPIC_NAME_MAX_BYTES} bytes`,
  )
  assert(
    Number.isInteger(partitions) && partitions > 0 && partitions <= PARTITIONS_MAX,
    `a topic has 1 to ${PARTITIONS_MAX} partitions`,
  )
}
