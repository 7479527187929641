/**
 * One partition of the LMDB log: its durable state, what the commit being made up adds to it, and
 * the readers that wait for its next record.
 */
import { assert } from '../runtime/errors.ts'
import type { WriteTask } from '../lmdb/group-commit.ts'
import type { Change } from '../lmdb/owner-row.ts'
import type { Table } from '../lmdb/root.ts'
import type { Appended, NewRecord } from './event-log.ts'
import { chunkKey, encodeChunk, recordBytes, type ChunkKey } from './lmdb-chunk.ts'
import { CHUNK_TARGET_BYTES, RECORD_MAX_BYTES, WAITING_READS_MAX } from './lmdb-limits.ts'
import { logErrors } from './log-errors.ts'

export interface PartitionState {
  /** First offset still held. */
  readonly startOffset: number
  /** The offset the next record will get. */
  readonly endOffset: number
  readonly lastAppendTimeMs: number
  /** Bytes of all chunks. */
  readonly chunkBytes: number
}

export interface LogTables {
  readonly chunks: Table
  readonly partitions: Table
}

const EMPTY: PartitionState = { startOffset: 0, endOffset: 0, lastAppendTimeMs: 0, chunkBytes: 0 }
const STATE_BYTES = 24
const TASK_OVERHEAD_BYTES = 64

export class LmdbPartition {
  readonly topicNumber: number
  readonly partition: number
  readonly #tables: LogTables
  readonly #stateKey: Buffer
  readonly #waiting = new Set<() => void>()
  #durable: PartitionState = EMPTY
  #staged: PartitionState = EMPTY

  constructor(tables: LogTables, topicNumber: number, partition: number) {
    this.#tables = tables
    this.topicNumber = topicNumber
    this.partition = partition
    this.#stateKey = Buffer.allocUnsafe(4)
    this.#stateKey.writeUInt16BE(topicNumber, 0)
    this.#stateKey.writeUInt16BE(partition, 2)
    this.load()
  }

  /**
   * Takes the state from the table, and wakes the reads that wait when another process appended. An
   * owner, which prepares a commit on what it has staged, loads only between commits.
   */
  load(): void {
    const stored = this.#tables.partitions.get(this.#stateKey)
    const before = this.#durable
    this.#durable = stored === undefined ? EMPTY : decodeState(stored)
    this.#staged = this.#durable
    if (this.#durable.endOffset > before.endOffset) this.wake()
  }

  get state(): PartitionState {
    return this.#durable
  }

  get waitingReads(): number {
    return this.#waiting.size
  }

  /** The append of these records; throws `LOG_RECORD_TOO_LARGE` before anything is queued. */
  appendTask(records: readonly NewRecord[], nowMs: () => number): WriteTask<Appended> {
    const groups = groupIntoChunks(records)
    let next = this.#durable
    let appended: Appended | undefined
    return {
      bytes: groups.reduce((sum, group) => sum + group.bytes + TASK_OVERHEAD_BYTES, 0),
      prepare: () => {
        const before = this.#staged
        const appendTimeMs = Math.max(nowMs(), before.lastAppendTimeMs)
        appended = { baseOffset: before.endOffset, appendTimeMs }
        const changes: Change[] = []
        let { endOffset, chunkBytes } = before
        for (const group of groups) {
          const value = encodeChunk({ baseOffset: endOffset, loggedAtMs: appendTimeMs, ...group })
          endOffset += group.records.length
          chunkBytes += value.length
          changes.push({
            table: this.#tables.chunks,
            key: this.#chunkKey(endOffset - 1, appendTimeMs, value.length),
            value,
          })
        }
        next = { ...before, endOffset, chunkBytes, lastAppendTimeMs: appendTimeMs }
        changes.push(this.#stage(next))
        return changes
      },
      committed: () => {
        assert(appended !== undefined, 'an append is prepared before it is committed')
        this.#publish(next)
        this.wake()
        return appended
      },
      abandoned: () => this.#unstage(),
    }
  }

  /** Deletes the partition's oldest chunks, given in order; returns how many records went. */
  removalTask(
    oldest: readonly { readonly key: Buffer; readonly chunk: ChunkKey }[],
  ): WriteTask<number> {
    let next = this.#durable
    let removed = 0
    return {
      bytes: 0,
      prepare: () => {
        const before = this.#staged
        let { startOffset, chunkBytes } = before
        const changes: Change[] = []
        for (const { key, chunk } of oldest) {
          // Another process may have deleted it since it was found.
          if (chunk.lastOffset < startOffset) continue
          startOffset = chunk.lastOffset + 1
          chunkBytes -= chunk.valueBytes
          changes.push({ table: this.#tables.chunks, key, value: undefined })
        }
        removed = startOffset - before.startOffset
        next = { ...before, startOffset, chunkBytes }
        changes.push(this.#stage(next))
        return changes
      },
      committed: () => {
        this.#publish(next)
        return removed
      },
      abandoned: () => this.#unstage(),
    }
  }

  /** Writes the state again as it is. */
  touchTask(): WriteTask<void> {
    return {
      bytes: 0,
      prepare: () => [this.#stage(this.#staged)],
      committed: () => undefined,
      abandoned: () => this.#unstage(),
    }
  }

  /** Calls `wake` once at the next append; returns the cancellation. */
  onAppend(wake: () => void): () => void {
    assert(this.#waiting.size < WAITING_READS_MAX, `at most ${WAITING_READS_MAX} reads wait`)
    this.#waiting.add(wake)
    return () => this.#waiting.delete(wake)
  }

  wake(): void {
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    for (const wake of waiting) wake()
  }

  #chunkKey(lastOffset: number, loggedAtMs: number, valueBytes: number): Buffer {
    return chunkKey(this.topicNumber, this.partition, { lastOffset, loggedAtMs, valueBytes })
  }

  #stage(next: PartitionState): Change {
    this.#staged = next
    return { table: this.#tables.partitions, key: this.#stateKey, value: encodeState(next) }
  }

  #publish(next: PartitionState): void {
    this.#durable = next
  }

  #unstage(): void {
    this.#staged = this.#durable
  }
}

interface ChunkGroup {
  readonly records: readonly NewRecord[]
  readonly bytes: number
}

function groupIntoChunks(records: readonly NewRecord[]): ChunkGroup[] {
  const groups: { records: NewRecord[]; bytes: number }[] = []
  let open: { records: NewRecord[]; bytes: number } | undefined
  for (const record of records) {
    const bytes = recordBytes(record)
    if (bytes === undefined || bytes > RECORD_MAX_BYTES)
      throw logErrors.create('LOG_RECORD_TOO_LARGE', {
        expected: `at most ${RECORD_MAX_BYTES} bytes, texts within 65534 bytes`,
        received: bytes === undefined ? 'a longer key or header' : `${bytes} bytes`,
      })
    if (open === undefined || open.bytes + bytes > CHUNK_TARGET_BYTES) {
      open = { records: [], bytes: 0 }
      groups.push(open)
    }
    open.records.push(record)
    open.bytes += bytes
  }
  return groups
}

function encodeState(state: PartitionState): Buffer {
  const bytes = Buffer.allocUnsafe(STATE_BYTES)
  bytes.writeUIntBE(state.startOffset, 0, 6)
  bytes.writeUIntBE(state.endOffset, 6, 6)
  bytes.writeUIntBE(state.lastAppendTimeMs, 12, 6)
  bytes.writeUIntBE(state.chunkBytes, 18, 6)
  return bytes
}

function decodeState(bytes: Buffer): PartitionState {
  return {
    startOffset: bytes.readUIntBE(0, 6),
    endOffset: bytes.readUIntBE(6, 6),
    lastAppendTimeMs: bytes.readUIntBE(12, 6),
    chunkBytes: bytes.readUIntBE(18, 6),
  }
}
