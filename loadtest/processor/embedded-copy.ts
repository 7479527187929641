/**
 * The log of a Kafka as the embedded log of a data folder: the same records at the same offsets, with
 * the append times of the brokers. The operators' commands work on such a folder, so that a run of the
 * batch and `reconcile` judge what processors on Kafka have written.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { KafkaMessage } from 'kafkajs'
import type { EventLog } from '../../shared/log/event-log.ts'
import { openLmdbEventLog } from '../../shared/log/lmdb-event-log.ts'
import { TOPICS, topicSpecs } from '../../shared/log/topics.ts'
import { systemClock } from '../../shared/runtime/clock.ts'
import { readTopic } from '../read-topic.ts'

export interface EmbeddedCopyOptions {
  readonly brokers: readonly string[]
  readonly dataFolder: string
  readonly partitions: number
  readonly mapBytes: number
  /** Of the events of each partition, the records below this offset; all without it. */
  readonly eventsUntil?: ReadonlyMap<number, number> | undefined
}

const RETENTION = { logRetentionMs: 86_400_000, logRetentionBytes: 2 ** 30 }
const APPENDS_AT_ONCE = 1_000

/** May be repeated: a copy that is there is gone on with. */
export async function copyToEmbedded(options: EmbeddedCopyOptions): Promise<void> {
  const { dataFolder, partitions, mapBytes } = options
  writeFileSync(join(dataFolder, 'format.json'), '{"format":1}\n')
  const timesMs: number[] = []
  const nextMs = () => timesMs.shift() ?? systemClock.nowMs()
  const log = await openLmdbEventLog({
    folder: join(dataFolder, 'log'),
    mapBytes,
    clock: { ...systemClock, nowMs: nextMs, every: () => () => undefined },
  })
  try {
    await log.ensureTopics(topicSpecs({ partitions, ...RETENTION }))
    timesMs.length = 0
    for (const topic of Object.values(TOPICS)) await copyTopic(options, { log, topic, timesMs })
  } finally {
    await log.close()
  }
}

interface TopicCopy {
  readonly log: EventLog
  readonly topic: string
  /** Of the appends that were not worked on yet, in their order. */
  readonly timesMs: number[]
}

async function copyTopic(
  { brokers, partitions, eventsUntil }: EmbeddedCopyOptions,
  { log, topic, timesMs }: TopicCopy,
): Promise<void> {
  const copied = await Promise.all(
    Array.from({ length: partitions }, async (_, partition) => {
      return (await log.offsets(topic, partition)).end
    }),
  )
  const untilOf = (partition: number) =>
    topic === TOPICS.events && eventsUntil !== undefined
      ? (eventsUntil.get(partition) ?? 0)
      : Infinity
  const messages: { readonly message: KafkaMessage; readonly partition: number }[] = []
  await readTopic(brokers, topic, (message, partition) => {
    const offset = Number(message.offset)
    if (offset >= (copied[partition] ?? 0) && offset < untilOf(partition))
      messages.push({ message, partition })
  })
  for (let from = 0; from < messages.length; from += APPENDS_AT_ONCE) {
    const some = messages.slice(from, from + APPENDS_AT_ONCE)
    await Promise.all(
      some.map(async ({ message, partition }) => {
        const loggedAtMs = Number(message.timestamp)
        timesMs.push(loggedAtMs)
        const { baseOffset, appendTimeMs } = await log.append(topic, partition, [recordOf(message)])
        if (baseOffset !== Number(message.offset) || appendTimeMs !== loggedAtMs)
          throw new Error(`${topic}/${partition}: ${message.offset} was copied to ${baseOffset}`)
      }),
    )
  }
}

function recordOf({ key, value, headers }: KafkaMessage) {
  const texts = Object.entries(headers ?? {}).map(([name, text]) => [name, String(text)])
  return {
    key: key?.toString(),
    value: value ?? new Uint8Array(0),
    headers: Object.fromEntries(texts) as Record<string, string>,
  }
}
