/**
 * The batch over GCS and BigQuery, by what is asked of it from outside: runs that fail or meet one another,
 * and then the operators' commands, one after another on one log. The same is done to files and DuckDB in a
 * folder, and both sides end with the same rows; only the live rows are shared. Kills at every step are in
 * `loadtest/processor/batch-on-kafka.services.test.ts`.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import type { ApiRequest } from '../scripts/services/api-proxy.ts'
import type { ApiServer } from '../scripts/services/api-server.ts'
import { PROJECT, startBigQuery } from '../scripts/services/bigquery.ts'
import { BYTES_OF_A_TABLE } from '../scripts/services/bigquery/proxy/dry-run.ts'
import { startGcs, type Gcs } from '../scripts/services/gcs.ts'
import type { ObjectStore } from '../shared/objects/object-store.ts'
import { bucketEnvironment, freshBucket, openBucket } from '../shared/objects/testing/gcs-bucket.ts'
import { ArmedFailpoints } from '../shared/runtime/failpoints.ts'
import { allTables } from '../shared/warehouse/tables.ts'
import {
  datasetEnvironment,
  freshDatasets,
  openDataset,
  runSql,
} from '../shared/warehouse/testing/bigquery-dataset.ts'
import type { Row, Warehouse, WarehouseEstimate } from '../shared/warehouse/warehouse.ts'
import type { RunOptions } from './run.ts'
import { analystsStatements } from './testing/analysts-statements.ts'
import { PARTITIONS, tablesOf } from './testing/batch-machine.ts'
import { CommandsOn, expectRefusal } from './testing/commands-on.ts'
import {
  closeEraseMachine,
  ERASED,
  ERASE_KEYRING,
  type EraseMachine,
  openEraseMachine,
  VIEWER,
  watch,
} from './testing/erase-machine.ts'
import { ImpatientClock } from './testing/impatient-clock.ts'
import { DELAYED, LateLog } from './testing/late-log.ts'
import { withLeaseOfItsOwn } from './testing/own-lease.ts'
import { fillLog } from './testing/scenario.ts'

const LIMITS = { maxRows: 10_000, timeoutMs: 120_000 }
/** The whole of a run is some hundred statements, each a job. */
const RUN_MAX_MS = 600_000
const START_MS = Date.parse('2026-03-01T00:00:00Z')
const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
/** Of a run that settles late copies, all sessions at once; each further group of them adds some fifty. */
const JOBS_MAX = 330
/** More groups than one would be asked for, where this process computed. */
const GROUPS = { BATCH_FACT_BUCKETS: '16' }
/** What the second of two writers is told, of a table or of the report. */
const OVERTAKEN = ['WAREHOUSE_CONFLICT', 'OBJECT_PRECONDITION_FAILED']
/** Of a backfill of two runs, whose days are computed at once. */
const BACKFILL_JOBS_MAX = 400
/** Tables of which the rows bear the run that computed them last. */
const FACTS = ['sessions', 'session_minutes', 'qoe_minute']
vi.setConfig({ testTimeout: RUN_MAX_MS })

let gcs: Gcs
let bigQuery: ApiServer
let dataset: string
let folder: string
let opened: EraseMachine
let objects: ObjectStore
let warehouse: Warehouse
let cloud: Readonly<Record<string, string>>
let onCloud: CommandsOn
let inFolder: CommandsOn
/** Statements and loads that were asked of BigQuery. */
let jobs = 0
/** What a dry run has said of the run that settles late copies. */
let plan: Record<string, unknown> = {}

beforeAll(async () => {
  gcs = await startGcs()
  bigQuery = await startBigQuery({ objectsFolder: gcs.objectsFolder })
  bigQuery.proxy.observe((request) => {
    if (isJob(request)) jobs += 1
  })
  dataset = await freshDatasets(bigQuery)
  const place = { bucket: await freshBucket(gcs), dataset }
  objects = await openBucket(gcs, place.bucket)
  warehouse = await openDataset(bigQuery, place)
  folder = await mkdtemp(join(tmpdir(), 'backhaul-bigquery-'))
  await writeFile(join(folder, 'format.json'), '{"format":1}\n')
  opened = await openEraseMachine(folder, START_MS)
  const { machine, clock } = opened
  await watch(opened, 0)
  await fillLog({ log: machine.ports.log, clock, partitions: PARTITIONS, seed: 3, turns: 20 })
  const settings = { BACKHAUL_PSEUDONYM_KEYS: ERASE_KEYRING }
  cloud = {
    ...settings,
    ...bucketEnvironment(gcs, place.bucket),
    ...datasetEnvironment(bigQuery, place.dataset),
    ...GROUPS,
  }
  // After the second run, when nothing more is appended.
  const commandsAt = new ImpatientClock(START_MS + 2 * DAY_MS)
  onCloud = new CommandsOn(folder, commandsAt, cloud)
  inFolder = new CommandsOn(folder, commandsAt, settings)
}, RUN_MAX_MS)
afterAll(async () => {
  await warehouse.close()
  await objects.close()
  await rm(folder, { recursive: true, force: true })
  await bigQuery.stop()
  await gcs.stop()
})

it('a run ends with the tables of DuckDB, though it is refused, misses a file and meets another at work', async () => {
  const { machine } = opened
  await warehouse.ensureTables(allTables)
  const batchOver = (store: ObjectStore, failpoints = new ArmedFailpoints()) =>
    machine.batch({
      wrap: () => ({ log: machine.ports.log, objects: store, warehouse }),
      failpoints,
      settings: GROUPS,
    })
  const run: Run = (options = {}) => batchOver(objects).run(options)
  await expectRefused(run)
  await expectMissed(run)
  const failpoints = new ArmedFailpoints()
  failpoints.arm('batch.afterFlatten', async () => {
    await expect(run()).rejects.toMatchObject({ code: 'LEASE_HELD' })
    throw new Error('cut off')
  })
  await expect(batchOver(objects, failpoints).run()).rejects.toThrow('cut off')
  // Two that know nothing of one another.
  const alone = () => batchOver(withLeaseOfItsOwn(objects)).run()
  const ended = await Promise.allSettled([alone(), alone()])
  const failed = ended.flatMap((one) =>
    one.status === 'rejected' ? [one.reason as { readonly code: string }] : [],
  )
  expect(OVERTAKEN).toEqual(expect.arrayContaining(failed.map(({ code }) => code)))
  await run()
  expect(await run()).toMatchObject({ outcome: 'idle' })
  await machine.run()
  expect(await tablesOf(warehouse)).toEqual(await machine.tables())
})

it('answers the questions of analysts as DuckDB does', async () => {
  for (const { heading, sql } of analystsStatements()) {
    const [here, there] = await Promise.all([
      answerOf(warehouse, sql),
      answerOf(opened.machine.ports.warehouse, sql),
    ])
    expect(here, heading).toEqual(there)
  }
})

it('by commands: a dry run says what the next run takes and reads, and does nothing', async () => {
  const { machine, live, clock } = opened
  await clock.advance(START_MS + DAY_MS - clock.nowMs())
  await new LateLog(machine.ports.log, clock).goOn()
  await watch(opened, 1)
  await live.catchUp()
  await closeEraseMachine(opened)
  plan = await expectDryRun()
})

it('by commands: copies that come late are settled, and agree with the live rows', async () => {
  jobs = 0
  const [done] = await onBoth('batch run --settle-late')
  expect(done).toMatchObject({ run: plan['run'] })
  expect(recordsOf(done)).toBe(plan['records'])
  expect(jobs).toBeLessThan(JOBS_MAX)
  const late = await answerOf(
    warehouse,
    `SELECT seq, run FROM events WHERE session_id = '${DELAYED}' ORDER BY seq`,
  )
  expect(late.map(({ seq }) => Number(seq))).toEqual([0, 1, 3, 4])
  const { code, found } = await onCloud.json('reconcile')
  expect({ code, ...found }).toMatchObject({ code: 0, verdict: 'equal', run: 2, defects: 0 })
  expect(Number(found['compared'])).toBeGreaterThan(50)
  const [report] = await objects.list('batch/reconcile/2-', { limit: 9 })
  const stored = await objects.read(report?.name ?? '')
  expect(JSON.parse(Buffer.from(stored?.bytes ?? []).toString())).toMatchObject(found)
})

/** Whoever answers, what with, and the exit code and words of a command that meets it. */
const REFUSALS = [
  ['gcs', 401, 'authError', 1, 'OBJECT_CREDENTIALS_REFUSED', 'gcloud auth'],
  ['gcs', 403, 'forbidden', 1, 'OBJECT_NOT_AUTHORIZED', 'storage.objects.list on gs://'],
  ['gcs', 404, 'notFound', 1, 'OBJECT_BUCKET_MISSING', 'npx backhaul init gcp'],
  ['gcs', 429, 'rateLimitExceeded', 75, 'OBJECT_UNAVAILABLE', 'gs://'],
  ['gcs', 503, 'backendError', 75, 'OBJECT_UNAVAILABLE', 'gs://'],
  ['bigQuery', 401, 'authError', 1, 'WAREHOUSE_CREDENTIALS_REFUSED', 'gcloud auth'],
  ['bigQuery', 403, 'accessDenied', 1, 'WAREHOUSE_NOT_AUTHORIZED', 'bigquery.datasets.get on'],
  ['bigQuery', 404, 'notFound', 1, 'WAREHOUSE_DATASET_MISSING', 'npx backhaul init gcp'],
  ['bigQuery', 429, 'rateLimitExceeded', 75, 'WAREHOUSE_UNAVAILABLE', PROJECT],
  ['bigQuery', 503, 'backendError', 75, 'WAREHOUSE_UNAVAILABLE', PROJECT],
] as const

it('by commands: what either API refuses is told with what mends it, and the command may be given again', async () => {
  // Of its own time, which passes with every try.
  const commands = new CommandsOn(folder, new ImpatientClock(START_MS + 2 * DAY_MS), cloud)
  for (const [server, status, reason, exitCode, code, mends] of REFUSALS) {
    const { proxy } = server === 'gcs' ? gcs : bigQuery
    proxy.inject({ effect: { kind: 'refused', status, reason } })
    const refused = await commands.run('batch run')
    proxy.heal()
    expectRefusal(refused, exitCode, code)
    expect(refused.errors).toContain(mends)
  }
  expect(await onCloud.run('batch run')).toMatchObject({ code: 0 })
})

it('by commands: a table of another schema is told by its column, and a run goes on once it is gone', async () => {
  const other = { BIGQUERY_DATASET: await freshDatasets(bigQuery) }
  await runSql(
    bigQuery,
    `CREATE TABLE \`${PROJECT}.${other.BIGQUERY_DATASET}.frames\` (bytes STRING)`,
  )
  const refused = await onCloud.run('verify', other)
  expectRefusal(refused, 1, 'WAREHOUSE_TABLE_MISMATCH')
  expect(refused.errors).toContain('frames.')
  await runSql(bigQuery, `DROP TABLE \`${PROJECT}.${other.BIGQUERY_DATASET}.frames\``)
  expect(await onCloud.run('verify', other)).toMatchObject({ code: 0 })
})

it('by commands: what is missing, twice or another is named by its key, and a rebuild mends it', async () => {
  const before = await tablesOf(warehouse)
  const [events, minutes] = [tableName('events'), tableName('qoe_minute')]
  const [ofLost, ofTwice] = await Promise.all([0, 1].map(firstFrameOf))
  await change(`DELETE FROM ${events} WHERE ${ofLost}`)
  await change(`INSERT INTO ${events} SELECT * FROM ${events} WHERE ${ofTwice}`)
  const [minute] = await answerOf(
    warehouse,
    `SELECT MIN(minute_ms) AS ms FROM qoe_minute WHERE cut = 'total' AND minute_ms >= ${START_MS + 4 * HOUR_MS}`,
  )
  const ofMinute = `cut = 'total' AND minute_ms = ${Number(minute?.['ms'])}`
  await change(`UPDATE ${minutes} SET events = events + 1 WHERE ${ofMinute}`)

  const verified = await onCloud.json('verify')
  expect(verified).toMatchObject({ code: 1, found: { faults: [], tables: { compared: true } } })
  const { differences } = verified.found['tables'] as { readonly differences: readonly object[] }
  expect(differences).toMatchObject([
    { code: 'BATCH_TABLE_ROWS_DIFFER', run: 1, partition: 0 },
    { code: 'BATCH_TABLE_ROWS_DIFFER', run: 1, partition: 1 },
  ])
  const { code, found } = await onCloud.json('reconcile')
  expect({ code, ...found }).toMatchObject({ code: 1, verdict: 'defect', defects: 1 })
  expect(found['defectsListed']).toMatchObject([
    { kind: 'minute', cut: 'total', name: 'events', wrong: 'history' },
  ])

  jobs = 0
  await onBoth('backfill --from 2026-03-01 --to 2026-03-02 --parallel 2')
  expect(jobs).toBeLessThan(BACKFILL_JOBS_MAX)
  expect(await onCloud.json('verify')).toMatchObject({ code: 0 })
  expect(await onCloud.json('reconcile')).toMatchObject({ code: 0, found: { verdict: 'equal' } })
  expect(withoutRun(await tablesOf(warehouse))).toEqual(withoutRun(before))
})

it('by commands: files are joined, a viewer is forgotten, an archived range comes back', async () => {
  const [compacted] = await onBoth('batch compact')
  expect(compacted).toMatchObject({ days: [{ day: '2026-03-01' }] })
  const record = new Promise<ApiRequest>((resolve) =>
    gcs.proxy.observe((request) => {
      if (request.method === 'POST' && !/name=leases/.test(request.url.search)) resolve(request)
    }),
  )
  const [erased] = await onBoth(`erase --viewer ${VIEWER}`)
  expect((await record).url.search).toContain('-record.json')
  expect(erased).toMatchObject({ proof: { sessions: ERASED.length, rows: { events: 4 } } })
  const [replayed] = await onBoth('replay --range playback.events/0@0-3')
  expect(replayed).toMatchObject({ runs: [{ run: 1 }] })
  const { code, found } = await onCloud.json('verify')
  const tables = { compared: true, differences: [] }
  expect({ code, ...found }).toMatchObject({ code: 0, faults: [], tables })
  const [fresh, like] = [
    await onCloud.json('replay --view from-cloud'),
    await inFolder.json('replay --view from-folder'),
  ]
  expect(fresh).toEqual({ ...like, found: { ...like.found, view: 'from-cloud' } })
  opened = await openEraseMachine(folder, START_MS + 3 * DAY_MS)
  const rows = await tablesOf(warehouse)
  expect(rows).toEqual(await opened.machine.tables())
  for (const gone of ERASED) expect(JSON.stringify(rows, printed).includes(gone), gone).toBe(false)
  await closeEraseMachine(opened)
})

/** What the next run would do and read: nothing is written, and no statement is run but those that ask where it begins. */
async function expectDryRun(): Promise<Record<string, unknown>> {
  const written = () => objects.list('', { limit: 100_000 })
  const [before, rows] = [await written(), await tablesOf(warehouse)]
  const ran: string[] = []
  let isOver = false
  bigQuery.proxy.observe(({ method, url, body }) => {
    if (isOver || method === 'GET') return
    const { dryRun, query } = JSON.parse(body.toString()) as { dryRun?: boolean; query?: string }
    if (dryRun !== true) ran.push(query ?? url.pathname)
  })
  const { code, found } = await onCloud.json('batch run --dry-run')
  isOver = true
  expect(code).toBe(0)
  expect(found).toMatchObject({ outcome: 'planned', isBegun: false, isBusy: false, problems: [] })
  const estimate = found['estimate'] as WarehouseEstimate
  expect(estimate.statements).toBeGreaterThan(50)
  expect(estimate.bytesRead).toBeGreaterThan(20 * BYTES_OF_A_TABLE)
  expect(estimate.bytesReadAtOnce).toBeGreaterThan(2 * BYTES_OF_A_TABLE)
  const READ = /CURRENT_TIMESTAMP\(\)|warehouse_tables|batch_runs/
  expect(ran.filter((sql) => !READ.test(sql))).toEqual([])
  expect(await written()).toEqual(before)
  expect(await tablesOf(warehouse)).toEqual(rows)
  return found
}

function recordsOf(report: Record<string, unknown> | undefined): number {
  const topics = report?.['topics'] as readonly { readonly counts: { readonly records: number } }[]
  return topics.reduce((sum, { counts }) => sum + counts.records, 0)
}

type Run = (options?: RunOptions) => Promise<unknown>

const tableName = (name: string) => `\`${PROJECT}.${dataset}.${name}\``

/** Somebody changes tables behind the back of the batch. */
const change = (sql: string) => runSql(bigQuery, sql)

/** Says which rows of `events` are of the first frame that the first run has of the partition. */
async function firstFrameOf(partition: number): Promise<string> {
  const ofPartition = `run = 1 AND log_partition = ${partition}`
  const [first] = await answerOf(
    warehouse,
    `SELECT MIN(log_offset) AS log_offset FROM events WHERE ${ofPartition}`,
  )
  return `${ofPartition} AND log_offset = ${Number(first?.['log_offset'])}`
}

function withoutRun(of: Record<string, readonly Row[]>): Record<string, readonly Row[]> {
  const entries = Object.entries(of).map(([name, rows]) => [
    name,
    FACTS.includes(name) ? rows.map(({ run: _run, ...row }) => row) : rows,
  ])
  return Object.fromEntries(entries) as Record<string, readonly Row[]>
}

/** Files and manifest are there, and BigQuery refuses to load them. */
async function expectRefused(run: Run): Promise<void> {
  const effect = { kind: 'refused', status: 403, reason: 'accessDenied' } as const
  const onStep = (step: string) => {
    if (step === 'load') bigQuery.proxy.inject({ effect })
  }
  await expect(run({ onStep })).rejects.toMatchObject({
    code: 'WAREHOUSE_NOT_AUTHORIZED',
    detail: expect.stringContaining('bigquery.jobs.create') as string,
  })
  bigQuery.proxy.heal()
}

/** A file that the run has made is gone when it is to be loaded, and comes back from a copy. */
async function expectMissed(run: Run): Promise<void> {
  const made = await objects.list('batch/runs/', { limit: 1_000 })
  const name = made.find((one) => one.name.endsWith('.parquet'))?.name ?? ''
  const bytes = (await objects.read(name))?.bytes ?? Buffer.of()
  await objects.delete(name)
  await expect(run()).rejects.toMatchObject({
    code: 'WAREHOUSE_FILE_MISSING',
    detail: expect.stringContaining(name) as string,
  })
  await objects.create(name, bytes)
}

/** What the command says of the cloud and of the folder, where it must end well. */
async function onBoth(line: string): Promise<readonly Record<string, unknown>[]> {
  const said: Record<string, unknown>[] = []
  for (const commands of [onCloud, inFolder]) {
    const { code, found } = await commands.json(line)
    expect({ line, code, found }).toMatchObject({ code: 0 })
    said.push(found)
  }
  return said
}

async function answerOf(from: Warehouse, sql: string): Promise<readonly Row[]> {
  const session = await from.open()
  try {
    return await session.query({ sql }, LIMITS)
  } finally {
    await session.close()
  }
}

function isJob({ method, url }: ApiRequest): boolean {
  return method === 'POST' && /\/(?:jobs|queries)$/.test(url.pathname)
}

function printed(_: string, value: unknown): unknown {
  return typeof value === 'bigint' ? `${value}` : value
}
