/**
 * The batch beside services on their own: events come into a real Kafka, a processor folds them with
 * its checkpoints in a bucket, and `npx backhaul`, as processes, puts them into files and tables of
 * the bucket. What it makes is the same in BigQuery, set up as docs/gcp.md says, after a kill at every step,
 * and by shards; and it agrees with the live side. The tests follow one another on one log.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest'
import { historyDifferences } from '../../batch/testing/history-differences.ts'
import type { ApiFault, ApiRequest } from '../../scripts/services/api-proxy.ts'
import type { ApiServer } from '../../scripts/services/api-server.ts'
import { commandBlocks, readPages } from '../../scripts/docs/commands.ts'
import { documented } from '../../scripts/docs/elsewhere.ts'
import { PROJECT, startBigQuery } from '../../scripts/services/bigquery.ts'
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
import { datasetEnvironment, openDataset } from '../../shared/warehouse/testing/bigquery-dataset.ts'
import type { Row, Warehouse } from '../../shared/warehouse/warehouse.ts'
import { OperatorsCommands, type Ended } from '../operators-commands.ts'
import { readRecord } from '../oracle/read-record.ts'
import { CUTS, KafkaMachine, readEventLog, type Reconciled } from './kafka-machine.ts'
import { LiveSessions } from './live-sessions.ts'

const PARTITIONS = 2
const RECORDS = 150
const TIMEOUT_MS = 900_000
const PATIENT = { timeout: 120_000, interval: 500 }
const TO_THE_KILL = join(import.meta.dirname, '../../batch/testing/command-to-the-kill/main.ts')
const HOUR_MS = 3_600_000
/** Where a process kills itself, or what a server is asked for when it is killed, and what becomes of that. */
type Kill =
  | FailpointName
  | { readonly server: 'gcs' | 'bigQuery'; readonly during: string; readonly fault: ApiFault }

/** Every step of one run, one after another: each next process comes further. */
const KILLS: readonly Kill[] = [
  'batch.afterCut',
  {
    server: 'gcs',
    during: 'an upload',
    fault: { to: isUpload, effect: { kind: 'cut', afterBytes: 20 } },
  },
  'batch.afterSomeRawFiles',
  'batch.afterRawFiles',
  'batch.afterManifest',
  'batch.afterFlatten',
  { server: 'bigQuery', during: 'a load', fault: { to: isLoad, effect: { kind: 'answerLost' } } },
  'batch.afterSomeLoads',
  'batch.afterLoads',
  { server: 'bigQuery', during: 'a write', fault: { to: isWrite, effect: { kind: 'answerLost' } } },
  'batch.afterSomeInserts',
  'batch.afterMerge',
  'batch.afterSomeFacts',
  'batch.afterFacts',
  'batch.afterQuality',
  'batch.afterLedger',
  'batch.afterReport',
  {
    server: 'bigQuery',
    during: 'the write of control rows',
    fault: { to: isControlWrite, effect: { kind: 'swallowed' } },
  },
]

interface Content {
  readonly tables: Record<string, readonly Row[]>
  readonly raw: Map<string, string>
}

let kafka: Kafka
let gcs: Gcs
let bigQuery: ApiServer
let log: EventLog
let machine: KafkaMachine
let folder: string
/** Bucket and dataset that the docs have made, and the settings that lead to them. */
let place: { readonly bucket: string; readonly dataset: string }
let cloud: Readonly<Record<string, string>>
/** Of one run over the whole log that nothing disturbed. */
let gold: Content

vi.setConfig({ testTimeout: TIMEOUT_MS })

beforeAll(async () => {
  ;[kafka, gcs] = await Promise.all([startKafka(), startGcs()])
  bigQuery = await startBigQuery({ objectsFolder: gcs.objectsFolder })
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
  await bigQuery.stop()
  await gcs.stop()
  await kafka.stop()
})

const settingsOf = (bucket: string) => ({
  ...machine.commandSettings,
  ...bucketEnvironment(gcs, bucket),
  BATCH_FACT_BUCKETS: '1',
  BATCH_RAW_FILE_BYTES: '16384',
})

/** What the blocks of a page export, with what there is here in place of its examples. */
function exportsOf(
  path: string,
  here: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  const blocks = readPages()
    .filter((page) => page.path === path)
    .flatMap(commandBlocks)
  const exported = blocks.flatMap(({ text }) => [...text.matchAll(/^ *export (.+)$/gm)])
  const pairs = exported.flatMap(([, line = '']) => line.split(' ').map((pair) => pair.split('=')))
  return Object.fromEntries(pairs.map(([name = '', value = '']) => [name, here[value] ?? value]))
}

/** A command of the docs on the bucket and the datasets that the docs have made. */
function typed(command: string): Promise<Ended> {
  const [, , ...args] = command.split(' ')
  return new OperatorsCommands(cloud).backhaul(...args)
}

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

/** All rows of all tables, without when a run was, what it cost, and how shards name their staging files. */
async function rowsOf(warehouse: Warehouse): Promise<Record<string, readonly Row[]>> {
  const found: Record<string, readonly Row[]> = {}
  const limits = { maxRows: 100_000, timeoutMs: 120_000 }
  const cost = { warehouse_read_bytes: null, warehouse_billed_bytes: null }
  const passing = { started_at: null, ended_at: null, staging_file: null, ...cost }
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

/** The signal that ended a run which was to be killed there. */
async function endedAt(kill: Kill, env: NodeJS.ProcessEnv): Promise<unknown> {
  const isAtFailpoint = typeof kill === 'string'
  const args = isAtFailpoint ? [TO_THE_KILL, kill] : [TO_THE_KILL]
  const child = spawn(process.execPath, args, { env, stdio: 'ignore' })
  if (!isAtFailpoint) {
    const { proxy } = kill.server === 'gcs' ? gcs : bigQuery
    const to = (request: ApiRequest) => kill.fault.to?.(request) === true && child.kill('SIGKILL')
    proxy.inject({ ...kill.fault, times: 1, to })
  }
  const [, signal] = (await once(child, 'close')) as [unknown, unknown]
  return signal
}

function isUpload({ method, url }: ApiRequest): boolean {
  return method === 'POST' && url.searchParams.get('name')?.startsWith('raw/') === true
}

function isLoad(request: ApiRequest): boolean {
  return jobIdOf(request)?.startsWith('backhaul-load-') === true
}

function isWrite(request: ApiRequest): boolean {
  return jobIdOf(request)?.startsWith('backhaul-write-') === true
}

function isControlWrite(request: ApiRequest): boolean {
  return isWrite(request) && request.body.includes(`.${tables.batchRuns.name}\``)
}

/** Of a job that is asked for. */
function jobIdOf({ method, url, body }: ApiRequest): string | undefined {
  if (method !== 'POST' || !url.pathname.endsWith('/jobs')) return undefined
  const { jobReference } = JSON.parse(body.toString()) as { jobReference: { jobId: string } }
  return jobReference.jobId
}

/** What the facts say otherwise than the oracle does of the log, as kafkajs reads it. */
async function differencesFromOracle(warehouse: Warehouse): Promise<string[]> {
  const read = await readEventLog(kafka.bootstrap)
  const partitions = new Map([...read].map(([place, records]) => [place, records.map(readRecord)]))
  return historyDifferences(warehouse, { partitions, limits: machine.limits, cuts: CUTS })
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

test('docs/gcp.md makes bucket and datasets, from nothing', async () => {
  place = { bucket: `made-${crypto.randomUUID()}`, dataset: `made_${clock.nowMs()}` }
  cloud = {
    ...settingsOf(place.bucket),
    ...datasetEnvironment(bigQuery, place.dataset),
    ...exportsOf('docs/gcp.md', {
      'my-bucket': place.bucket,
      'my-project': PROJECT,
      'kafka:9092': kafka.bootstrap.join(','),
      '200': `${PARTITIONS}`,
    }),
  }
  const dry = await done(typed(documented('npx backhaul init gcp --dry-run')))
  expect(dry).toContain(`gs://${place.bucket}: bucket in EU: would be created`)
  expect(dry).toContain(`${PROJECT}.${place.dataset}_staging: dataset in EU`)
  expect(dry).toContain('roles/bigquery.jobUser')
  for (const state of ['created', 'is there']) {
    const made = await typed(documented('npx backhaul init gcp'))
    // The server takes rules of lifecycle and drops them.
    expect(made.exitCode, made.stderr).toBe(1)
    expect(made.stdout).toContain('raw files to the class ARCHIVE after 7 days: NOT KEPT')
    for (const name of [place.dataset, `${place.dataset}_staging`])
      expect(made.stdout).toMatch(
        new RegExp(`^${PROJECT}.${name}: dataset in EU.*: ${state}$`, 'm'),
      )
  }
})

test('a run into BigQuery that is killed at every step ends as one into files that is not', async () => {
  const alone = await freshBucket(gcs)
  await done(new OperatorsCommands(settingsOf(alone)).backhaul('batch', 'run'))
  gold = await contentOf(alone)
  expect(gold.tables['events']?.length).toBeGreaterThan(RECORDS)
  const environment = { PATH: process.env['PATH'], ...cloud }
  const objects = await openBucket(gcs, place.bucket)
  const loads: string[] = []
  bigQuery.proxy.inject({
    to: (request) => {
      if (isLoad(request)) loads.push(jobIdOf(request) ?? '')
      return false
    },
    effect: { kind: 'swallowed' },
  })
  for (const kill of KILLS) {
    expect(await endedAt(kill, environment), JSON.stringify(kill)).toBe('SIGKILL')
    // Nobody waits here until the lease of the dead has ended.
    await objects.delete('leases/batch')
  }
  const output = await done(typed(documented('npx backhaul batch run --all --retry-for 30')))
  expect(output).toContain('run 1 is complete, which was cut off before')

  // Of one run, killed so often, each load was one job.
  const distinct = new Set(loads)
  expect(loads.length).toBeGreaterThan(2 * distinct.size)
  for (const id of distinct) expect(id).toMatch(/-1$/)
  expect(await rawFilesOf(objects)).toEqual(gold.raw)
  const warehouse = await openDataset(bigQuery, place)
  expect(await rowsOf(warehouse)).toEqual(gold.tables)
  expect(await differencesFromOracle(warehouse)).toEqual([])
  expect(await done(typed(documented('npx backhaul reconcile')))).toContain('equal')
  await warehouse.close()
  await objects.close()
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
