/**
 * Reads of the event log on Kafka, by explicit offsets and without a group. A broker sends whole
 * batches, more than a read may take; what is left of them is kept for the read that goes on there.
 */
import type { KafkaCluster } from '../kafka/cluster.ts'
import {
  FETCH_PARTITION_MAX_BYTES,
  LEADER_RETRIES_MAX,
  LEADER_RETRY_MS,
  READ_AHEAD_MAX_BYTES,
  READ_AT_FETCHES_MAX,
} from '../kafka/limits.ts'
import { ERROR, refusal } from '../kafka/protocol-errors.ts'
import type { Clock } from '../runtime/clock.ts'
import type { LogRecord, OffsetRange, ReadRequest, ReadResult } from './event-log.ts'
import { BrokerFetcher, type Fetched, type Wanted } from './kafka-fetcher.ts'
import type { KafkaLogTelemetry } from './kafka-telemetry.ts'
import { logErrors } from './log-errors.ts'

export interface ReaderParts {
  readonly cluster: KafkaCluster
  readonly clock: Clock
  readonly telemetry: KafkaLogTelemetry
}

interface Remainder extends ReadResult {
  readonly bytes: number
}

export class KafkaReader {
  readonly #parts: ReaderParts
  readonly #fetchers = new Map<string, BrokerFetcher>()
  readonly #ahead = new Map<string, Remainder>()
  #aheadBytes = 0
  #closed = false

  constructor(parts: ReaderParts) {
    this.#parts = parts
  }

  get waitingReads(): number {
    let count = 0
    for (const fetcher of this.#fetchers.values()) count += fetcher.waitingReads
    return count
  }

  async read(topic: string, partition: number, request: ReadRequest): Promise<ReadResult> {
    const kept = this.#takeAhead(topic, partition, request.fromOffset)
    if (kept !== undefined) return this.#deliver(topic, partition, kept, request)
    const nowMs = this.#parts.clock.monotonicMs()
    const { fromOffset, maxBytes, waitMs, signal } = request
    const wanted = { topic, partition, offset: fromOffset, maxBytes, signal }
    const atOnce = await this.#records({ ...wanted, untilMs: nowMs }, false)
    if (atOnce.records.length > 0 || waitMs <= 0)
      return this.#deliver(topic, partition, atOnce, request)
    const later = await this.#records({ ...wanted, untilMs: nowMs + waitMs }, true)
    return this.#deliver(topic, partition, later, request)
  }

  /** The records at these offsets of one partition, as far as they are there. */
  async readAt(
    topic: string,
    partition: number,
    offsets: readonly number[],
  ): Promise<ReadonlyMap<number, LogRecord>> {
    const { start, end } = await this.offsets(topic, partition)
    const missing = new Set(
      offsets.filter((offset) => offset >= start && offset < end).toSorted((a, b) => a - b),
    )
    const found = new Map<number, LogRecord>()
    for (let fetches = 0; fetches < READ_AT_FETCHES_MAX; fetches += 1) {
      const [offset] = missing
      if (offset === undefined) break
      const maxBytes = FETCH_PARTITION_MAX_BYTES
      const wanted = { topic, partition, offset, maxBytes, untilMs: 0, signal: undefined }
      const fetched = await this.#fetchFromLeader(wanted, false)
      missing.delete(offset)
      if (fetched.kind !== 'records') continue
      for (const record of fetched.records)
        if (record.offset === offset || missing.delete(record.offset))
          found.set(record.offset, record)
    }
    return found
  }

  offsets(topic: string, partition: number): Promise<OffsetRange> {
    return this.#parts.cluster.retry(async () => {
      const [start, end] = await Promise.all(
        (['start', 'end'] as const).map((at) => this.#offset(topic, partition, at)),
      )
      return { start: start ?? 0, end: end ?? 0 }
    })
  }

  /** Ends waiting reads empty. */
  close(): void {
    this.#closed = true
    for (const fetcher of this.#fetchers.values()) fetcher.close()
  }

  async #offset(topic: string, partition: number, at: 'start' | 'end'): Promise<number> {
    const { cluster } = this.#parts
    const address = await cluster.leader(topic, partition)
    try {
      const connection = await cluster.connections.get(address, 'control')
      const { errorCode, offset } = await connection.listOffset({ topic, partition, at })
      if (errorCode === ERROR.none) return offset
      throw refusal(errorCode, `${topic}/${partition}`)
    } catch (error) {
      cluster.markStale()
      throw error
    }
  }

  async #records(wanted: Wanted, waits: boolean): Promise<ReadResult> {
    const fetched = await this.#fetchFromLeader(wanted, waits)
    if (fetched.kind === 'records') return fetched
    const { topic, partition, offset } = wanted
    const { start, end } = await this.offsets(topic, partition)
    throw logErrors.create('LOG_OFFSET_OUT_OF_RANGE', {
      expected: `an offset from ${start} to ${end} in partition ${partition}`,
      received: String(offset),
    })
  }

  async #fetchFromLeader(
    wanted: Wanted,
    waits: boolean,
  ): Promise<Exclude<Fetched, { kind: 'notLeader' }>> {
    const { cluster, clock } = this.#parts
    for (let attempt = 0; attempt < LEADER_RETRIES_MAX; attempt += 1) {
      const { host, port } = await cluster.leader(wanted.topic, wanted.partition)
      const name = `${host}:${port} ${waits}`
      let fetcher = this.#fetchers.get(name)
      if (fetcher === undefined) {
        fetcher = new BrokerFetcher({ ...this.#parts, address: { host, port }, waits })
        this.#fetchers.set(name, fetcher)
      }
      if (this.#closed) return { kind: 'records', records: [], endOffset: wanted.offset }
      const fetched = await fetcher.fetch(wanted)
      if (fetched.kind !== 'notLeader') return fetched
      await clock.sleep(LEADER_RETRY_MS)
    }
    throw refusal(ERROR.notLeaderOrFollower, `${wanted.topic}/${wanted.partition}`)
  }

  /** As much as the request may take; the rest is kept for the next. */
  #deliver(
    topic: string,
    partition: number,
    { records, endOffset }: ReadResult,
    { maxRecords, maxBytes }: ReadRequest,
  ): ReadResult {
    let count = 0
    let bytes = 0
    for (const { value } of records) {
      bytes += value.byteLength
      if (count >= maxRecords || (count > 0 && bytes > maxBytes)) break
      count += 1
    }
    if (count < records.length)
      this.#keepAhead(`${topic}/${partition}`, records.slice(count), endOffset)
    return { records: records.slice(0, count), endOffset }
  }

  #takeAhead(topic: string, partition: number, fromOffset: number): ReadResult | undefined {
    const name = `${topic}/${partition}`
    const kept = this.#ahead.get(name)
    if (kept === undefined) return undefined
    this.#forgetAhead(name, kept)
    return kept.records[0]?.offset === fromOffset ? kept : undefined
  }

  #keepAhead(name: string, records: readonly LogRecord[], endOffset: number): void {
    const bytes = records.reduce((sum, { value }) => sum + value.byteLength, 0)
    const former = this.#ahead.get(name)
    if (former !== undefined) this.#forgetAhead(name, former)
    this.#ahead.set(name, { records, endOffset, bytes })
    this.#aheadBytes += bytes
    for (const [oldest, kept] of this.#ahead) {
      if (this.#aheadBytes <= READ_AHEAD_MAX_BYTES) break
      this.#forgetAhead(oldest, kept)
    }
  }

  #forgetAhead(name: string, { bytes }: Remainder): void {
    this.#ahead.delete(name)
    this.#aheadBytes -= bytes
  }
}
