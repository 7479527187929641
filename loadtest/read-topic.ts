/**
 * Reads a topic of Kafka from its first record to its end by kafkajs's own consumer: a reader that
 * shares nothing with the product.
 */
import { zstdDecompressSync } from 'node:zlib'
import kafkajs, { type Kafka, type KafkaMessage } from 'kafkajs'

const IDLE_DEADLINE_MS = 60_000

/** A client of kafkajs that can read what is compressed with zstd. */
export function kafkaOf(brokers: readonly string[]): Kafka {
  const { CompressionCodecs, CompressionTypes, logLevel } = kafkajs
  CompressionCodecs[CompressionTypes.ZSTD] = () => ({
    compress: () => Promise.reject(new Error('the reader writes nothing')),
    decompress: (bytes: Buffer) => Promise.resolve(zstdDecompressSync(bytes)),
  })
  return new kafkajs.Kafka({
    brokers: [...brokers],
    clientId: 'loadtest-reader',
    logLevel: logLevel.NOTHING,
  })
}

/** Calls `take` with every record below the ends of this moment, of each partition in order. */
export async function readTopic(
  brokers: readonly string[],
  topic: string,
  take: (message: KafkaMessage, partition: number) => void,
): Promise<void> {
  const kafka = kafkaOf(brokers)
  const ends = await endOffsets(kafka, topic)
  if (ends.size === 0) return
  // A name of its own for every reading: nothing is committed, so no group is left behind.
  const groupId = `loadtest-reader-${crypto.randomUUID()}`
  const consumer = kafka.consumer({ groupId, maxBytes: 2 ** 25 })
  await consumer.connect()
  try {
    await consumer.subscribe({ topic, fromBeginning: true })
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => reject(stuck(ends)), IDLE_DEADLINE_MS)
      consumer
        .run({
          autoCommit: false,
          eachBatch: async ({ batch, heartbeat }) => {
            timer.refresh()
            const end = ends.get(batch.partition) ?? 0
            for (const message of batch.messages)
              if (Number(message.offset) < end) take(message, batch.partition)
            if (Number(batch.lastOffset()) + 1 >= end) ends.delete(batch.partition)
            if (ends.size === 0) {
              clearTimeout(timer)
              resolve()
            }
            await heartbeat()
          },
        })
        .catch(reject)
    })
  } finally {
    await consumer.disconnect()
  }
}

/** Ends of the partitions that hold anything. */
export async function endOffsets(kafka: Kafka, topic: string): Promise<Map<number, number>> {
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
