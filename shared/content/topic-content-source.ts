/**
 * Content metadata of the compacted topic `playback.content`: the last record of a content counts,
 * and one without a value ends it. Offsets have gaps where older records went.
 */
import type { EventLog, LogRecord } from '../log/event-log.ts'
import { TOPICS } from '../log/topics.ts'
import { BackhaulError, describeValue } from '../runtime/errors.ts'
import { Catalogue } from './catalogue.ts'
import { contentErrors } from './content-errors.ts'
import { decodeContent } from './content-record.ts'
import type { ContentSource } from './content-source.ts'
import {
  CONTENT_EMPTY_READS_MAX,
  CONTENT_FETCH_BYTES,
  CONTENT_FETCH_RECORDS,
  CONTENT_READ_WAIT_MS,
} from './limits.ts'

export type ContentLog = Pick<EventLog, 'describeTopic' | 'offsets' | 'read'>

type OnRefused = (error: BackhaulError) => void

interface Progress {
  readonly topicId: string
  readonly catalogue: Catalogue
  /** The next offset of each partition. */
  readonly nextOffsets: number[]
  /** Records read of each partition. */
  readonly records: number[]
  /** As which of them each content was read. */
  readonly places: Map<string, { readonly partition: number; readonly record: number }>
}

function begun(topicId: string, nextOffsets: number[]): Progress {
  return {
    topicId,
    catalogue: new Catalogue(),
    nextOffsets,
    records: nextOffsets.map(() => 0),
    places: new Map(),
  }
}

export class TopicContentSource implements ContentSource {
  readonly #log: ContentLog
  #progress: Progress = begun('', [])

  constructor(log: ContentLog) {
    this.#log = log
  }

  get catalogue(): Catalogue {
    return this.#progress.catalogue
  }

  /** How many records came after that of a content, in its partition. */
  recordsAfter(contentId: string): number {
    const { records, places } = this.#progress
    const place = places.get(contentId)
    return place === undefined ? 0 : (records[place.partition] ?? 0) - place.record
  }

  async refresh(onRefused: OnRefused, signal?: AbortSignal): Promise<void> {
    const { topicId, partitions } = await this.#log.describeTopic(TOPICS.content)
    const isSame =
      topicId === this.#progress.topicId && partitions === this.#progress.nextOffsets.length
    if (!isSame) return this.#readAnew(topicId, partitions, { onRefused, signal })
    try {
      await this.#readOn(this.#progress, { onRefused, signal })
    } catch (error) {
      if (!(error instanceof BackhaulError && error.code === 'LOG_OFFSET_OUT_OF_RANGE')) throw error
      // What went unread may be the end of a content.
      await this.#readAnew(topicId, partitions, { onRefused, signal })
    }
  }

  /** Nothing is shown of it before all of it is read. */
  async #readAnew(topicId: string, partitions: number, reading: Reading): Promise<void> {
    const nextOffsets: number[] = []
    for (let partition = 0; partition < partitions; partition += 1)
      nextOffsets.push((await this.#log.offsets(TOPICS.content, partition)).start)
    const progress = begun(topicId, nextOffsets)
    await this.#readOn(progress, reading)
    this.#progress = progress
  }

  async #readOn(progress: Progress, reading: Reading): Promise<void> {
    for (const partition of progress.nextOffsets.keys()) {
      const { end } = await this.#log.offsets(TOPICS.content, partition)
      for (let next = progress.nextOffsets[partition] ?? 0; next < end;) {
        reading.signal?.throwIfAborted()
        const records = await this.#readSome(partition, next, reading)
        const last = records.at(-1)
        // The records before the end have all been compacted away.
        next = last === undefined ? end : last.offset + 1
        for (const record of records) take(record, progress, reading.onRefused)
        progress.nextOffsets[partition] = next
      }
    }
  }

  /** The next records. A log that has not got them at hand may answer without any, and is asked again. */
  async #readSome(
    partition: number,
    fromOffset: number,
    { signal }: Reading,
  ): Promise<readonly LogRecord[]> {
    for (let attempt = 0; attempt < CONTENT_EMPTY_READS_MAX; attempt += 1) {
      const { records } = await this.#log.read(TOPICS.content, partition, {
        fromOffset,
        maxRecords: CONTENT_FETCH_RECORDS,
        maxBytes: CONTENT_FETCH_BYTES,
        waitMs: attempt === 0 ? 0 : CONTENT_READ_WAIT_MS,
        ...(signal === undefined ? {} : { signal }),
      })
      if (records.length > 0) return records
      signal?.throwIfAborted()
    }
    return []
  }
}

interface Reading {
  readonly onRefused: OnRefused
  readonly signal: AbortSignal | undefined
}

function take(
  { partition, key, value }: LogRecord,
  { catalogue, records, places }: Progress,
  onRefused: OnRefused,
): void {
  const record = (records[partition] ?? 0) + 1
  records[partition] = record
  if (value.byteLength === 0 && key !== undefined) {
    places.delete(key)
    return catalogue.delete(key)
  }
  const content = decodeContent(key, value)
  if (content === undefined)
    onRefused(contentErrors.create('CONTENT_RECORD_INVALID', { received: describeValue(key) }))
  else if (catalogue.put(content) === 'full')
    onRefused(contentErrors.create('CONTENT_TOO_MANY', { received: content.contentId }))
  else places.set(content.contentId, { partition, record })
}
