/**
 * Rows 20 and 31 to 33 of the fault matrix on real Kafka: checkpoints and records go missing, the
 * topic grows, or is another one. The tests follow one another on one log and one data folder.
 */
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest'
import { startKafka, type Kafka } from '../../scripts/services/kafka.ts'
import { endMainProcesses } from '../../shared/http/testing/main-process.ts'
import { kafkaSettings } from '../../shared/kafka/testing/kafka-settings.ts'
import type { EventLog } from '../../shared/log/event-log.ts'
import { openKafkaEventLog } from '../../shared/log/kafka-event-log.ts'
import { TOPICS, topicSpecs } from '../../shared/log/topics.ts'
import { openFolderObjectStore } from '../../shared/objects/folder-object-store.ts'
import { systemClock as clock } from '../../shared/runtime/clock.ts'
import type { ProcessorProcess } from '../processor-process.ts'
import { kafkaOf, readTopic } from '../read-topic.ts'
import { KafkaMachine, VIEW } from './kafka-machine.ts'
import { LiveSessions } from './live-sessions.ts'

/** Processes start, and a shared machine takes its time over it. */
const TIMEOUT_MS = 240_000
const PARTITIONS = 3
const MORE_PARTITIONS = 5
const PATIENT = { timeout: 60_000, interval: 100 }
const RETENTION = { logRetentionMs: 86_400_000, logRetentionBytes: 2 ** 30 }

let kafka: Kafka
let log: EventLog
let machine: KafkaMachine

vi.setConfig({ testTimeout: TIMEOUT_MS })

beforeAll(async () => {
  kafka = await startKafka()
  await openLog(PARTITIONS)
  machine = new KafkaMachine({ brokers: kafka.bootstrap, partitions: PARTITIONS })
})
afterEach(endMainProcesses)
afterAll(async () => {
  machine.remove()
  await log.close()
  await kafka.stop()
})

async function openLog(partitions: number): Promise<void> {
  log = await openKafkaEventLog({ config: kafkaSettings({ brokers: kafka.bootstrap }), clock })
  await log.ensureTopics(topicSpecs({ partitions, ...RETENTION }))
}

async function withAdmin(
  work: (admin: ReturnType<ReturnType<typeof kafkaOf>['admin']>) => Promise<unknown>,
): Promise<void> {
  const admin = kafkaOf(kafka.bootstrap).admin()
  await admin.connect()
  await work(admin)
  await admin.disconnect()
}

/** Sessions go on until every partition has so many more records. */
async function grow(partitions: number, seed: number, records: number): Promise<LiveSessions> {
  const ends = () =>
    Promise.all(
      Array.from({ length: partitions }, async (_, partition) => {
        return (await log.offsets(TOPICS.events, partition)).end
      }),
    )
  const before = await ends()
  const sessions = new LiveSessions({ log, partitions, seed })
  const fewest = async () =>
    Math.min(...(await ends()).map((end, partition) => end - (before[partition] ?? 0)))
  await expect.poll(fewest, PATIENT).toBeGreaterThanOrEqual(records)
  return sessions
}

async function stateOf(processor: ProcessorProcess, partition: number) {
  return (await processor.reports()).find((report) => report.partition === partition)
}

/** Without one the verdict of a machine has nothing to say of `playback.sessions`. */
async function closedSessions(): Promise<number> {
  let count = 0
  await readTopic(kafka.bootstrap, TOPICS.sessions, () => (count += 1))
  return count
}

/** Of the checkpoints of a partition’s first generation. */
const prefixOf = (partition: number) => `checkpoints/processor/${VIEW}/e0/p${partition}/g1/`

/** The file of a partition's last checkpoint. */
function lastCheckpoint(partition: number): string {
  const folder = join(machine.folder, 'objects', 'files', prefixOf(partition))
  const files = readdirSync(folder).map((name) => join(folder, name))
  const newestLast = files.toSorted((a, b) => statSync(a).mtimeMs - statSync(b).mtimeMs)
  return newestLast.at(-1) ?? ''
}

async function removeCheckpoints(partition: number): Promise<void> {
  const objects = await openFolderObjectStore({ folder: join(machine.folder, 'objects'), clock })
  for (const { name } of await objects.list(prefixOf(partition), { limit: 100 }))
    await objects.delete(name)
  await objects.close()
}

test('operators see why a session and its minutes are open, and how far partitions are', async () => {
  const processor = await machine.start()
  const sessions = await grow(PARTITIONS, 1, 40)
  await expect
    .poll(async () => (await processor.ask(`/debug/sessions/${sessions.anyOpen}`))?.text, PATIENT)
    .toContain('"heldBySessions":')
  const [report] = await processor.reports()
  expect(report).toMatchObject({
    partition: 0,
    state: 'running',
    generation: 1,
    lease: { isCurrent: true },
    durable: { narrow: { offset: expect.any(Number) } },
    queues: ['narrow', 'sessionUrgent', 'session', 'wide'].map((queue) => ({ queue })),
  })
  const metrics = (await processor.ask('/metrics'))?.text
  expect(metrics).toMatch(/processor_record_age_ms_count\{step="fold"\} [1-9]/)
  expect(metrics).toMatch(/processor_rows_durable_after_ms_count\{queue="narrow"\} [1-9]/)
  await expect
    .poll(async () => (await processor.metric('processor_checkpoint_offset')) > 60, PATIENT)
    .toBe(true)
  await sessions.stop()
  await machine.settle([processor])
})

test('a cut or altered checkpoint gives way to the one before; without any it builds anew', async () => {
  const cut = lastCheckpoint(0)
  writeFileSync(cut, readFileSync(cut).subarray(0, 100))
  const altered = lastCheckpoint(1)
  const bytes = readFileSync(altered)
  bytes.writeUInt8(bytes.readUInt8(bytes.length - 10) ^ 1, bytes.length - 10)
  writeFileSync(altered, bytes)
  await removeCheckpoints(2)
  const processor = await machine.start()
  const sessions = await grow(PARTITIONS, 2, 20)
  await expect.poll(async () => (await stateOf(processor, 2))?.state, PATIENT).toBe('running')
  const generations = (await processor.reports()).map(({ generation }) => generation)
  expect(generations).toEqual([1, 1, 2])
  expect(await processor.metric('processor_checkpoints_damaged_total')).toBe(2)
  expect(await processor.metric('processor_rebuilds_total')).toBe(1)
  await expect.poll(closedSessions, PATIENT).toBeGreaterThan(0)
  await sessions.stop()
  const counters = await machine.settle([processor])
  expect((await machine.violations(counters)).slice(0, 10)).toEqual([])
})

test('a topic that has grown is refused until it is told of it; the new partitions get rows', async () => {
  await withAdmin((admin) =>
    admin.createPartitions({
      topicPartitions: Object.values(TOPICS).map((topic) => ({ topic, count: MORE_PARTITIONS })),
    }),
  )
  const refused = await machine.begin()
  expect(await refused.ended).toBe(1)
  expect(refused.stderr).toContain(`BACKHAUL_PARTITIONS`)
  await log.close()
  await openLog(MORE_PARTITIONS)
  machine.partitions = MORE_PARTITIONS
  const processor = await machine.start()
  // The same sessions again, some of them to other partitions than before.
  const sessions = await grow(MORE_PARTITIONS, 2, 20)
  await sessions.stop()
  const counters = await machine.settle([processor])
  expect((await machine.violations(counters)).slice(0, 10)).toEqual([])
})

test('records that were deleted before they were read stop their partition, and no other', async () => {
  const sessions = await grow(MORE_PARTITIONS, 3, 20)
  await sessions.stop()
  const { end } = await log.offsets(TOPICS.events, 0)
  await withAdmin(async (admin) => {
    // It finds leaders of topics only that it has been asked of before.
    await admin.fetchTopicOffsets(TOPICS.events)
    const partitions = [{ partition: 0, offset: `${end - 5}` }]
    await admin.deleteTopicRecords({ topic: TOPICS.events, partitions })
  })
  const processor = await machine.start()
  await expect
    .poll(async () => (await stateOf(processor, 0))?.failureCode, PATIENT)
    .toBe('PROCESSOR_DATA_LOSS')
  expect(await processor.metric('processor_data_loss_records')).toBeGreaterThan(10)
  await expect
    .poll(async () => {
      const { state, lagRecords } = (await stateOf(processor, 1)) ?? {}
      return `${state} ${lagRecords}`
    }, PATIENT)
    .toBe('running 0')
  expect((await stateOf(processor, 0))?.state).toBe('failed')
  await processor.stop()

  // An operator's decision, as the error says.
  await removeCheckpoints(0)
  const next = await machine.start()
  await expect.poll(async () => (await stateOf(next, 0))?.state, PATIENT).toBe('running')
  expect((await stateOf(next, 0))?.generation).toBe(2)
  await next.stop()
})

test('a topic that was deleted and created again is refused until the epoch is raised', async () => {
  await withAdmin((admin) => admin.deleteTopics({ topics: [TOPICS.events] }))
  await log.close()
  await openLog(MORE_PARTITIONS)
  const refused = await machine.begin()
  expect(await refused.ended).toBe(1)
  expect(refused.stderr).toContain('PROCESSOR_TOPIC_RECREATED')
  const processor = await machine.start({ PROCESSOR_TOPIC_EPOCH: '1' })
  await expect.poll(async () => (await stateOf(processor, 0))?.state, PATIENT).toBe('running')
  await processor.stop()
})
