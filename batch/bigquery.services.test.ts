/**
 * The batch over GCS and BigQuery, by what is asked of it from outside: runs that are cut off, and then
 * the operators' commands, one after another on one log. The same is done to files and DuckDB in a folder,
 * and both sides end with the same rows; only the live rows are shared.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import type { ApiRequest } from '../scripts/services/api-proxy.ts'
import type { ApiServer } from '../scripts/services/api-server.ts'
import { startBigQuery } from '../scripts/services/bigquery.ts'
import { BYTES_OF_A_TABLE } from '../scripts/services/bigquery/proxy/dry-run.ts'
import { startGcs, type Gcs } from '../scripts/services/gcs.ts'
import type { ObjectStore } from '../shared/objects/object-store.ts'
import { bucketEnvironment, freshBucket, openBucket } from '../shared/objects/testing/gcs-bucket.ts'
import { ArmedFailpoints, type FailpointName } from '../shared/runtime/failpoints.ts'
import { allTables } from '../shared/warehouse/tables.ts'
import {
  datasetEnvironment,
  freshDatasets,
  openDataset,
} from '../shared/warehouse/testing/bigquery-dataset.ts'
import type { Row, Warehouse, WarehouseEstimate } from '../shared/warehouse/warehouse.ts'
import type { RunOptions } from './run.ts'
import { analystsStatements } from './testing/analysts-statements.ts'
import { PARTITIONS, tablesOf } from './testing/batch-machine.ts'
import { CommandsOn } from './testing/commands-on.ts'
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
import { fillLog } from './testing/scenario.ts'

const LIMITS = { maxRows: 10_000, timeoutMs: 120_000 }
/** The whole of a run is some hundred statements, each a job. */
const RUN_MAX_MS = 300_000
const START_MS = Date.parse('2026-03-01T00:00:00Z')
const DAY_MS = 86_400_000
/** Of a run that settles late copies, all sessions at once; each further group of them adds some fifty. */
const JOBS_MAX = 330
/** More groups than one would be asked for, where this process computed. */
const GROUPS = { BATCH_FACT_BUCKETS: '16' }
/** Between loads, between writes of tables, before control rows, and when these are written. */
const CUT_OFF: readonly FailpointName[] = [
  'batch.afterSomeLoads',
  'batch.afterSomeInserts',
  'batch.afterReport',
  'batch.afterControlRows',
]

vi.setConfig({ testTimeout: RUN_MAX_MS })

let gcs: Gcs
let bigQuery: ApiServer
let folder: string
let opened: EraseMachine
let objects: ObjectStore
let warehouse: Warehouse
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
  const place = { bucket: await freshBucket(gcs), dataset: await freshDatasets(bigQuery) }
  objects = await openBucket(gcs, place.bucket)
  warehouse = await openDataset(bigQuery, place)
  folder = await mkdtemp(join(tmpdir(), 'backhaul-bigquery-'))
  await writeFile(join(folder, 'format.json'), '{"format":1}\n')
  opened = await openEraseMachine(folder, START_MS)
  const { machine, clock } = opened
  await watch(opened, 0)
  await fillLog({ log: machine.ports.log, clock, partitions: PARTITIONS, seed: 3, turns: 20 })
  const settings = { BACKHAUL_PSEUDONYM_KEYS: ERASE_KEYRING }
  const cloud = {
    ...bucketEnvironment(gcs, place.bucket),
    ...datasetEnvironment(bigQuery, place.dataset),
    ...GROUPS,
  }
  // After the second run, when nothing more is appended.
  const commandsAt = new ImpatientClock(START_MS + 2 * DAY_MS)
  onCloud = new CommandsOn(folder, commandsAt, { ...settings, ...cloud })
  inFolder = new CommandsOn(folder, commandsAt, settings)
}, RUN_MAX_MS)
afterAll(async () => {
  await warehouse.close()
  await objects.close()
  await rm(folder, { recursive: true, force: true })
  await bigQuery.stop()
  await gcs.stop()
})

it('a run ends with the tables of DuckDB, though it is refused, misses a file and is cut off on the way', async () => {
  const { machine } = opened
  await warehouse.ensureTables(allTables)
  const failpoints = new ArmedFailpoints()
  const wrap = () => ({ log: machine.ports.log, objects, warehouse })
  const run = (options: RunOptions = {}) =>
    machine.batch({ wrap, failpoints, settings: GROUPS }).run(options)
  await expectRefused(run)
  await expectMissed(run)
  for (const name of CUT_OFF) {
    failpoints.arm(name, () => {
      failpoints.arm(name, undefined)
      throw new Error(name)
    })
    await expect(run()).rejects.toThrow(name)
  }
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
