/**
 * Appends to the partitions that one broker leads. What is asked for in one turn of the event loop,
 * or while requests are on their way, shares the next request, one append of each lane: a request
 * costs gateway and broker the same whatever it carries. Each lane is judged by its own part of the
 * answer, which counts only with a base offset and no error.
 *
 *   shared ──refused, or too slow for its replicas──► lone ──in the log in time──► shared
 *
 * A lane whose partition was refused is sent apart, over another connection, until it succeeds: a
 * request is answered when its slowest partition is, and one sick partition must not hold the rest.
 * An append that failed may be in the log all the same; nothing here sends it again.
 */
import type { KafkaCluster } from '../kafka/cluster.ts'
import type { Purpose } from '../kafka/connections.ts'
import type { BrokerAddress, ProduceAnswer } from '../kafka/kafka-client.ts'
import {
  LONE_CONNECTIONS_MAX,
  PRODUCE_REQUEST_MAX_BYTES,
  SHARED_PRODUCE_TIMEOUT_MS,
  SHARED_PRODUCES_MAX,
  WAITING_APPENDS_MAX,
} from '../kafka/limits.ts'
import { ERROR, errorName, meansStaleLeader, refusal } from '../kafka/protocol-errors.ts'
import type { Clock } from '../runtime/clock.ts'
import { BackhaulError } from '../runtime/errors.ts'
import type { Appended, NewRecord } from './event-log.ts'
import type { KafkaLogTelemetry } from './kafka-telemetry.ts'
import { logErrors } from './log-errors.ts'

export interface ProducerParts {
  readonly cluster: KafkaCluster
  readonly clock: Clock
  readonly telemetry: KafkaLogTelemetry
  readonly produceTimeoutMs: number
}

interface Append {
  readonly records: readonly NewRecord[]
  readonly bytes: number
  /** `undefined`: the broker does not lead the partition, and has not appended. */
  resolve(appended: Appended | undefined): void
  reject(error: unknown): void
}

interface Lane {
  readonly topic: string
  readonly partition: number
  readonly waiting: Append[]
  current: Append | undefined
  lone: boolean
}

export class BrokerProducer {
  readonly #address: BrokerAddress
  readonly #parts: ProducerParts
  readonly #lanes = new Map<string, Lane>()
  /** Lanes with something to send and nothing on its way, in the order in which they became so. */
  #ready: Lane[] = []
  #waiting = 0
  #sharedUnderWay = 0
  #flushing = false

  constructor(address: BrokerAddress, parts: ProducerParts) {
    this.#address = address
    this.#parts = parts
  }

  get waitingAppends(): number {
    return this.#waiting
  }

  get loneLanes(): number {
    let count = 0
    for (const { lone } of this.#lanes.values()) if (lone) count += 1
    return count
  }

  /** Resolves without a result when the broker does not lead the partition; nothing was appended. */
  append(
    topic: string,
    partition: number,
    records: readonly NewRecord[],
  ): Promise<Appended | undefined> {
    if (this.#waiting >= WAITING_APPENDS_MAX)
      return Promise.reject(
        logErrors.create('LOG_UNAVAILABLE', {
          expected: `at most ${WAITING_APPENDS_MAX} appends that wait for one broker`,
        }),
      )
    const lane = this.#lane(topic, partition)
    return new Promise((resolve, reject) => {
      lane.waiting.push({ records, bytes: bytesOf(records), resolve, reject })
      this.#waiting += 1
      if (lane.current !== undefined || lane.waiting.length > 1) return
      this.#ready.push(lane)
      this.#flushSoon()
    })
  }

  #lane(topic: string, partition: number): Lane {
    const name = `${topic}/${partition}`
    let lane = this.#lanes.get(name)
    if (lane === undefined) {
      lane = { topic, partition, waiting: [], current: undefined, lone: false }
      this.#lanes.set(name, lane)
    }
    return lane
  }

  /** At the end of this turn, so that everything asked for in it goes together. */
  #flushSoon(): void {
    if (this.#flushing) return
    this.#flushing = true
    setImmediate(() => {
      this.#flushing = false
      this.#flush()
    })
  }

  #flush(): void {
    const shared: Lane[] = []
    const kept: Lane[] = []
    let bytes = 0
    for (const lane of this.#ready) {
      const next = lane.waiting[0]
      if (next === undefined) continue
      const fits = shared.length === 0 || bytes + next.bytes <= PRODUCE_REQUEST_MAX_BYTES
      if (lane.lone) void this.#send([lane], true)
      else if (this.#sharedUnderWay < SHARED_PRODUCES_MAX && fits) {
        shared.push(lane)
        bytes += next.bytes
      } else kept.push(lane)
    }
    this.#ready = kept
    if (shared.length === 0) return
    void this.#send(shared, false)
    if (kept.length > 0) this.#flushSoon()
  }

  async #send(lanes: readonly Lane[], lone: boolean): Promise<void> {
    const { cluster, clock, telemetry, produceTimeoutMs } = this.#parts
    if (!lone) this.#sharedUnderWay += 1
    const batches = lanes.map((lane) => {
      lane.current = lane.waiting.shift()
      this.#waiting -= 1
      return { topic: lane.topic, partition: lane.partition, records: lane.current?.records ?? [] }
    })
    const timeoutMs = lone
      ? produceTimeoutMs
      : Math.min(produceTimeoutMs, SHARED_PRODUCE_TIMEOUT_MS)
    const startMs = clock.monotonicMs()
    try {
      const purpose = lone ? lonePurpose(lanes) : 'produce'
      const connection =
        cluster.connections.openNow(this.#address, purpose) ??
        (await cluster.connections.get(this.#address, purpose))
      const answers = await connection.produce(batches, timeoutMs)
      const durationMs = clock.monotonicMs() - startMs
      telemetry.produced({ lanes: lanes.length, lone, durationMs })
      for (const [index, lane] of lanes.entries())
        this.#judge(lane, answerFor(lane, answers, index), durationMs)
    } catch (error) {
      cluster.markStale()
      for (const lane of lanes) this.#fail(lane, error)
    } finally {
      if (!lone) this.#sharedUnderWay -= 1
      for (const lane of lanes) if (lane.waiting.length > 0) this.#ready.push(lane)
      if (this.#ready.length > 0) this.#flushSoon()
    }
  }

  #judge(lane: Lane, answer: ProduceAnswer | undefined, durationMs: number): void {
    if (answer === undefined) return this.#fail(lane, new Error('no answer for the partition'))
    const { errorCode, baseOffset, appendTimeMs } = answer
    if (errorCode === ERROR.none && baseOffset >= 0 && appendTimeMs >= 0) {
      if (durationMs < SHARED_PRODUCE_TIMEOUT_MS) lane.lone = false
      return settled(lane)?.resolve({ baseOffset, appendTimeMs })
    }
    if (meansStaleLeader(errorCode)) {
      this.#parts.cluster.markStale()
      return settled(lane)?.resolve(undefined)
    }
    const error = refusal(errorCode, `${lane.topic}/${lane.partition}`)
    lane.lone = error.spec.retryable
    this.#fail(lane, error, errorName(errorCode))
  }

  /**
   * Whatever keeps the log from being reached is a matter of waiting for whoever appends; only a
   * record that is too large is refused for good.
   */
  #fail(lane: Lane, cause: unknown, reason = 'no answer'): void {
    this.#parts.telemetry.appendFailed(reason)
    const append = settled(lane)
    const isFinal = cause instanceof BackhaulError && cause.code === 'LOG_RECORD_TOO_LARGE'
    const isRetryable = cause instanceof BackhaulError && cause.spec.retryable
    if (isFinal || isRetryable) return append?.reject(cause)
    const received = cause instanceof Error ? cause.message : String(cause)
    append?.reject(logErrors.create('LOG_UNAVAILABLE', { received, cause }))
  }
}

/** Takes the append that was on its way from its lane. */
function settled(lane: Lane): Append | undefined {
  const append = lane.current
  lane.current = undefined
  return append
}

/** Brokers answer in the order asked for; where one does not, the part is looked for. */
function answerFor(
  { topic, partition }: Lane,
  answers: readonly ProduceAnswer[],
  index: number,
): ProduceAnswer | undefined {
  const isIts = (one: ProduceAnswer) => one.partition === partition && one.topic === topic
  const expected = answers[index]
  return expected !== undefined && isIts(expected) ? expected : answers.find(isIts)
}

function lonePurpose([lane]: readonly Lane[]): Purpose {
  return `lone ${(lane?.partition ?? 0) % LONE_CONNECTIONS_MAX}`
}

/** Bytes of the records' keys, values and headers, before compression. */
export function bytesOf(records: readonly NewRecord[]): number {
  let bytes = 0
  for (const { key, value, headers } of records) {
    bytes += value.byteLength + (key?.length ?? 0)
    for (const name in headers) bytes += name.length + (headers[name]?.length ?? 0)
  }
  return bytes
}
