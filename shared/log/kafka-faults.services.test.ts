/**
 * Rows 4 to 7 of the fault matrix at the log: whatever happens to brokers and answers, what was
 * acknowledged is in the log, where the acknowledgement said, as an independent reader finds it.
 */
import { randomUUID } from 'node:crypto'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { startKafka, type Kafka } from '../../scripts/services/kafka.ts'
import { readBack } from '../../scripts/services/kafka/read-back.ts'
import { kafkaSettings } from '../kafka/testing/kafka-settings.ts'
import { systemClock } from '../runtime/clock.ts'
import { topicSpec } from './event-log.contract.ts'
import type { EventLog } from './event-log.ts'
import type { KafkaConfig } from './kafka-config.ts'
import { openKafkaEventLog } from './kafka-event-log.ts'
import { LaneWriters } from './testing/lane-writers.ts'

const PARTITIONS = 6
/** A lane must come through again in this time after a fault has healed. */
const HEALED = { timeout: 60_000 }
const CLIENTS = ['platformatic', 'kafkajs'] as const

let kafka: Kafka
let log: EventLog
let writers: LaneWriters | undefined

async function open(config: Partial<KafkaConfig>): Promise<string> {
  log = await openKafkaEventLog({
    config: kafkaSettings({ brokers: kafka.bootstrap, produceTimeoutMs: 2_000, ...config }),
    clock: systemClock,
  })
  const spec = topicSpec({ name: `faults-${randomUUID()}`, partitions: PARTITIONS })
  await log.ensureTopics([spec])
  writers = new LaneWriters(log, spec.name, PARTITIONS)
  await progress(10)
  return spec.name
}

/** Waits until every lane got so many more appends through. */
async function progress(appends: number): Promise<void> {
  const target = (writers?.fewest ?? 0) + appends
  await expect.poll(() => writers?.fewest ?? 0, HEALED).toBeGreaterThanOrEqual(target)
}

/** Every acknowledged record stands where its acknowledgement said; repeats are allowed. */
async function expectAcknowledgedInLog(topic: string): Promise<void> {
  await writers?.stop()
  const acknowledged = writers?.acknowledged ?? []
  const found = new Map(
    (await readBack(kafka, topic)).map(({ partition, offset, value }) => [
      `${partition}/${offset}`,
      value,
    ]),
  )
  const missing = acknowledged.filter(
    ({ partition, offset, value }) => found.get(`${partition}/${offset}`) !== value,
  )
  expect(acknowledged.length).toBeGreaterThan(0)
  expect(missing).toEqual([])
}

afterEach(async () => {
  await writers?.stop()
  writers = undefined
  await log.close()
})

describe('with three brokers', () => {
  beforeAll(async () => {
    kafka = await startKafka({ brokers: 3, proxied: true })
  })
  afterAll(() => kafka.stop())
  const replicated = { replicationFactor: 3, minInsyncReplicas: 2 }

  it.each(CLIENTS)(
    'loses nothing when answers are lost while sends overlap (%s)',
    async (client) => {
      const topic = await open({ ...replicated, client })
      for (const bytes of [1, 40, 200, 1_000]) {
        for (const proxy of kafka.proxies) proxy.inject('down', { cutAfterBytes: bytes })
        await expect.poll(() => writers?.failures.get('LOG_UNAVAILABLE') ?? 0).toBeGreaterThan(0)
        for (const proxy of kafka.proxies) proxy.heal()
        await progress(5)
      }
      kafka.proxy(1).inject('down', { blackHole: true })
      const before = writers?.failures.get('LOG_UNAVAILABLE') ?? 0
      await expect.poll(() => writers?.failures.get('LOG_UNAVAILABLE') ?? 0).toBeGreaterThan(before)
      kafka.proxy(1).heal()
      await progress(5)
      await expectAcknowledgedInLog(topic)
    },
  )

  it.each(CLIENTS)(
    'goes on when a leader is killed, and over a rolling restart (%s)',
    async (client) => {
      const topic = await open({ ...replicated, client })
      await kafka.broker(1).kill()
      await progress(10)
      await kafka.broker(1).start()
      for (const broker of kafka.brokers) {
        await broker.restart()
        await progress(5)
      }
      await expectAcknowledgedInLog(topic)
    },
  )

  it('acknowledges nothing below the least in-sync replicas, and goes on above', async () => {
    const topic = await open({ replicationFactor: 3, minInsyncReplicas: 3 })
    await kafka.broker(3).kill()
    // Until the dead follower leaves the in-sync set, requests time out; then they are refused.
    await expect
      .poll(() => writers?.failures.get('LOG_UNAVAILABLE') ?? 0)
      .toBeGreaterThan(PARTITIONS)
    const settled = writers?.acknowledged.length
    await expect
      .poll(() => writers?.failures.get('LOG_UNAVAILABLE') ?? 0)
      .toBeGreaterThan(4 * PARTITIONS)
    expect(writers?.acknowledged.length).toBe(settled)
    await kafka.broker(3).start()
    await progress(5)
    await expectAcknowledgedInLog(topic)
  })

  it('goes on by itself after all brokers were down', async () => {
    const topic = await open(replicated)
    await Promise.all(kafka.brokers.map((broker) => broker.kill()))
    const failed = () => writers?.failures.get('LOG_UNAVAILABLE') ?? 0
    const before = failed()
    await expect.poll(failed).toBeGreaterThan(before + 2 * PARTITIONS)
    await kafka.start()
    await progress(5)
    await expectAcknowledgedInLog(topic)
  })
})

describe('with a disk that fills', () => {
  /** Above what a broker reserves for an index, and far below a segment of the log. */
  const fileMaxBytes = 12 * 1024 * 1024

  beforeAll(async () => {
    kafka = await startKafka()
  })
  afterAll(() => kafka.stop())

  it('acknowledges nothing that it cannot keep, and has all of it when there is space', async () => {
    await kafka.broker(1).stop()
    await kafka.broker(1).start({ fileMaxBytes })
    const topic = await open({})
    const filler = { key: undefined, value: randomBytes(), headers: {} }
    const fill = async () => {
      for (;;) await log.append(topic, 0, [filler])
    }
    await expect(fill()).rejects.toMatchObject({ code: 'LOG_UNAVAILABLE' })
    // A broker that can no longer write its log ends itself.
    await kafka.broker(1).ended()
    await kafka.broker(1).start()
    await progress(5)
    await expectAcknowledgedInLog(topic)
  })
})

/** Bytes that do not compress. */
function randomBytes(): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(60_000))
}
