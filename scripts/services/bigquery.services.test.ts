/** What the proxy before the stand-in for BigQuery puts right. */
import { randomUUID } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { ApiServer } from './api-server.ts'
import { PROJECT, startBigQuery } from './bigquery.ts'

const BUCKET = 'files'
const SCHEMA = [
  { name: 'id', type: 'STRING', mode: 'REQUIRED' },
  { name: 'n', type: 'INT64', mode: 'NULLABLE' },
]

interface Answer {
  readonly status: number
  readonly body: {
    readonly error?: { readonly message: string; readonly errors: readonly { reason: string }[] }
    readonly status?: {
      readonly state: string
      readonly errorResult?: { readonly message: string }
    }
    readonly totalRows?: string
    readonly rows?: readonly { readonly f: readonly { readonly v: unknown }[] }[]
  }
}

let objectsFolder: string
let server: ApiServer

beforeAll(async () => {
  objectsFolder = mkdtempSync(join(tmpdir(), 'backhaul-bigquery-objects-'))
  mkdirSync(join(objectsFolder, BUCKET))
  server = await startBigQuery({ objectsFolder })
  const dataset = { datasetReference: { projectId: PROJECT, datasetId: 'd' } }
  const { status } = await ask('POST', 'datasets', dataset)
  if (status !== 200) throw new Error(`the dataset was not created: ${status}`)
})
afterEach(() => server.proxy.heal())
afterAll(async () => {
  await server.stop()
  rmSync(objectsFolder, { recursive: true })
})

async function ask(method: 'GET' | 'POST', path: string, body?: object): Promise<Answer> {
  const answer = await fetch(`${server.endpoint}/bigquery/v2/projects/${PROJECT}/${path}`, {
    method,
    headers: { 'content-type': 'application/json' },
    ...(body && { body: JSON.stringify(body) }),
  })
  return { status: answer.status, body: (await answer.json()) as Answer['body'] }
}

const query = (sql: string) => ask('POST', 'queries', { query: sql, useLegacySql: false })

/** Asks for a load that replaces the rows of a table by those of an object. */
function load(object: string, table: string, more: { jobId?: string; schema?: object[] } = {}) {
  const { jobId = randomUUID(), schema = SCHEMA } = more
  return ask('POST', 'jobs', {
    jobReference: { projectId: PROJECT, jobId },
    configuration: {
      load: {
        sourceUris: [`gs://${BUCKET}/${object}`],
        sourceFormat: object.endsWith('.parquet') ? 'PARQUET' : 'NEWLINE_DELIMITED_JSON',
        writeDisposition: 'WRITE_TRUNCATE',
        schema: { fields: schema },
        destinationTable: { projectId: PROJECT, datasetId: 'd', tableId: table },
      },
    },
  })
}

function stageLines(object: string, rows: readonly object[]): void {
  const lines = rows.map((row) => `${JSON.stringify(row)}\n`)
  writeFileSync(join(objectsFolder, BUCKET, object), lines.join(''))
}

async function stageParquet(object: string, select: string): Promise<void> {
  const instance = await DuckDBInstance.create(':memory:')
  const connection = await instance.connect()
  await connection.run(`COPY (${select}) TO '${join(objectsFolder, BUCKET, object)}'`)
  connection.closeSync()
  instance.closeSync()
}

async function rowsOf(table: string): Promise<unknown[][]> {
  const { body } = await query(`SELECT id, n FROM d.${table} ORDER BY id`)
  return (body.rows ?? []).map(({ f }) => f.map(({ v }) => v))
}

describe('a job id', () => {
  it('is used once: the second insert is answered 409, and runs nothing', async () => {
    stageLines('one.ndjson', [{ id: 'a', n: 1 }])
    const jobId = randomUUID()
    expect(await load('one.ndjson', 'once', { jobId })).toMatchObject({ status: 200 })
    stageLines('one.ndjson', [{ id: 'b', n: 2 }])
    const again = await load('one.ndjson', 'once', { jobId })
    expect(again).toMatchObject({
      status: 409,
      body: { error: { errors: [{ reason: 'duplicate' }] } },
    })
    expect(await rowsOf('once')).toEqual([['a', '1']])
    expect(await ask('GET', `jobs/${jobId}`)).toMatchObject({ body: { status: { state: 'DONE' } } })
  })

  it('is used once also by two inserts at the same time', async () => {
    stageLines('race.ndjson', [{ id: 'a' }])
    const jobId = randomUUID()
    const both = [1, 2].map(() => load('race.ndjson', 'race', { jobId }))
    const statuses = (await Promise.all(both)).map(({ status }) => status)
    expect(statuses.toSorted((a, b) => a - b)).toEqual([200, 409])
  })

  it('of an insert whose answer is lost is known all the same', async () => {
    stageLines('lost.ndjson', [{ id: 'a' }])
    const jobId = randomUUID()
    server.proxy.inject({ times: 1, effect: { kind: 'answerLost' } })
    await expect(load('lost.ndjson', 'lost', { jobId })).rejects.toThrow('fetch failed')
    expect(await load('lost.ndjson', 'lost', { jobId })).toMatchObject({ status: 409 })
    expect(await rowsOf('lost')).toEqual([['a', null]])
  })
})

describe('a statement', () => {
  it.each([
    ['SELEC 1', 400, 'invalidQuery'],
    ['SELECT * FROM d.nope', 404, 'notFound'],
  ])('that fails is answered so: %s', async (sql, status, reason) => {
    expect(await query(sql)).toMatchObject({ status, body: { error: { errors: [{ reason }] } } })
    const jobId = randomUUID()
    const configuration = { query: { query: sql, useLegacySql: false } }
    const inserted = await ask('POST', 'jobs', { jobReference: { jobId }, configuration })
    expect(inserted).toMatchObject({ body: { status: { errorResult: { reason } } } })
    expect(await ask('GET', `queries/${jobId}`)).toMatchObject({ status })
  })

  it('that merges is answered with its rows', async () => {
    stageLines('merge.ndjson', [{ id: 'a', n: 1 }])
    await load('merge.ndjson', 'merged')
    await query(
      `MERGE d.merged AS t USING (SELECT 'a' AS id, 2 AS n UNION ALL SELECT 'b', 3) AS s ON t.id = s.id
       WHEN NOT MATCHED THEN INSERT (id, n) VALUES (s.id, s.n)`,
    )
    expect(await rowsOf('merged')).toEqual([
      ['a', '1'],
      ['b', '3'],
    ])
  })
})

describe('a load', () => {
  const failed = (message: string) => ({
    status: 200,
    body: {
      status: {
        state: 'DONE',
        errorResult: { reason: 'invalid', message: expect.stringContaining(message) as string },
      },
    },
  })

  it.each([
    ['without a required value', [{ id: 'a' }, { n: 2 }], 'Missing required field: id.'],
    ['without a required field', [{ n: 2 }], 'Missing required field: id.'],
    ['with an unknown field', [{ id: 'a' }, { id: 'b', m: 1 }], 'No such field: m.'],
  ])('of lines %s is a job that failed, and leaves the table', async (_, rows, message) => {
    stageLines('good.ndjson', [{ id: 'good', n: 1 }])
    await load('good.ndjson', 'checked')
    stageLines('bad.ndjson', rows)
    const jobId = randomUUID()
    expect(await load('bad.ndjson', 'checked', { jobId })).toMatchObject(failed(message))
    expect(await ask('GET', `jobs/${jobId}`)).toMatchObject(failed(message))
    expect(await load('bad.ndjson', 'checked', { jobId })).toMatchObject({ status: 409 })
    expect(await rowsOf('checked')).toEqual([['good', '1']])
  })

  it.each([
    ['as in the schema', `SELECT 'a' AS id, 1::BIGINT AS n`, ['a', '1']],
    ['otherwise', `SELECT 1::BIGINT AS n, 'a' AS id`, ['a', '1']],
    ['in part', `SELECT 'a' AS id`, ['a', null]],
  ])('takes Parquet by the names of its columns, which stand %s', async (_, select, row) => {
    await stageParquet('good.parquet', select)
    expect(await load('good.parquet', 'parquet')).toMatchObject({ status: 200 })
    expect(await rowsOf('parquet')).toEqual([row])
  })

  it('of a file that is not there, or is no Parquet, is a job that failed', async () => {
    writeFileSync(join(objectsFolder, BUCKET, 'bad.parquet'), 'no Parquet at all')
    const reasonOf = async (object: string) => (await load(object, 'parquet')).body.status
    expect(await reasonOf('none.parquet')).toMatchObject({ errorResult: { reason: 'notFound' } })
    expect(await reasonOf('bad.parquet')).toMatchObject({ errorResult: { reason: 'invalid' } })
  })

  it.each([
    ['null', `SELECT NULL::VARCHAR AS id, 1::BIGINT AS n`, 'Missing required field: id.'],
    ['unknown', `SELECT 'a' AS id, 1::BIGINT AS n, 2 AS m`, 'No such field: m.'],
    ['of another type', `SELECT 'a' AS id, 'x' AS n`, `Parquet column 'n' has type VARCHAR`],
  ])('refuses Parquet with a column that is %s', async (name, select, message) => {
    await stageParquet(`${name}.parquet`, select)
    expect(await load(`${name}.parquet`, 'parquet')).toMatchObject(failed(message))
  })
})

describe('a table', () => {
  const at = (moment: string) =>
    query(
      `SELECT id FROM (SELECT * FROM \`${PROJECT}.d.kept\` FOR SYSTEM_TIME AS OF TIMESTAMP '${moment}') AS t`,
    )

  it('shows its past from its beginning, and through scripts', async () => {
    const tableReference = { projectId: PROJECT, datasetId: 'd', tableId: 'kept' }
    await ask('POST', 'datasets/d/tables', { tableReference, schema: { fields: SCHEMA } })
    const empty = new Date().toISOString()
    const script = `BEGIN TRANSACTION; INSERT INTO \`${PROJECT}.d.kept\` (id) SELECT 'a'; COMMIT TRANSACTION;`
    const jobId = randomUUID()
    const configuration = { query: { query: script, useLegacySql: false } }
    await ask('POST', 'jobs', { jobReference: { jobId }, configuration })
    const written = new Date().toISOString()
    await query(`DELETE FROM \`${PROJECT}.d.kept\` WHERE TRUE`)
    expect((await at(empty)).body.rows).toEqual([])
    expect((await at(written)).body.rows).toHaveLength(1)
  })
})
