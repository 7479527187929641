/** The warehouse on a server that speaks the API of BigQuery: its contract, then what may befall it. */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { ApiRequest } from '../../scripts/services/api-proxy.ts'
import type { ApiServer } from '../../scripts/services/api-server.ts'
import { PROJECT, startBigQuery } from '../../scripts/services/bigquery.ts'
import { startGcs, type Gcs } from '../../scripts/services/gcs.ts'
import type { ObjectStore } from '../objects/object-store.ts'
import { freshBucket, openBucket } from '../objects/testing/gcs-bucket.ts'
import { nullable } from './table-spec.ts'
import { freshDatasets, openDataset, runSql } from './testing/bigquery-dataset.ts'
import type { Warehouse, WarehouseSession } from './warehouse.ts'
import {
  describeWarehouse,
  LIMITS,
  plays,
  playsOf,
  selectOf,
  type WarehouseHarness,
} from './warehouse.contract.ts'

let gcs: Gcs
let bigQuery: ApiServer

beforeAll(async () => {
  gcs = await startGcs()
  bigQuery = await startBigQuery({ objectsFolder: gcs.objectsFolder })
})
afterAll(async () => {
  await bigQuery.stop()
  await gcs.stop()
})

describeWarehouse('the warehouse on BigQuery', async (): Promise<WarehouseHarness> => {
  const bucket = await freshBucket(gcs)
  const store = await openBucket(gcs, bucket)
  const dataset = await freshDatasets(bigQuery)
  return {
    open: () => openDataset(bigQuery, { dataset, bucket }),
    stage: (object, sql) => stageParquet(store, object, sql),
    async put(object, bytes) {
      await store.create(object, bytes)
    },
    dispose: () => store.close(),
  }
})

describe('the warehouse on BigQuery', () => {
  const DAY = '2026-03-01'
  const COLUMNS = [nullable('id', 'STRING', 'Id.'), nullable('n', 'INT64', 'Count.')]
  let store: ObjectStore
  let place: Opened['place']
  let warehouse: Warehouse
  let session: WarehouseSession
  /** Ids of the jobs that were asked for, in order. */
  let inserted: string[]

  beforeEach(async () => {
    const opened = await openAnew()
    ;({ store, place, warehouse, session } = opened)
    inserted = []
    bigQuery.proxy.inject({
      to(request) {
        if (isInsert(request)) inserted.push(jobIdOf(request))
        return false
      },
      effect: { kind: 'swallowed' },
    })
    return async () => {
      bigQuery.proxy.heal()
      await opened.close()
    }
  })

  const reopened = () => openDataset(bigQuery, place)
  const load = (objects: readonly string[]) =>
    session.load({ scratch: 'staged', objects, columns: COLUMNS, jobId: 'load' })
  const staged = () => session.query({ sql: 'SELECT id, n FROM staged ORDER BY id' }, LIMITS)
  const insert = (id: string, jobId: string, into = session) =>
    into.insertMissing({
      table: 'plays',
      select: selectOf([{ day: DAY, id }]),
      key: plays.key,
      dates: [DAY],
      jobId,
    })
  const attempts = (kind: string) =>
    inserted.filter((id) => id.startsWith(`backhaul-${kind}-`)).map((id) => id.split('-').at(-1))

  it('loads each row once though the answer to the load is lost, also for a later process', async () => {
    await stageParquet(store, 'a.parquet', `SELECT 'a' AS id, 1::BIGINT AS n`)
    bigQuery.proxy.inject({ to: isInsert, times: 1, effect: { kind: 'answerLost' } })
    expect(await load(['a.parquet'])).toEqual({ jobId: 'load', rows: 1 })
    expect(await staged()).toEqual([{ id: 'a', n: 1n }])
    const later = await reopened()
    session = await later.open()
    expect(await load(['a.parquet'])).toEqual({ jobId: 'load', rows: 1 })
    expect(await staged()).toEqual([{ id: 'a', n: 1n }])
    expect(attempts('load')).toEqual(['1', '1', '1'])
    expect(new Set(inserted.filter((id) => id.startsWith('backhaul-load-'))).size).toBe(1)
    await later.close()
  })

  it('takes a new id for a load only when the one before has failed for good', async () => {
    await store.create('b.parquet', Buffer.from('no Parquet at all'))
    await expect(load(['b.parquet'])).rejects.toMatchObject({ code: 'WAREHOUSE_FILE_DAMAGED' })
    expect(await store.stat('b.parquet')).toBeDefined()
    await store.delete('b.parquet')
    await stageParquet(store, 'b.parquet', `SELECT 'b' AS id, 2::BIGINT AS n`)
    expect(await load(['b.parquet'])).toEqual({ jobId: 'load', rows: 1 })
    expect(attempts('load')).toEqual(['1', '1', '2'])
  })

  it('loads each row once though a job has failed after it had loaded', async () => {
    await stageParquet(store, 'c.parquet', `SELECT 'c' AS id, 3::BIGINT AS n`)
    bigQuery.proxy.inject({ to: isInsert, times: 1, effect: { kind: 'answerLost' } })
    bigQuery.proxy.inject({ to: isInsert, times: 1, effect: failedAfterwards })
    expect(await load(['c.parquet'])).toEqual({ jobId: 'load', rows: 1 })
    expect(await staged()).toEqual([{ id: 'c', n: 3n }])
    expect(attempts('load')).toEqual(['1', '1', '2'])
  })

  it('writes once though the answer to the write is lost, and changes nothing when it is repeated', async () => {
    bigQuery.proxy.inject({ to: isWrite, times: 1, effect: { kind: 'answerLost' } })
    expect(await insert('a', 'first')).toBe(1)
    expect(await playsOf(session)).toEqual([`${DAY} a - -`])
    expect(attempts('write')).toEqual(['1', '1'])
    expect(await insert('a', 'second')).toBe(0)
    expect(attempts('write')).toHaveLength(2)
  })

  it('finds what a writer did that was killed before it knew', async () => {
    bigQuery.proxy.inject({ to: isWrite, times: 1, effect: { kind: 'answerLost' } })
    bigQuery.proxy.inject({
      to: isWrite,
      effect: { kind: 'refused', status: 503, reason: 'backendError' },
    })
    await expect(insert('a', 'first')).rejects.toMatchObject({ code: 'WAREHOUSE_UNAVAILABLE' })
    bigQuery.proxy.heal()
    expect(await playsOf(await warehouse.open())).toEqual([`${DAY} a - -`])
    const later = await reopened()
    const again = await later.open()
    expect(await insert('a', 'first', again)).toBe(1)
    expect(await insert('b', 'next', again)).toBe(1)
    expect(await playsOf(again)).toEqual([`${DAY} a - -`, `${DAY} b - -`])
    // The one that was killed knows an older table, if it was not dead after all.
    await expect(insert('c', 'late')).rejects.toMatchObject({ code: 'WAREHOUSE_CONFLICT' })
    await later.close()
  })

  it('does not write again what was done though its job has failed', async () => {
    bigQuery.proxy.inject({ to: isWrite, times: 1, effect: { kind: 'answerLost' } })
    bigQuery.proxy.inject({ to: isWrite, times: 1, effect: failedAfterwards })
    await expect(insert('a', 'first')).rejects.toMatchObject({ code: 'WAREHOUSE_CONFLICT' })
    const again = await warehouse.open()
    expect(await insert('a', 'first', again)).toBe(1)
    expect(await playsOf(again)).toEqual([`${DAY} a - -`])
  })

  it('does not take for done what another has done that the session cannot see', async () => {
    const other = await warehouse.open()
    expect(await insert('b', 'before', other)).toBe(1)
    expect(await insert('a', 'first', other)).toBe(1)
    await expect(insert('a', 'first')).rejects.toMatchObject({ code: 'WAREHOUSE_CONFLICT' })
    expect(await playsOf(session)).toEqual([])
  })

  it('takes a table for one that two processes have entered at once', async () => {
    const catalog = `\`${PROJECT}.${place.dataset}.warehouse_tables\``
    const twice = `INSERT INTO ${catalog} SELECT name, spec, 'other', changed_at FROM ${catalog}`
    await runSql(bigQuery, twice)
    const both = await warehouse.open()
    const late = await warehouse.open()
    expect(both.tables.map(({ name }) => name)).toEqual(['plays'])
    // The first knows one of the two entries alone.
    await expect(insert('z', 'zeroth')).rejects.toMatchObject({ code: 'WAREHOUSE_CONFLICT' })
    expect(await insert('a', 'first', both)).toBe(1)
    expect(await insert('b', 'second', both)).toBe(1)
    await expect(insert('c', 'third', late)).rejects.toMatchObject({ code: 'WAREHOUSE_CONFLICT' })
    expect(await playsOf(await warehouse.open())).toEqual([`${DAY} a - -`, `${DAY} b - -`])
  })

  it('bounds what each statement may be billed for, and says what it was for', async () => {
    const asked: { labels?: object; maximumBytesBilled?: string; query?: unknown }[] = []
    bigQuery.proxy.inject({
      to(request) {
        if (request.method === 'POST') asked.push(configurationOf(request))
        return false
      },
      effect: { kind: 'swallowed' },
    })
    await insert('a', 'first')
    expect(asked.length).toBeGreaterThan(3)
    for (const { labels, ...request } of asked) {
      expect(labels).toMatchObject({ app: 'backhaul' })
      expect(JSON.stringify(request)).toContain('"maximumBytesBilled":"1099511627776"')
    }
  })
})

describe('the warehouse on BigQuery, where nothing is written', () => {
  let place: Opened['place']
  let session: WarehouseSession

  // One place does for all.
  beforeAll(async () => {
    const opened = await openAnew()
    ;({ place, session } = opened)
    return () => opened.close()
  })
  afterEach(() => bigQuery.proxy.heal())

  it('makes tables with their partitions, order, descriptions and labels', async () => {
    const path = `datasets/${place.dataset}/tables/plays`
    const answer = await fetch(`${bigQuery.endpoint}/bigquery/v2/projects/${PROJECT}/${path}`)
    expect(await answer.json()).toMatchObject({
      description: plays.description,
      labels: { app: 'backhaul' },
      timePartitioning: { type: 'DAY', field: 'day' },
      clustering: { fields: ['id'] },
      schema: {
        fields: plays.columns.map(({ name, description, required }) => ({
          name,
          description,
          mode: required ? 'REQUIRED' : 'NULLABLE',
        })),
      },
    })
  })

  it('asks again when a request is not answered in time, or is one too many', async () => {
    const hasty = await openDataset(bigQuery, place, { requestTimeoutMs: 2_000 })
    const its = await hasty.open()
    bigQuery.proxy.inject({ times: 1, effect: { kind: 'swallowed' } })
    bigQuery.proxy.inject({
      times: 1,
      effect: { kind: 'refused', status: 429, reason: 'rateLimitExceeded' },
    })
    expect(await its.query({ sql: 'SELECT 1 AS n' }, LIMITS)).toEqual([{ n: 1n }])
    await hasty.close()
  })

  it.each([
    [403, 'accessDenied', 'WAREHOUSE_NOT_AUTHORIZED', 'bigquery.jobs.create'],
    [401, 'authError', 'WAREHOUSE_CREDENTIALS_REFUSED', 'credentials that may use'],
    [400, 'bytesBilledLimitExceeded', 'WAREHOUSE_BYTES_EXCEEDED', PROJECT],
    [400, 'badRequest', 'WAREHOUSE_REQUEST_REFUSED', PROJECT],
  ])('says what %i %s asks of an operator', async (status, reason, code, named) => {
    bigQuery.proxy.inject({ effect: { kind: 'refused', status, reason } })
    const refused = session.query({ sql: 'SELECT 1 AS n' }, LIMITS)
    await expect(refused).rejects.toMatchObject({
      code,
      detail: expect.stringContaining(named) as string,
    })
  })

  it('does not open where there is no dataset, and says which command makes it', async () => {
    const nowhere = openDataset(bigQuery, { ...place, dataset: 'never_made' })
    const opened = nowhere.then((opened) => opened.ensureTables([plays]))
    await expect(opened).rejects.toMatchObject({
      code: 'WAREHOUSE_DATASET_MISSING',
      detail: expect.stringContaining('never_made') as string,
      spec: { action: expect.stringContaining('backhaul init gcp') as string },
    })
  })
})

interface Opened {
  readonly store: ObjectStore
  readonly place: { readonly dataset: string; readonly bucket: string }
  readonly warehouse: Warehouse
  readonly session: WarehouseSession
  close(): Promise<void>
}

/** A session on datasets and a bucket of its own. */
async function openAnew(): Promise<Opened> {
  const bucket = await freshBucket(gcs)
  const store = await openBucket(gcs, bucket)
  const place = { bucket, dataset: await freshDatasets(bigQuery) }
  const warehouse = await openDataset(bigQuery, place)
  await warehouse.ensureTables([plays])
  const session = await warehouse.open()
  return {
    store,
    place,
    warehouse,
    session,
    async close() {
      await warehouse.close()
      await store.close()
    },
  }
}

/** The answer of a job that was done, as far as its data go. */
const failedAfterwards = {
  kind: 'answered',
  body: Buffer.from(
    JSON.stringify({
      status: {
        state: 'DONE',
        errorResult: { reason: 'backendError', message: 'after the commit' },
      },
    }),
  ),
} as const

const isInsert = ({ method, url }: ApiRequest) =>
  method === 'POST' && url.pathname.endsWith('/jobs')
const isWrite = (request: ApiRequest) =>
  isInsert(request) && jobIdOf(request).startsWith('backhaul-write-')

function jobIdOf({ body }: ApiRequest): string {
  return (JSON.parse(body.toString()) as { jobReference: { jobId: string } }).jobReference.jobId
}

/** Of a job, or of a query, which is its own. */
function configurationOf({ body }: ApiRequest): { labels?: object } {
  const parsed = JSON.parse(body.toString()) as { configuration?: object }
  return parsed.configuration ?? parsed
}

async function stageParquet(store: ObjectStore, object: string, sql: string): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'bigquery-test-'))
  const path = join(folder, 'staged.parquet')
  const instance = await DuckDBInstance.create(':memory:')
  const connection = await instance.connect()
  await connection.run(`COPY (${sql}) TO '${path}' (FORMAT parquet)`)
  connection.closeSync()
  instance.closeSync()
  await store.create(object, await readFile(path))
  await rm(folder, { recursive: true })
}
