/**
 * Counts what is in Kafka after a load, by a reader that shares nothing with the product: kafkajs's
 * own consumer and `JSON.parse`. Every session's seqs are looked at: distinct ones, and repeats.
 */
import { zstdDecompressSync } from 'node:zlib'
import kafkajs, { type Kafka } from 'kafkajs'

export interface LogCount {
  readonly records: number
  /** Distinct (sessionId, seq). */
  readonly distinctEvents: number
  readonly repeatedEvents: number
  /** Events of sessions that the load did not make. */
  readonly foreignEvents: number
}

interface Frame {
  readonly session: { readonly sessionId: string }
  readonly events: readonly { readonly seq: number }[]
}

const IDLE_DEADLINE_MS = 60_000

export async function countEvents(
  brokers: readonly string[],
  topic: string,
  sessionPrefix: string,
): Promise<LogCount> {
  const { CompressionCodecs, CompressionTypes, logLevel } = kafkajs
  CompressionCodecs[CompressionTypes.ZSTD] = () => ({
    compress: () => Promise.reject(new Error('the reader writes nothing')),
    decompress: (bytes: Buffer) => Promise.resolve(zstdDecompressSync(bytes)),
  })
  const kafka = new kafkajs.Kafka({
    brokers: [...brokers],
    clientId: 'loadtest-count',
    logLevel: logLevel.NOTHING,
  })
  const ends = await endOffsets(kafka, topic)
  const seen = new SeenEvents(sessionPrefix)
  const consumer = kafka.consumer({ groupId: `loadtest-count-${sessionPrefix}`, maxBytes: 2 ** 25 })
  await consumer.connect()
  try {
    await consumer.subscribe({ topic, fromBeginning: true })
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => reject(stuck(ends)), IDLE_DEADLINE_MS)
      const done = () => {
        clearTimeout(timer)
        resolve()
      }
      if (ends.size === 0) done()
      consumer
        .run({
          autoCommit: false,
          eachBatch: async ({ batch, heartbeat }) => {
            timer.refresh()
            for (const { value } of batch.messages) if (value !== null) seen.take(value)
            if (Number(batch.lastOffset()) + 1 >= (ends.get(batch.partition) ?? Infinity))
              ends.delete(batch.partition)
            if (ends.size === 0) done()
            await heartbeat()
          },
        })
        .catch(reject)
    })
  } finally {
    await consumer.disconnect()
  }
  return seen.count()
}

/** Ends of the partitions that hold anything. */
async function endOffsets(kafka: Kafka, topic: string): Promise<Map<number, number>> {
  const admin = kafka.admin()
  await admin.connect()
  const offsets = await admin.fetchTopicOffsets(topic)
  await admin.disconnect()
  const filled = offsets.filter(({ low, high }) => Number(high) > Number(low))
  return new Map(filled.map(({ partition, high }) => [partition, Number(high)]))
}

function stuck(ends: ReadonlyMap<number, number>): Error {
  return new Error(`nothing was read for long; partitions left: ${[...ends.keys()].join(', ')}`)
}

/** Which seqs of which session: a bit each, grown as they come. */
class SeenEvents {
  readonly #prefix: string
  readonly #sessions = new Map<string, Uint32Array>()
  #records = 0
  #distinct = 0
  #repeated = 0
  #foreign = 0

  constructor(prefix: string) {
    this.#prefix = prefix
  }

  take(value: Buffer): void {
    // A tick has no value.
    if (value.length === 0) return
    this.#records += 1
    const { session, events } = JSON.parse(value.toString()) as Frame
    if (!session.sessionId.startsWith(this.#prefix)) {
      this.#foreign += events.length
      return
    }
    for (const { seq } of events) this.#mark(session.sessionId, seq)
  }

  count(): LogCount {
    return {
      records: this.#records,
      distinctEvents: this.#distinct,
      repeatedEvents: this.#repeated,
      foreignEvents: this.#foreign,
    }
  }

  #mark(sessionId: string, seq: number): void {
    const word = seq >>> 5
    let bits = this.#sessions.get(sessionId)
    if (bits === undefined || bits.length <= word) {
      const grown = new Uint32Array(Math.max(word + 1, 2 * (bits?.length ?? 2)))
      if (bits !== undefined) grown.set(bits)
      this.#sessions.set(sessionId, grown)
      bits = grown
    }
    const mask = 1 << (seq & 31)
    const before = bits[word] ?? 0
    if ((before & mask) === 0) this.#distinct += 1
    else this.#repeated += 1
    bits[word] = before | mask
  }
}
