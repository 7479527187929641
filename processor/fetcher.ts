/**
 * Reads one partition's records in order. A record that is no longer there is data loss: the
 * fetcher says so and never goes on from a later one.
 */
import type { EventLog, LogRecord, ReadResult } from '../shared/log/event-log.ts'
import { TOPICS } from '../shared/log/topics.ts'
import { BackhaulError } from '../shared/runtime/errors.ts'
import type { ProcessorConfig } from './config.ts'
import { processorErrors } from './errors.ts'
import { refuseOtherTopic } from './ownership.ts'
import { isRetryable, retry, type RetryContext } from './retry.ts'
import type { ProcessorTelemetry } from './telemetry.ts'

export interface FetcherParts {
  readonly partition: number
  /** Of the topic that the state is built from. */
  readonly topicId: string
  readonly log: EventLog
  readonly config: ProcessorConfig
  readonly telemetry: ProcessorTelemetry
  /** Ends a wait for records, so that a stop does not wait for it. */
  readonly signal: AbortSignal
  readonly nextOffset: number
  readonly endOffset: number
  retryContext(call: string): RetryContext
}

export class Fetcher {
  readonly #parts: FetcherParts
  #nextOffset: number
  #endOffset: number
  /**
   * What is read next may be of another topic of the same name: after a read that failed, and after a
   * time without reads, in which none could fail.
   */
  #mayBeOther = false

  constructor(parts: FetcherParts) {
    this.#parts = parts
    this.#nextOffset = parts.nextOffset
    this.#endOffset = parts.endOffset
  }

  /** Offset of the next record to read. */
  get nextOffset(): number {
    return this.#nextOffset
  }

  get endOffset(): number {
    return this.#endOffset
  }

  /**
   * The next records, none when there are none within `waitMs`. Throws `PROCESSOR_DATA_LOSS` when
   * the log no longer holds the next one.
   */
  async fetch(waitMs: number): Promise<readonly LogRecord[]> {
    const { partition, telemetry, retryContext } = this.#parts
    const { records, endOffset } = await retry(retryContext('read'), () => this.#read(waitMs))
    const first = records[0]
    if (first !== undefined && first.offset > this.#nextOffset)
      await retry(retryContext('offsets'), () => this.#refuseLostRange())
    const last = records.at(-1)
    if (last !== undefined) {
      this.#nextOffset = last.offset + 1
      telemetry.recordsRead(partition, records.length)
    }
    this.#endOffset = Math.max(endOffset, this.#nextOffset)
    return records
  }

  /** Asks for the end of the log without reading, so that lag shows while nothing is read. */
  async refreshEnd(): Promise<void> {
    const { log, partition } = this.#parts
    this.#mayBeOther = true
    try {
      const { end } = await log.offsets(TOPICS.events, partition)
      this.#endOffset = Math.max(end, this.#nextOffset)
    } catch (error) {
      if (!isRetryable(error)) throw error
    }
  }

  async #read(waitMs: number): Promise<ReadResult> {
    const { log, partition, config, signal, topicId } = this.#parts
    if (this.#mayBeOther) await refuseOtherTopic(log, topicId)
    this.#mayBeOther = false
    try {
      return await log.read(TOPICS.events, partition, {
        fromOffset: this.#nextOffset,
        maxRecords: config.fetchRecordsMax,
        maxBytes: config.fetchBytesMax,
        waitMs: Math.min(waitMs, config.fetchWaitMs),
        signal,
      })
    } catch (error) {
      this.#mayBeOther = true
      if (error instanceof BackhaulError && error.code === 'LOG_OFFSET_OUT_OF_RANGE')
        await this.#refuseLostRange()
      throw error
    }
  }

  async #refuseLostRange(): Promise<void> {
    const { log, partition, telemetry, topicId } = this.#parts
    await refuseOtherTopic(log, topicId)
    await refuseLostRange({ log, telemetry, partition, nextOffset: this.#nextOffset })
  }
}

/** Throws unless the log holds everything from `nextOffset` on; resolves to its end. */
export async function refuseLostRange(needed: {
  readonly log: EventLog
  readonly telemetry: ProcessorTelemetry
  readonly partition: number
  readonly nextOffset: number
}): Promise<number> {
  const { log, telemetry, partition, nextOffset } = needed
  const { start, end } = await log.offsets(TOPICS.events, partition)
  if (start > nextOffset) {
    telemetry.dataLost(partition, { from: nextOffset, to: start })
    throw processorErrors.create('PROCESSOR_DATA_LOSS', {
      expected: `partition ${partition} to begin at offset ${nextOffset} or before`,
      received: `offset ${start}: records ${nextOffset} to ${start - 1} are lost`,
    })
  }
  if (end < nextOffset)
    throw processorErrors.create('PROCESSOR_LOG_TRUNCATED', {
      expected: `partition ${partition} to end at offset ${nextOffset} or after`,
      received: `offset ${end}`,
    })
  return end
}
