/**
 * The batch beside services on their own: events come into a real Kafka, a processor folds them with
 * its checkpoints in a bucket, and `npx backhaul`, as processes, puts them into files and tables of
 * the bucket. What it makes is the same once more, after kills step by step, and by shards; and it
 * agrees with the live side. Every other step is killed on embedded stores (`kill.process.test.ts`). The tests follow one another on one log.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest'
import { startGcs, type Gcs } from '../../scripts/services/gcs.ts'
import { startKafka, type Kafka } from '../../scripts/services/kafka.ts'
import { endMainProcesses } from '../../shared/http/testing/main-process.ts'
import { kafkaSettings } from '../../shared/kafka/testing/kafka-settings.ts'
import type { EventLog } from '../../shared/log/event-log.ts'
import { openKafkaEventLog } from '../../shared/log/kafka-event-log.ts'
import { TOPICS, topicSpecs } from '../../shared/log/topics.ts'
import {
  bucketEnvironment,
  freshBucket,
  openBucket,
} from '../../shared/objects/testing/gcs-bucket.ts'
import { systemClock as clock } from '../../shared/runtime/clock.ts'
import type { FailpointName } from '../../shared/runtime/failpoints.ts'
import type { ObjectStore } from '../../shared/objects/object-store.ts'
import { openDuckDbWarehouse } from '../../shared/warehouse/duckdb-warehouse.ts'
import { tables } from '../../shared/warehouse/tables.ts'
import type { Row, Warehouse } from '../../shared/warehouse/warehouse.ts'
import { OperatorsCommands, type Ended } from '../operators-commands.ts'
import { KafkaMachine, type Reconciled } from './kafka-machine.ts'
import { LiveSessions } from './live-sessions.ts'

const PARTITIONS = 2
const RECORDS = 150
const TIMEOUT_MS = 240_000
const PATIENT = { timeout: 120_000, interval: 500 }
const TO_THE_KILL = join(import.meta.dirname, '../../batch/testing/command-to-the-kill/main.ts')
const HOUR_MS = 3_600_000
/** A process that was killed keeps its lease for so long. */
const LEASE_MS = 3_000
/** One after another in one run: each next process comes further. */
const KILLS: readonly FailpointName[] = [
  'batch.afterSomeRawFiles',
  'batch.afterFlatten',
  'batch.afterMerge',
  'batch.afterReport',
]

interface Content {
  readonly tables: Record<string, readonly Row[]>
  readonly raw: Map<string, string>
}

let kafka: Kafka
let gcs: Gcs
let log: EventLog
let machine: KafkaMachine
let folder: string
/** Of one run over the whole log that nothing disturbed. */
let gold: Content

vi.setConfig({ testTimeout: TIMEOUT_MS })

beforeAll(async () => {
  ;[kafka, gcs] = await Promise.all([startKafka(), startGcs()])
  folder = await mkdtemp(join(tmpdir(), 'backhaul-batch-on-kafka-'))
  log = await openKafkaEventLog({ config: kafkaSettings({ brokers: kafka.bootstrap }), clock })
  const retention = { logRetentionMs: 86_400_000, logRetentionBytes: 2 ** 30 }
  await log.ensureTopics(topicSpecs({ partitions: PARTITIONS, ...retention }))
  machine = new KafkaMachine({
    brokers: kafka.bootstrap,
    partitions: PARTITIONS,
    settings: bucketEnvironment(gcs, await freshBucket(gcs)),
  })
})
afterEach(endMainProcesses)
afterAll(async () => {
  machine.remove()
  await rm(folder, { recursive: true, force: true })
  await log.close()
  await gcs.stop()
  await kafka.stop()
})

const settingsOf = (bucket: string) => ({
  ...machine.commandSettings,
  ...bucketEnvironment(gcs, bucket),
  BATCH_FACT_BUCKETS: '1',
  BATCH_RAW_FILE_BYTES: '16384',
})

const utcOf = (fromNowMs: number) => new Date(clock.nowMs() + fromNowMs).toISOString()

async function done(command: Promise<Ended>): Promise<string> {
  const { exitCode, stdout, stderr } = await command
  expect(exitCode, stderr + stdout).toBe(0)
  return stdout
}

async function contentOf(bucket: string): Promise<Content> {
  const objects = await openBucket(gcs, bucket)
  const warehouse = await openDuckDbWarehouse({
    store: objects,
    temporaryFolder: join(folder, 'temporary'),
    memoryMaxBytes: 512 * 2 ** 20,
    threads: 1,
    clock,
  })
  const content = { tables: await rowsOf(warehouse), raw: await rawFilesOf(objects) }
  await warehouse.close()
  await objects.close()
  return content
}

/** All rows of all tables, without when a run was and how shards name their staging files. */
async function rowsOf(warehouse: Warehouse): Promise<Record<string, readonly Row[]>> {
  const found: Record<string, readonly Row[]> = {}
  const limits = { maxRows: 100_000, timeoutMs: 120_000 }
  const passing = { started_at: null, ended_at: null, staging_file: null }
  const session = await warehouse.open()
  for (const { name, key } of Object.values(tables)) {
    const sql = `SELECT * FROM ${name} ORDER BY ${key.join(', ')}`
    const rows = await session.query({ sql }, limits)
    found[name] = rows.map((row) => ({ ...row, ...passing }))
  }
  await session.close()
  return found
}

/** Every raw file with its bytes, in base64. */
async function rawFilesOf(objects: ObjectStore): Promise<Map<string, string>> {
  const found = new Map<string, string>()
  for (const { name } of await objects.list('raw/', { limit: 10_000 })) {
    const stored = await objects.read(name)
    found.set(name, Buffer.from(stored?.bytes ?? []).toString('base64'))
  }
  return found
}

/** The signal that ended a run which was told to kill itself there. */
async function endedAt(failpoint: FailpointName, env: NodeJS.ProcessEnv): Promise<unknown> {
  const child = spawn(process.execPath, [TO_THE_KILL, failpoint], { env, stdio: 'ignore' })
  const [, signal] = (await once(child, 'close')) as [unknown, unknown]
  return signal
}

test('events in Kafka become files and tables of a bucket that agree with the live side', async () => {
  const processor = await machine.start()
  const sessions = new LiveSessions({ log, partitions: PARTITIONS, seed: 1 })
  const fewest = async () => {
    const places = [...Array(PARTITIONS).keys()]
    const ranges = await Promise.all(places.map((place) => log.offsets(TOPICS.events, place)))
    return Math.min(...ranges.map(({ end }) => end))
  }
  await expect.poll(fewest, PATIENT).toBeGreaterThan(RECORDS)
  await sessions.stop()
  const commands = new OperatorsCommands(machine.commandSettings)
  // What the last sessions' timeouts change after a cut is compared after the next one.
  const compared = async () => {
    await done(commands.backhaul('batch', 'run', '--all'))
    // The minute that is going on as well: a fast machine is done within one.
    const around = ['--from', utcOf(-HOUR_MS), '--to', utcOf(HOUR_MS)]
    const { exitCode, stdout } = await commands.backhaul('reconcile', '--json', ...around)
    const { defects, minutes } = JSON.parse(stdout) as Reconciled
    expect(defects).toBe(0)
    return exitCode === 0 ? (minutes?.compared ?? 0) : 0
  }
  await expect.poll(compared, PATIENT).toBeGreaterThan(0)
  await processor.stop()
  // Its last ticks.
  await done(commands.backhaul('batch', 'run', '--all'))
  expect(await done(commands.backhaul('batch', 'run'))).toBe('nothing new since the last run\n')
})

test('a run that is killed at one step after another ends as one that is not', async () => {
  const [alone, killed] = [await freshBucket(gcs), await freshBucket(gcs)]
  await done(new OperatorsCommands(settingsOf(alone)).backhaul('batch', 'run'))
  gold = await contentOf(alone)
  expect(gold.tables['events']?.length).toBeGreaterThan(RECORDS)
  const settings = { ...settingsOf(killed), BATCH_LEASE_MS: `${LEASE_MS}` }
  const environment = { PATH: process.env['PATH'], ...settings }
  for (const failpoint of KILLS)
    expect(await endedAt(failpoint, environment), failpoint).toBe('SIGKILL')
  const commands = new OperatorsCommands(settings)
  const output = await done(commands.backhaul('batch', 'run', '--retry-for', '5'))
  expect(output).toContain('run 1 is complete, which was cut off before')
  expect(await contentOf(killed)).toEqual(gold)
})

test('shards of an indexed job make the files, the first of them merges', async () => {
  const bucket = await freshBucket(gcs)
  const shard = (index: string) =>
    new OperatorsCommands({
      ...settingsOf(bucket),
      BACKHAUL_DATA_DIR: join(folder, index),
      JOB_COMPLETION_INDEX: index,
    }).backhaul('batch', 'run', '--shard', '2', '--merge', '--retry-for', '5')
  const [first = '', second = ''] = await Promise.all(['0', '1'].map((index) => done(shard(index))))
  expect(first).toContain('run 1 is complete')
  expect(second).toContain('shard 1 of 2 has made')
  expect(await contentOf(bucket)).toEqual(gold)
})
