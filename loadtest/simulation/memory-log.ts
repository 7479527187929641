/**
 * The event log in memory: topics of records, with a beginning that can move, holes in between, and
 * a name that another topic may take.
 */
import type {
  Appended,
  LogRecord,
  NewRecord,
  OffsetRange,
  ReadRequest,
  ReadResult,
  TopicDescription,
} from '../../shared/log/event-log.ts'
import { logErrors } from '../../shared/log/log-errors.ts'
import { assert } from '../../shared/runtime/errors.ts'
import type { Scheduler } from './scheduler.ts'

interface Partition {
  start: number
  end: number
  records: LogRecord[]
  readonly waiting: Set<() => void>
}

interface Topic {
  readonly topicId: string
  readonly partitions: readonly Partition[]
}

export class MemoryLog {
  readonly #scheduler: Scheduler
  readonly #partitions: number
  readonly #topics = new Map<string, Topic>()
  #created = 0

  constructor(scheduler: Scheduler, topics: readonly string[], partitions: number) {
    this.#scheduler = scheduler
    this.#partitions = partitions
    for (const topic of topics) this.createTopic(topic)
  }

  describe(topic: string): TopicDescription {
    const { topicId, partitions } = this.#topic(topic)
    return { topicId, partitions: partitions.length }
  }

  createTopic(topic: string): void {
    this.#created += 1
    const empty = () => ({ start: 0, end: 0, records: [], waiting: new Set<() => void>() })
    const partitions = Array.from({ length: this.#partitions }, empty)
    this.#topics.set(topic, { topicId: `${topic} #${this.#created}`, partitions })
  }

  /** The topic is gone, and reads that wait at it fail; returns how it is put back. */
  deleteTopic(topic: string): () => void {
    const deleted = this.#topic(topic)
    this.#topics.delete(topic)
    for (const { waiting } of deleted.partitions) for (const wake of waiting) wake()
    return () => this.#topics.set(topic, deleted)
  }

  /** With `holes`, so many offsets before the first record stay without one. */
  append(topic: string, partition: number, records: readonly NewRecord[], holes = 0): Appended {
    const to = this.#partition(topic, partition)
    const baseOffset = to.end + holes
    const loggedAtMs = this.#scheduler.nowMs
    for (const [index, record] of records.entries())
      to.records.push({ ...record, partition, offset: baseOffset + index, loggedAtMs })
    to.end = baseOffset + records.length
    for (const wake of to.waiting) wake()
    return { baseOffset, appendTimeMs: loggedAtMs }
  }

  async read(topic: string, partition: number, request: ReadRequest): Promise<ReadResult> {
    const from = this.#partition(topic, partition)
    if (this.#recordsFrom(from, request).length === 0 && request.waitMs > 0)
      await this.#appendOrEnd(from, request)
    // By then its topic may be gone, or another one of the name.
    const now = this.#partition(topic, partition)
    return { records: this.#recordsFrom(now, request), endOffset: now.end }
  }

  offsets(topic: string, partition: number): OffsetRange {
    const { start, end } = this.#partition(topic, partition)
    return { start, end }
  }

  /** Everything that is held of a partition. */
  records(topic: string, partition: number): readonly LogRecord[] {
    return this.#partition(topic, partition).records
  }

  /** Retention: the beginning moves. */
  removeBefore(topic: string, partition: number, offset: number): void {
    const from = this.#partition(topic, partition)
    from.start = offset
    from.records = from.records.filter((record) => record.offset >= offset)
  }

  /** An older copy of the log is put back; returns how the one it replaces is put back in turn. */
  cutAt(topic: string, partition: number, offset: number): () => void {
    const from = this.#partition(topic, partition)
    const { records, end } = from
    from.records = records.filter((record) => record.offset < offset)
    from.end = offset
    return () => Object.assign(from, { records, end })
  }

  #recordsFrom(from: Partition, request: ReadRequest): LogRecord[] {
    const { fromOffset, maxRecords, maxBytes } = request
    if (fromOffset < from.start || fromOffset > from.end)
      throw logErrors.create('LOG_OFFSET_OUT_OF_RANGE', { received: `${fromOffset}` })
    const records: LogRecord[] = []
    let bytes = 0
    for (let at = firstFrom(from.records, fromOffset); at < from.records.length; at += 1) {
      const record = from.records[at]
      if (record === undefined || records.length >= maxRecords) break
      bytes += record.value.length
      if (records.length > 0 && bytes > maxBytes) break
      records.push(record)
    }
    return records
  }

  #appendOrEnd(from: Partition, { waitMs, signal }: ReadRequest): Promise<void> {
    return new Promise((resolve) => {
      if (signal?.aborted) return resolve()
      const done = () => {
        cancel()
        from.waiting.delete(done)
        signal?.removeEventListener('abort', done)
        resolve()
      }
      const cancel = this.#scheduler.after(waitMs, 'read waited', done)
      from.waiting.add(done)
      signal?.addEventListener('abort', done, { once: true })
    })
  }

  #partition(topic: string, partition: number): Partition {
    const found = this.#topic(topic).partitions[partition]
    assert(found !== undefined, `${topic} has a partition ${partition}`)
    return found
  }

  #topic(topic: string): Topic {
    const found = this.#topics.get(topic)
    if (found === undefined) throw logErrors.create('LOG_UNAVAILABLE', { received: topic })
    return found
  }
}

/** Index of the first record whose offset is not below. */
function firstFrom(records: readonly LogRecord[], offset: number): number {
  let low = 0
  let high = records.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((records[middle]?.offset ?? 0) < offset) low = middle + 1
    else high = middle
  }
  return low
}
