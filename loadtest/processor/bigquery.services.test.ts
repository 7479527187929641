/**
 * The history on the APIs of the cloud, as an operator has it: `npx backhaul` as processes makes bucket
 * and datasets, takes events from a real Kafka into raw files on GCS and tables in BigQuery, finds that
 * they agree with the rows in Cassandra, forgets a viewer, and brings back from files what the log has
 * forgotten; serving answers the past from BigQuery. The tests follow one another on one log.
 */
import { join } from 'node:path'
import { zstdDecompressSync } from 'node:zlib'
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest'
import type { ApiRequest } from '../../scripts/services/api-proxy.ts'
import type { ApiServer } from '../../scripts/services/api-server.ts'
import { PROJECT, startBigQuery } from '../../scripts/services/bigquery.ts'
import { startCassandra, type Cassandra } from '../../scripts/services/cassandra.ts'
import { startGcs, type Gcs } from '../../scripts/services/gcs.ts'
import { startKafka, type Kafka } from '../../scripts/services/kafka.ts'
import { freePorts } from '../../scripts/services/ports.ts'
import { createPseudonymiser, parseKeyring } from '../../shared/events/identity.ts'
import { endMainProcesses, MainProcess } from '../../shared/http/testing/main-process.ts'
import { kafkaSettings } from '../../shared/kafka/testing/kafka-settings.ts'
import type { EventLog } from '../../shared/log/event-log.ts'
import { openKafkaEventLog } from '../../shared/log/kafka-event-log.ts'
import { partitionOf } from '../../shared/log/partitioner.ts'
import { encodeFrameRecord, FRAME_SCHEMA } from '../../shared/log/record.ts'
import { TOPICS, topicSpecs } from '../../shared/log/topics.ts'
import type { ObjectStore } from '../../shared/objects/object-store.ts'
import {
  bucketEnvironment,
  freshBucket,
  openBucket,
} from '../../shared/objects/testing/gcs-bucket.ts'
import { systemClock as clock } from '../../shared/runtime/clock.ts'
import type { FailpointName } from '../../shared/runtime/failpoints.ts'
import { cassandraSettings } from '../../shared/speed/testing/cassandra-settings.ts'
import { openDuckDbWarehouse } from '../../shared/warehouse/duckdb-warehouse.ts'
import { tables } from '../../shared/warehouse/tables.ts'
import { datasetEnvironment, openDataset } from '../../shared/warehouse/testing/bigquery-dataset.ts'
import type { Row, Warehouse } from '../../shared/warehouse/warehouse.ts'
import { OperatorsCommands } from '../operators-commands.ts'
import type { ProcessorProcess, Report } from '../processor-process.ts'
import { kafkaOf, readTopic } from '../read-topic.ts'
import { KafkaMachine } from './kafka-machine.ts'

const SERVING = join(import.meta.dirname, '../../serving/main.ts')
const PARTITIONS = 2
const TIMEOUT_MS = 480_000
const PATIENT = { timeout: 120_000, interval: 200 }
const MINUTE_MS = 60_000
const [BUCKET, DATASET] = ['made-by-init', 'made_by_init']
const KEYRING = `key:${Buffer.alloc(32, 1).toString('base64')}`
const VIEWER = 'viewer@example.com'
const pseudonymiser = createPseudonymiser(parseKeyring(KEYRING))
const PSEUDONYM = pseudonymiser.pseudonym(VIEWER)
const SOMEONE = pseudonymiser.pseudonym('someone else')
/** Of the viewer, of others, and of others whose events come too late for the live side. */
const SEEN = ['seen-1', 'seen-2']
const OTHERS = [...Array(12).keys()].map((n) => `other-${n}`)
const LATE = ['late-1', 'late-2', 'late-3']
/** Before every pane that is open. */
const LATE_MS = 10 * MINUTE_MS
/** A process that was killed keeps its lease for so long, ms. */
const LEASE_MS = '3000'
/** Those that have to do with BigQuery: files and manifests are the same in whatever warehouse. */
const KILLS: readonly FailpointName[] = [
  'batch.afterSomeLoads',
  'batch.afterSomeInserts',
  'batch.afterSomeFacts',
]
/** Ticks of an idle partition after which sessions have timed out and panes are closed. */
const TICKS = 25

/** What is looked at of what `erase` prints. */
interface Erased {
  readonly proof: {
    readonly sessions: number
    readonly doneAtMs: number
    readonly rows: Readonly<Record<string, number>>
    readonly files: readonly { readonly name: string; readonly replacedBy: string }[]
    readonly stagingFiles: readonly string[]
    readonly forgottenByMs: Readonly<Record<string, number>>
  }
}

interface Answered {
  readonly series?: readonly { readonly buckets: readonly Record<string, unknown>[] }[]
}

/** What is looked at of what `reconcile` prints. */
interface Reconciled {
  readonly verdict: string
  readonly defects: number
  readonly run: number
  readonly minutes: { readonly equal: number; readonly explained: number }
  readonly sessions: { readonly equal: number }
  readonly defectsListed: readonly object[]
}

let kafka: Kafka
let cassandra: Cassandra
let gcs: Gcs
let bigQuery: ApiServer
let log: EventLog
let machine: KafkaMachine
let processor: ProcessorProcess
let commands: OperatorsCommands
let objects: ObjectStore
let cloud: Readonly<Record<string, string>>
let serving: MainProcess
let servingUrl: string
/** Records of each partition of events that the first run has taken. */
let taken: readonly number[]

vi.setConfig({ testTimeout: TIMEOUT_MS })

beforeAll(async () => {
  ;[kafka, cassandra, gcs] = await Promise.all([startKafka(), startCassandra(), startGcs()])
  bigQuery = await startBigQuery({ objectsFolder: gcs.objectsFolder })
  log = await openKafkaEventLog({ config: kafkaSettings({ brokers: kafka.bootstrap }), clock })
  const retention = { logRetentionMs: 86_400_000, logRetentionBytes: 2 ** 30 }
  await log.ensureTopics(topicSpecs({ partitions: PARTITIONS, ...retention }))
  cloud = { ...bucketEnvironment(gcs, BUCKET), ...datasetEnvironment(bigQuery, DATASET) }
  const config = cassandraSettings({ contactPoints: [cassandra.contactPoint] })
  machine = new KafkaMachine({
    brokers: kafka.bootstrap,
    partitions: PARTITIONS,
    cassandra: config,
    settings: {
      ...cloud,
      PROCESSOR_SPEED_STORE: 'cassandra',
      CASSANDRA_CONTACT_POINTS: cassandra.contactPoint,
      CASSANDRA_KEYSPACE: config.keyspace,
      CASSANDRA_REPLICATION_FACTOR: '1',
      CASSANDRA_REQUEST_TIMEOUT_MS: '25000',
      BACKHAUL_PSEUDONYM_KEYS: KEYRING,
      BATCH_FACT_BUCKETS: '1',
    },
  })
  commands = new OperatorsCommands(machine.commandSettings)
}, TIMEOUT_MS)
afterEach(() => {
  bigQuery.proxy.heal()
  gcs.proxy.heal()
})
afterAll(async () => {
  await endMainProcesses()
  machine.remove()
  await objects.close()
  await log.close()
  await Promise.all([bigQuery.stop(), gcs.stop(), cassandra.stop(), kafka.stop()])
})

/** What the command prints, which must end well. */
async function done(...args: readonly string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await commands.backhaul(...args)
  expect(exitCode, `${args.join(' ')}: ${stderr}${stdout}`).toBe(0)
  return stdout
}

/** Requests to a server from now on, as long as they are of interest; nothing befalls them. */
function spyOn(
  server: Gcs | ApiServer,
  isOfInterest: (request: ApiRequest) => boolean,
): ApiRequest[] {
  const found: ApiRequest[] = []
  server.proxy.inject({
    to(request) {
      if (isOfInterest(request)) found.push(request)
      return false
    },
    effect: { kind: 'swallowed' },
  })
  return found
}

/** Two frames of a session that plays and ends. */
async function send(sessionId: string): Promise<void> {
  const types = ['playbackRequest', 'playbackStart', 'heartbeat', 'sessionEnd']
  const nowMs = clock.nowMs()
  const agoMs = LATE.includes(sessionId) ? LATE_MS : 200
  const viewerPseudonym = SEEN.includes(sessionId) ? PSEUDONYM : SOMEONE
  const events = types.map((type, seq) => ({ seq, type, at: nowMs - agoMs + 10 * seq }))
  for (const half of [events.slice(0, 2), events.slice(2)]) {
    const context = { sessionId, contentId: 'movie', cdn: 'a', viewerPseudonym }
    const value = encodeFrameRecord({
      contextJson: Buffer.from(JSON.stringify(context)),
      sentAtMs: nowMs,
      receivedAtMs: nowMs,
      rejectedSeqs: [],
      events: half.map((event) => Buffer.from(JSON.stringify(event))),
    })
    const record = { key: sessionId, value, headers: { schema: FRAME_SCHEMA } }
    await log.append(TOPICS.events, partitionOf(sessionId, PARTITIONS), [record])
  }
}

const endsOf = (topic: string) =>
  Promise.all(
    [...Array(PARTITIONS).keys()].map(
      async (partition) => (await log.offsets(topic, partition)).end,
    ),
  )

/** Whether Cassandra has acknowledged every row of the partition up to there. */
const isFlushed = ({ durable }: Report, offset: number) =>
  durable !== undefined && Object.values(durable).every((reached) => reached.offset >= offset)

async function historyRows(): Promise<Record<string, readonly Row[]>> {
  return rowsOf(await openDataset(bigQuery, { dataset: DATASET, bucket: BUCKET }))
}

/** Of a run over the same cut that nothing disturbed, whose tables are files of another bucket. */
async function rowsInFiles(): Promise<Record<string, readonly Row[]>> {
  const bucket = await freshBucket(gcs)
  const store = await openBucket(gcs, bucket)
  const [cut] = (await objects.list('batch/runs/', { limit: 1_000 })).filter(({ name }) =>
    name.endsWith('/cut.json'),
  )
  await store.create(cut?.name ?? '', (await objects.read(cut?.name ?? ''))?.bytes ?? Buffer.of())
  const settings = { ...machine.commandSettings, ...bucketEnvironment(gcs, bucket) }
  const inFiles = new OperatorsCommands({ ...settings, WAREHOUSE_STORE: 'duckdb' })
  expect(await inFiles.backhaul('batch', 'run')).toMatchObject({ exitCode: 0 })
  const rows = await rowsOf(
    await openDuckDbWarehouse({
      store,
      temporaryFolder: join(machine.folder, 'of-files'),
      memoryMaxBytes: 512 * 2 ** 20,
      threads: 1,
      clock,
    }),
  )
  await store.close()
  return rows
}

async function rowsOf(warehouse: Warehouse): Promise<Record<string, readonly Row[]>> {
  const session = await warehouse.open()
  const limits = { maxRows: 10_000, timeoutMs: TIMEOUT_MS }
  const found: Record<string, readonly Row[]> = {}
  for (const { name } of Object.values(tables))
    found[name] = await session.query({ sql: `SELECT * FROM ${name}` }, limits)
  await warehouse.close()
  return found
}

/** The rows without when a run was and which one computed them last, in an order of their own. */
function comparable(
  found: Readonly<Record<string, readonly Row[]>>,
): Record<string, readonly string[]> {
  const print = (name: string, value: unknown) => {
    if (['run', 'started_at', 'ended_at'].includes(name)) return undefined
    return typeof value === 'bigint' ? `${value}` : value
  }
  return Object.fromEntries(
    Object.entries(found).map(([name, rows]) => [
      name,
      rows.map((row) => JSON.stringify(row, print)).toSorted(),
    ]),
  )
}

/** Everything that is stored in readable form of what was ever played, as text. */
async function everything(view: string): Promise<string> {
  const print = (_: string, value: unknown) => (typeof value === 'bigint' ? `${value}` : value)
  const texts = [JSON.stringify(await historyRows(), print)]
  for (const { name } of await objects.list('raw/', { limit: 1_000 })) {
    const stored = await objects.read(name)
    texts.push(name, zstdDecompressSync(stored?.bytes ?? new Uint8Array()).toString())
  }
  return [...texts, ...(await liveSessions(view))].join('\n')
}

async function startServing(): Promise<void> {
  const [port = 0] = await freePorts(1)
  const settings = { ...machine.servingSettings, ...cloud, SERVING_HISTORY: 'duckdb' }
  const environment = { ...settings, SERVING_PORT: `${port}` }
  serving = new MainProcess({ script: [SERVING], adminPort: port, environment })
  servingUrl = `http://127.0.0.1:${port}`
  const isReady = async () => (await serving.ask('/readyz'))?.status
  await expect.poll(isReady, PATIENT).toBe(200)
}

/** Sessions of which `playback.sessions` says last that there is nothing to say. */
async function endedKeys(): Promise<string[]> {
  const last = new Map<string, boolean>()
  await readTopic(kafka.bootstrap, TOPICS.sessions, ({ key, value }) => {
    last.set(String(key), value === null)
  })
  return [...last].flatMap(([key, isEnded]) => (isEnded ? [key] : [])).toSorted()
}

async function liveSessions(view: string): Promise<string[]> {
  const speed = await machine.openSpeed()
  const rows = await speed.readSessions(view, { limit: 100 })
  await speed.close()
  return rows.map(({ sessionId }) => sessionId).toSorted()
}

test('bucket and datasets are made by the settings of the services, and a dry run makes none', async () => {
  const exists = () => fetch(`${gcs.endpoint}/storage/v1/b/${BUCKET}`).then(({ ok }) => ok)
  const dry = await done('init', 'gcp', '--dry-run')
  expect(dry).toMatch(new RegExp(`^gs://${BUCKET}: bucket in US: would be created$`, 'm'))
  expect(dry).toContain(`${PROJECT}.${DATASET}: dataset in US: would be created`)
  expect(await exists()).toBe(false)
  // The server of the tests drops rules of lifecycle, which the command says.
  const { exitCode, stdout } = await commands.backhaul('init', 'gcp')
  expect({ exitCode, stdout }).toMatchObject({ exitCode: 1 })
  expect(stdout).toContain(
    `${PROJECT}.${DATASET}_staging: dataset in US, tables kept for a day: created`,
  )
  expect(stdout.match(/NOT KEPT/g)).toHaveLength(3)
  expect(await exists()).toBe(true)
  objects = await openBucket(gcs, BUCKET)
})

test('a run that is killed at one step after another puts into BigQuery what another has in files', async () => {
  processor = await machine.start()
  // The late ones in the middle, when others have moved the watermark.
  for (const id of [...OTHERS.slice(0, 6), ...SEEN, ...LATE, ...OTHERS.slice(6)]) await send(id)
  const ends = await endsOf(TOPICS.events)
  const settled = async () => {
    const reports = await processor.reports()
    return reports.filter((each) => isFlushed(each, (ends[each.partition] ?? 0) + TICKS)).length
  }
  await expect.poll(settled, PATIENT).toBe(PARTITIONS)
  const listed = async () => (await endsOf(TOPICS.exceptions)).reduce((sum, end) => sum + end, 0)
  await expect.poll(listed, PATIENT).toBeGreaterThanOrEqual(LATE.length)

  const killed = new OperatorsCommands({ ...machine.commandSettings, BATCH_LEASE_MS: LEASE_MS })
  for (const failpoint of KILLS)
    expect(await killed.runKilledAt(failpoint), failpoint).toBe('SIGKILL')
  expect(await done('batch', 'run', '--retry-for', '5')).toContain(
    'run 1 is complete, which was cut off before',
  )
  const inBigQuery = await historyRows()
  expect(comparable(inBigQuery)).toEqual(comparable(await rowsInFiles()))
  expect(inBigQuery['events']).toHaveLength(4 * (OTHERS.length + SEEN.length + LATE.length))
  const ranges = (inBigQuery['batch_runs'] ?? []).filter(({ topic }) => topic === TOPICS.events)
  taken = ranges
    .toSorted((a, b) => Number(a['log_partition']) - Number(b['log_partition']))
    .map((row) => Number(row['next_offset']))
  expect(taken).toHaveLength(PARTITIONS)
})

test('the tables agree with the rows in Cassandra, and an altered row is named', async () => {
  const found = JSON.parse(await done('reconcile', '--json')) as Reconciled
  expect(found).toMatchObject({ verdict: 'explained', defects: 0, run: 1 })
  for (const count of [found.minutes.equal, found.minutes.explained, found.sessions.equal])
    expect(count).toBeGreaterThan(0)
  const reports = await objects.list('batch/reconcile', { limit: 10 })
  expect(reports.map(({ name }) => name)).toEqual([
    'batch/reconcile.json',
    expect.stringMatching(/^batch\/reconcile\/.*1-\d+\.json$/),
  ])

  const alter = (by: string) =>
    bigQuerySql(`UPDATE \`${PROJECT}.${DATASET}.sessions\`
      SET stall_count = stall_count ${by} WHERE session_id = 'other-1'`)
  await alter('+ 1')
  const { exitCode, stdout } = await commands.backhaul('reconcile', '--json')
  expect({ exitCode, ...(JSON.parse(stdout) as Reconciled) }).toMatchObject({
    exitCode: 1,
    defects: 1,
    defectsListed: [{ kind: 'session', key: 'other-1', live: '0', history: '1' }],
  })
  await alter('- 1')
})

test('serving answers the past from BigQuery, by one query, and once more by none', async () => {
  await startServing()
  const toMs = Math.floor(clock.nowMs() / MINUTE_MS) * MINUTE_MS - LATE_MS / 2
  const range = `from=${toMs - 2 * LATE_MS}&to=${toMs}`
  let asked = 0
  /** The buckets that hold events. */
  const past = async (by: string) => {
    asked += 1
    const answer = await fetch(`${servingUrl}/v1/qoe?by=${by}&step=1m&${range}`)
    const { series = [] } = (await answer.json()) as Answered
    return series.flatMap(({ buckets }) => buckets).filter(({ events }) => Number(events) > 0)
  }
  const ofHistory = [{ source: 'history', complete: true, events: 4 * LATE.length }]
  await expect.poll(() => past('cdn'), PATIENT).toMatchObject(ofHistory)
  const queries = spyOn(bigQuery, ({ body }) => body.includes('minute_ms >= @from_ms'))
  asked = 0
  await expect.poll(() => past('content'), PATIENT).toMatchObject(ofHistory)
  const first = queries.length
  expect(first).toBeGreaterThan(0)
  // One that is not answered in time is answered without the history, and asked again.
  expect(first).toBeLessThanOrEqual(asked)
  for (const by of ['cdn', 'content', 'content']) expect(await past(by)).toMatchObject(ofHistory)
  expect(queries).toHaveLength(first)
})

test('a viewer is forgotten everywhere, first by the record, with a proof that has dates', async () => {
  const statusOf = async (id: string) => (await fetch(`${servingUrl}/v1/sessions/${id}`)).status
  expect(await statusOf('seen-1')).toBe(200)
  const before = await everything(machine.view)
  for (const known of [...SEEN, PSEUDONYM]) expect(before).toContain(known)

  const writes = spyOn(gcs, ({ method }) => method === 'POST')
  const changes = spyOn(bigQuery, ({ body }) => /\b(INSERT|UPDATE|DELETE)\b/.test(body.toString()))
  const { proof } = JSON.parse(await done('erase', '--viewer', VIEWER, '--json')) as Erased
  const [firstWrite] = writes
  expect(`${firstWrite?.url.search} ${firstWrite?.body.toString()}`).toMatch(/-record\.json/)
  expect(changes.length).toBeGreaterThan(0)
  expect(proof).toMatchObject({ sessions: SEEN.length, rows: { events: 4 * SEEN.length } })
  expect(proof.forgottenByMs['log']).toBe(proof.doneAtMs + 7 * 86_400_000)
  expect(proof.files.length).toBeGreaterThan(0)
  for (const { name, replacedBy } of proof.files) {
    expect(await objects.stat(name)).toBeUndefined()
    expect(await objects.stat(replacedBy)).toBeDefined()
  }
  expect(proof.stagingFiles.length).toBeGreaterThan(0)
  for (const name of proof.stagingFiles) expect(await objects.stat(name)).toBeUndefined()

  const after = await everything(machine.view)
  for (const gone of [...SEEN, PSEUDONYM]) expect(after).not.toContain(gone)
  for (const kept of [...OTHERS, ...LATE]) expect(after).toContain(kept)
  expect(await endedKeys()).toEqual(SEEN)
  expect(await done('verify')).toContain('all as in the ledger')
  await expect.poll(() => statusOf('seen-1'), PATIENT).toBe(404)
  expect(await statusOf('other-1')).toBe(200)
})

test('what the log has forgotten comes back from files, into tables and a fresh view', async () => {
  await processor.stop()
  const admin = kafkaOf(kafka.bootstrap).admin()
  await admin.connect()
  // It finds leaders of topics only that it has been asked of before.
  await admin.fetchTopicOffsets(TOPICS.events)
  const partitions = taken.map((offset, partition) => ({ partition, offset: `${offset}` }))
  await admin.deleteTopicRecords({ topic: TOPICS.events, partitions })
  await admin.disconnect()
  const starts = taken.map((_, partition) => log.offsets(TOPICS.events, partition))
  expect((await Promise.all(starts)).map(({ start }) => start)).toEqual(taken)

  const before = comparable(await historyRows())
  await bigQuerySql(`DELETE FROM \`${PROJECT}.${DATASET}.events\` WHERE TRUE`)
  expect((await historyRows())['events']).toEqual([])
  expect(await done('replay', '--range', 'playback.events/0@0-3')).toContain('Run 1: ')
  expect(comparable(await historyRows())).toEqual(before)

  const sessions = await liveSessions(machine.view)
  expect(sessions).toEqual([...OTHERS, ...LATE].toSorted())
  await done('replay', '--view', 'once-more')
  expect(await liveSessions('once-more')).toEqual(sessions)
})

async function bigQuerySql(query: string): Promise<void> {
  const answer = await fetch(`${bigQuery.endpoint}/bigquery/v2/projects/${PROJECT}/queries`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ query, useLegacySql: false }),
  })
  expect(answer.ok, await answer.text()).toBe(true)
}
