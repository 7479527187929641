/**
 * Rows 8, 10 to 12 and 18 of the fault matrix on real Kafka: processors are killed at every step, and
 * come and go, while sessions go on; poison lies between. What they leave behind is what an oracle
 * says of the log, read back by another client, and no row went back.
 */
import { randomBytes } from 'node:crypto'
import kafkajs from 'kafkajs'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest'
import { startKafka, type Kafka } from '../../scripts/services/kafka.ts'
import { endMainProcesses } from '../../shared/http/testing/main-process.ts'
import { kafkaSettings } from '../../shared/kafka/testing/kafka-settings.ts'
import type { EventLog } from '../../shared/log/event-log.ts'
import { openKafkaEventLog } from '../../shared/log/kafka-event-log.ts'
import { FRAME_SCHEMA } from '../../shared/log/record.ts'
import { decodeReject, type RejectRecord } from '../../shared/log/reject-record.ts'
import { TOPICS, topicSpecs } from '../../shared/log/topics.ts'
import { systemClock as clock } from '../../shared/runtime/clock.ts'
import type { FailpointName } from '../../shared/runtime/failpoints.ts'
import { kafkaOf, readTopic } from '../read-topic.ts'
import type { ProcessorProcess } from '../processor-process.ts'
import { expectReconciled } from './expect-reconciled.ts'
import { KafkaMachine, VIEW } from './kafka-machine.ts'
import { LiveSessions } from './live-sessions.ts'
import { rebalanceStorm } from './rebalance-storm.ts'
import { StampWatch } from './stamp-watch.ts'

const PARTITIONS = 4
/** Processes start, and dead ones are waited for; a shared machine takes its time over both. */
const TIMEOUT_MS = 300_000
const PATIENT = { timeout: 120_000, interval: 200 }
const MIB = 2 ** 20
const STEPS: readonly FailpointName[] = [
  'processor.afterFetch',
  'processor.afterFold',
  'processor.afterSomeRows',
  'processor.afterRows',
  'processor.afterCheckpoint',
  'processor.afterOffsetCommit',
]

const bytesOf = (value: unknown) => new TextEncoder().encode(JSON.stringify(value))

let kafka: Kafka
let log: EventLog
let machine: KafkaMachine
let sessions: LiveSessions
let seed = 1

vi.setConfig({ testTimeout: TIMEOUT_MS })

beforeAll(async () => {
  kafka = await startKafka()
  log = await openKafkaEventLog({ config: kafkaSettings({ brokers: kafka.bootstrap }), clock })
  const retention = { logRetentionMs: 86_400_000, logRetentionBytes: 2 ** 30 }
  await log.ensureTopics(topicSpecs({ partitions: PARTITIONS, ...retention }))
})
afterAll(async () => {
  await log.close()
  await kafka.stop()
})

beforeEach(() => {
  machine = new KafkaMachine({ brokers: kafka.bootstrap, partitions: PARTITIONS })
  sessions = new LiveSessions({ log, partitions: PARTITIONS, seed: seed++ })
})
afterEach(async () => {
  await sessions.stop()
  await endMainProcesses()
  machine.remove()
})

async function expectExact(processors: readonly ProcessorProcess[]): Promise<void> {
  await sessions.stop()
  const counters = await machine.settle(processors)
  const excluded = [...counters.values()].map(
    ({ late, amended, afterClose }) => late + amended + afterClose,
  )
  expect(Math.max(...excluded)).toBeGreaterThan(0)
  expect((await machine.violations(counters)).slice(0, 10)).toEqual([])
}

async function withTopicLimit(topic: string, maxBytes: number): Promise<void> {
  const admin = kafkaOf(kafka.bootstrap).admin()
  await admin.connect()
  await admin.alterConfigs({
    validateOnly: false,
    resources: [
      {
        type: kafkajs.ConfigResourceTypes.TOPIC,
        name: topic,
        configEntries: [
          { name: 'max.message.bytes', value: `${maxBytes}` },
          { name: 'message.timestamp.type', value: 'LogAppendTime' },
        ],
      },
    ],
  })
  await admin.disconnect()
}

/** Where no record is, so that whoever began at the group's offset would read nothing. */
const AHEAD = 1_000_000_000

async function commitAhead(groupId: string): Promise<void> {
  const admin = kafkaOf(kafka.bootstrap).admin()
  await admin.connect()
  const partitions = Array.from({ length: PARTITIONS }, (_, partition) => ({
    partition,
    offset: `${AHEAD}`,
  }))
  await admin.setOffsets({ groupId, topic: TOPICS.events, partitions })
  await admin.disconnect()
}

test('killed at every step, one after the other, amid poison, it ends with what the log says', async () => {
  const poison = new TextEncoder().encode('{"events":[')
  const headers = { schema: 'playback.v1' }
  const { baseOffset } = await log.append(TOPICS.events, 1, [
    { key: 'neighbour', value: poison, headers },
    { key: undefined, value: poison, headers: {} },
    { key: 'neighbour', value: new TextEncoder().encode('{}'), headers: { schema: 'playback.v9' } },
  ])
  let watch: StampWatch | undefined
  for (const step of STEPS) {
    // The group waits for a dead member; one of its own for each saves the test that wait.
    const processor = await machine.begin([step, '2'], { PROCESSOR_GROUP: `killed-${step}` })
    expect(await processor.ended, `${step}: ${processor.stderr}`).toBeNull()
    watch ??= new StampWatch(await machine.openSpeed(), VIEW)
  }
  await commitAhead(machine.group)
  const survivor = await machine.start()
  await expectExact([survivor])
  await watch?.stop()
  expect(watch?.regressions).toEqual([])
  const committed = await log.committedOffset(machine.group, TOPICS.events, 1)
  expect(committed).toBeGreaterThan(baseOffset)
  expect(committed).toBeLessThan(AHEAD)

  const kept: number[] = []
  await readTopic(kafka.bootstrap, TOPICS.rejects, ({ value }) => {
    const { code, source } = decodeReject(value ?? new Uint8Array(0))
    if (code === 'PROCESSOR_RECORD_POISON' && source?.partition === 1) kept.push(source.offset)
  })
  expect(new Set(kept)).toEqual(new Set([baseOffset, baseOffset + 1, baseOffset + 2]))
})

test('a group that members join and leave without rest makes progress, and no row goes back', async () => {
  const steady = await machine.start()
  const watch = new StampWatch(await machine.openSpeed(), VIEW)
  const visits = await rebalanceStorm(machine, steady, { visitsMin: 3, forMs: 0 })
  expect(visits).toBe(3)
  expect(await steady.metric('processor_records_read_total')).toBeGreaterThan(0)
  expect(await steady.metric('processor_rebuilds_total')).toBe(0)
  await expectExact([steady])
  await watch.stop()
  expect(watch.regressions).toEqual([])
  // What the tests before left in the log is read by this machine too.
  await expectReconciled(machine)
})

test('records of 10 MB are folded, or kept as far as rejects take them, and the group goes on', async () => {
  await withTopicLimit(TOPICS.events, 16 * MIB)
  const processor = await machine.start()
  const nowMs = clock.nowMs()
  const events = Array.from({ length: 10_000 }, (_, seq) => {
    return { seq, type: 'custom', name: 'x', at: nowMs, data: { text: 'y'.repeat(1_000) } }
  })
  const session = { sessionId: 'ten-megabytes', contentId: 'movie-1', cdn: 'a' }
  const readable = bytesOf({ session, sentAt: nowMs, receivedAt: nowMs, events })
  expect(readable.length).toBeGreaterThan(10 * MIB)
  // Chance cannot be compressed: sealed, it is more than the topic of rejects takes.
  const poison = randomBytes(10 * MIB)
  const headers = { schema: FRAME_SCHEMA }
  const { baseOffset } = await log.append(TOPICS.events, 1, [
    { key: 'ten-megabytes', value: readable, headers },
  ])
  await log.append(TOPICS.events, 1, [{ key: undefined, value: poison, headers }])
  await expect.poll(() => processor.metric('processor_poison_cut_total'), PATIENT).toBe(1)
  await processor.progresses()
  expect(await processor.metric('processor_fenced_total')).toBe(0)
  await expectExact([processor])
  const cut: RejectRecord[] = []
  await readTopic(kafka.bootstrap, TOPICS.rejects, ({ value }) => {
    const reject = decodeReject(value ?? new Uint8Array(0))
    if (reject.cutFromBytes !== undefined) cut.push(reject)
  })
  expect(cut).toMatchObject([
    { cutFromBytes: poison.length, source: { partition: 1, offset: expect.any(Number) } },
  ])
  expect(cut[0]?.source?.offset).toBeGreaterThan(baseOffset)
})
