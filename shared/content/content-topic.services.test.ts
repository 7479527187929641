/** Content metadata on a real broker, with both client libraries. */
import { Kafka as KafkaJs, logLevel } from 'kafkajs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startKafka, type Kafka } from '../../scripts/services/kafka.ts'
import { readBack } from '../../scripts/services/kafka/read-back.ts'
import { kafkaSettings } from '../kafka/testing/kafka-settings.ts'
import { openKafkaEventLog } from '../log/kafka-event-log.ts'
import { TOPICS, topicSpecs } from '../log/topics.ts'
import { systemClock } from '../runtime/clock.ts'
import { loadContent } from './load-content.ts'
import { TopicContentSource } from './topic-content-source.ts'

const SPECS = topicSpecs({ partitions: 2, logRetentionMs: 3_600_000, logRetentionBytes: 2 ** 30 })
const CONTENT = SPECS.filter(({ name }) => name === TOPICS.content)
const OPTIONS = {
  adds: false,
  isDryRun: false,
  keptBytes: Infinity,
  signal: new AbortController().signal,
}
const refuse = (error: Error) => {
  throw error
}

let kafka: Kafka
beforeAll(async () => {
  kafka = await startKafka()
})
afterAll(() => kafka.stop())

describe.each(['platformatic', 'kafkajs'] as const)('over %s', (client) => {
  it('is loaded, followed and ended, in a topic that Kafka compacts and never ages', async () => {
    const config = kafkaSettings({ brokers: kafka.bootstrap, client })
    const log = await openKafkaEventLog({ config, clock: systemClock })
    const admin = new KafkaJs({ brokers: [...kafka.bootstrap], logLevel: logLevel.NOTHING }).admin()
    try {
      await log.ensureTopics(CONTENT)
      const source = new TopicContentSource(log)
      await source.refresh(refuse)
      const ids = ['a', 'b', 'c', 'd'].map((name) => `${client}-${name}`)
      const contents = ids.map((contentId) => ({
        contentId,
        versions: [{ validFromMs: 0, title: contentId }],
      }))
      const loaded = await loadContent(log, { contents, deleted: [] }, OPTIONS)
      expect(loaded).toMatchObject({ written: 4, refused: [] })
      await source.refresh(refuse)
      expect(ids.map((id) => source.catalogue.at(id, 1)?.title)).toEqual(ids)
      const ended = ids.slice(0, 2)
      expect(await loadContent(log, { contents: [], deleted: ended }, OPTIONS)).toMatchObject({
        deleted: 2,
      })
      await source.refresh(refuse)
      expect(ended.map((id) => source.catalogue.get(id))).toEqual([undefined, undefined])
      await admin.connect()
      const { resources } = await admin.describeConfigs({
        includeSynonyms: false,
        resources: [{ type: TOPIC, name: TOPICS.content, configNames: ['cleanup.policy'] }],
      })
      expect(resources[0]?.configEntries[0]?.configValue).toBe('compact')
    } finally {
      await admin.disconnect()
      await log.close()
    }
  }, 120_000)
})

it('ended its contents with null, as Kafka’s own reader sees it', async () => {
  const values = (await readBack(kafka, TOPICS.content)).map(({ value }) => value)
  expect(values.filter((value) => value === 'null')).toHaveLength(4)
  expect(values).toHaveLength(12)
}, 120_000)

it('is refused in a topic whose records age', async () => {
  const config = kafkaSettings({ brokers: kafka.bootstrap })
  const log = await openKafkaEventLog({ config, clock: systemClock })
  try {
    const aging = { ...SPECS[0], partitions: 1, name: 'aging', compacted: true } as const
    const { retentionMs = 0, retentionBytes = 0 } = CONTENT[0] ?? {}
    await log.ensureTopics([{ ...aging, retentionMs: 3_600_000, retentionBytes }])
    await expect(log.ensureTopics([{ ...aging, retentionMs, retentionBytes }])).rejects.toThrow(
      /LOG_TOPIC_UNFIT.*cleanup.policy of aging to be compact/,
    )
  } finally {
    await log.close()
  }
}, 120_000)

/** Kafka's number of the kind of resource. */
const TOPIC = 2
