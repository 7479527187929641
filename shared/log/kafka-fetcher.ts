/**
 * Fetches from the partitions that one broker leads. Reads that are asked for in one turn, or while
 * a fetch is on its way, share the next one. Those that find nothing yet wait at the broker, over
 * another connection, so that a read of what is there never stands behind them.
 */
import type { KafkaCluster } from '../kafka/cluster.ts'
import type { BrokerAddress, FetchAnswer } from '../kafka/kafka-client.ts'
import {
  FETCH_MAX_BYTES,
  FETCH_PARTITION_MAX_BYTES,
  FETCH_WAIT_MS,
  WAITING_READS_MAX,
} from '../kafka/limits.ts'
import { ERROR, meansStaleLeader, refusal } from '../kafka/protocol-errors.ts'
import type { Clock } from '../runtime/clock.ts'
import type { LogRecord } from './event-log.ts'
import { FetchSize } from './fetch-size.ts'
import type { KafkaLogTelemetry } from './kafka-telemetry.ts'
import { logErrors } from './log-errors.ts'

export interface Wanted {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly maxBytes: number
  /** Until when to wait for a first record, on the monotonic clock; the past: not at all. */
  readonly untilMs: number
  readonly signal: AbortSignal | undefined
}

/** What came of a read. */
export type Fetched =
  | { readonly kind: 'records'; readonly records: readonly LogRecord[]; readonly endOffset: number }
  | { readonly kind: 'outOfRange' }
  /** The broker does not lead the partition. */
  | { readonly kind: 'notLeader' }

export interface FetcherParts {
  readonly cluster: KafkaCluster
  readonly clock: Clock
  readonly telemetry: KafkaLogTelemetry
  readonly address: BrokerAddress
  /** Whether its fetches wait at the broker. */
  readonly waits: boolean
}

interface Pending {
  readonly wanted: Wanted
  endOffset: number
  settle(fetched: Fetched): void
  fail(error: unknown): void
}

export class BrokerFetcher {
  readonly #parts: FetcherParts
  readonly #pending = new Set<Pending>()
  readonly #size = new FetchSize()
  #running = false

  constructor(parts: FetcherParts) {
    this.#parts = parts
  }

  get waitingReads(): number {
    return this.#pending.size
  }

  fetch(wanted: Wanted): Promise<Fetched> {
    if (this.#pending.size >= WAITING_READS_MAX)
      return Promise.reject(
        logErrors.create('LOG_UNAVAILABLE', {
          expected: `at most ${WAITING_READS_MAX} reads that wait for one broker`,
        }),
      )
    return new Promise((resolve, reject) => {
      const done = () => {
        this.#pending.delete(pending)
        wanted.signal?.removeEventListener('abort', onAbort)
      }
      const pending: Pending = {
        wanted,
        endOffset: wanted.offset,
        settle: (fetched) => (done(), resolve(fetched)),
        fail: (error) => (done(), reject(error)),
      }
      const onAbort = () => pending.settle(nothing(pending))
      this.#pending.add(pending)
      wanted.signal?.addEventListener('abort', onAbort, { once: true })
      if (wanted.signal?.aborted === true) return onAbort()
      void this.#run()
    })
  }

  /** Ends all waiting reads empty. */
  close(): void {
    for (const pending of this.#pending) pending.settle(nothing(pending))
  }

  async #run(): Promise<void> {
    if (this.#running) return
    this.#running = true
    // At the end of this turn, so that everything asked for in it goes together.
    await new Promise((resolve) => setImmediate(resolve))
    while (this.#pending.size > 0) {
      const asked = this.#firstOfEachPartition()
      try {
        await this.#ask(asked)
      } catch (error) {
        this.#parts.cluster.markStale()
        for (const pending of asked) pending.fail(error)
      }
    }
    this.#running = false
  }

  /** A request names a partition once; a second read of it goes with a later request. */
  #firstOfEachPartition(): readonly Pending[] {
    const first = new Map<string, Pending>()
    for (const pending of this.#pending) {
      const name = `${pending.wanted.topic}/${pending.wanted.partition}`
      if (!first.has(name)) first.set(name, pending)
    }
    return [...first.values()]
  }

  async #ask(asked: readonly Pending[]): Promise<void> {
    const { cluster, telemetry, address, waits } = this.#parts
    const connection = await cluster.connections.get(address, waits ? 'waiting fetch' : 'fetch')
    telemetry.fetched(waits)
    const positions = asked.map(({ wanted: { topic, partition, offset, maxBytes } }) => {
      const bytes = Math.min(maxBytes, FETCH_PARTITION_MAX_BYTES)
      return { topic, partition, offset, maxBytes: this.#size.bytesFor(topic, bytes) }
    })
    const answers = await connection.fetch(positions, {
      maxWaitMs: waits ? this.#waitMs(asked) : 0,
      maxBytes: FETCH_MAX_BYTES,
    })
    const byName = new Map(answers.map((answer) => [`${answer.topic}/${answer.partition}`, answer]))
    for (const [index, pending] of asked.entries()) {
      const { topic, partition } = pending.wanted
      const answer = byName.get(`${topic}/${partition}`)
      if (answer === undefined) pending.fail(refusal(-1, `${topic}/${partition}`))
      else {
        this.#size.came(topic, positions[index]?.maxBytes ?? Infinity, bytesOf(answer))
        this.#take(pending, answer, index === 0)
      }
    }
  }

  #waitMs(asked: readonly Pending[]): number {
    const nowMs = this.#parts.clock.monotonicMs()
    const untilMs = Math.min(...asked.map(({ wanted }) => wanted.untilMs))
    return Math.max(0, Math.min(FETCH_WAIT_MS, Math.ceil(untilMs - nowMs)))
  }

  #take(pending: Pending, answer: FetchAnswer, wasFirst: boolean): void {
    const { topic, partition, offset, untilMs } = pending.wanted
    const { errorCode, endOffset } = answer
    if (errorCode === ERROR.offsetOutOfRange) return pending.settle({ kind: 'outOfRange' })
    if (meansStaleLeader(errorCode)) {
      this.#parts.cluster.markStale()
      return pending.settle({ kind: 'notLeader' })
    }
    if (errorCode !== ERROR.none) return pending.fail(refusal(errorCode, `${topic}/${partition}`))
    pending.endOffset = endOffset
    const records = answer.records.flatMap((record) =>
      record.offset >= offset ? [logRecord(partition, record)] : [],
    )
    if (records.length > 0) return pending.settle({ kind: 'records', records, endOffset })
    // There are records that the others left no room for: the first of a request always gets some.
    const squeezed = endOffset > offset && !wasFirst
    if (!squeezed && this.#parts.clock.monotonicMs() >= untilMs)
      return pending.settle(nothing(pending))
    if (squeezed) this.#size.wasSqueezed(topic)
    // Those that go on waiting go behind the others, those that were squeezed out before them.
    if (!squeezed && this.#pending.delete(pending)) this.#pending.add(pending)
  }
}

function bytesOf({ records }: FetchAnswer): number {
  return records.reduce((sum, { value }) => sum + (value?.byteLength ?? 0), 0)
}

function nothing({ endOffset }: Pending): Fetched {
  return { kind: 'records', records: [], endOffset }
}

function logRecord(
  partition: number,
  { offset, timestampMs, key, value, headers }: FetchAnswer['records'][number],
): LogRecord {
  return {
    partition,
    offset,
    loggedAtMs: timestampMs,
    key: key?.toString(),
    value: value ?? NO_BYTES,
    headers: Object.fromEntries(headers),
  }
}

const NO_BYTES = new Uint8Array(0)
