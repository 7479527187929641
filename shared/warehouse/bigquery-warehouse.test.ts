/** The warehouse on BigQuery before a server that answers what a test says. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import {
  ApiProxy,
  apiError,
  type ApiAnswer,
  type ApiRequest,
} from '../../scripts/services/api-proxy.ts'
import { systemClock } from '../runtime/clock.ts'
import { LOAD_KEEP_MS, SESSION_MAX_MS } from './bigquery-limits.ts'
import { nullable } from './table-spec.ts'
import { openDataset } from './testing/bigquery-dataset.ts'

const HOUR_MS = 3_600_000
const place = { dataset: 'd', bucket: 'b' }
const nothing = answerOf({ jobComplete: true, schema: { fields: [] }, rows: [] })
const moment = answerOf({
  jobComplete: true,
  schema: { fields: [{ name: 'now_us', type: 'INTEGER' }] },
  rows: [{ f: [{ v: '1795684484123456' }] }],
})

interface Body {
  readonly query?: string
  readonly jobReference?: { readonly jobId: string }
  readonly expirationTime?: string
}

describe('the warehouse on BigQuery', () => {
  let server: ApiProxy
  /** Requests but those for datasets, in order. */
  let asked: ApiRequest[]
  let answerTo: (request: ApiRequest) => ApiAnswer | Promise<ApiAnswer>

  beforeEach(async () => {
    asked = []
    answerTo = () => apiError(404, 'notFound')
    server = await ApiProxy.start({
      targetPort: 0,
      async rule(request) {
        if (/\/datasets\/\w+$/.test(request.url.pathname)) return answerOf({})
        asked.push(request)
        const { query = '' } = bodyOf(request)
        if (query.includes('now_us')) return moment
        return query.includes('warehouse_tables') ? nothing : answerTo(request)
      },
    })
  })
  afterEach(() => server.stop())

  const opened = () => openDataset({ endpoint: `http://127.0.0.1:${server.port}` }, place)

  it('reads versions of tables as of the moment of the session, and no younger ones', async () => {
    const warehouse = await opened()
    await warehouse.open()
    expect(asked.map((request) => bodyOf(request).query)[1]).toContain(
      `\`local.d.warehouse_tables\` FOR SYSTEM_TIME AS OF TIMESTAMP '2026-11-26 09:14:44.123456+00:00'`,
    )
    await warehouse.close()
  })

  it('gives up what a session has under way when it closes, and drops its tables', async () => {
    const running = answerOf({ status: { state: 'RUNNING' } })
    answerTo = ({ method }) => (method === 'DELETE' ? answerOf({}) : running)
    const warehouse = await opened()
    const session = await warehouse.open()
    const given = Promise.allSettled([session.scratch('work', { sql: 'SELECT 1 AS n' })])
    await expect.poll(() => asked.at(-1)?.url.pathname).toMatch(/\/jobs\/backhaul-scratch-/)
    await session.close()
    expect(await given).toMatchObject([{ reason: { code: 'WAREHOUSE_CLOSED' } }])
    expect(asked.some(({ method }) => method === 'DELETE')).toBe(true)
    await expect
      .poll(() => asked.map(({ url }) => url.pathname))
      .toContainEqual(expect.stringMatching(/\/jobs\/backhaul-scratch-\S+-1\/cancel$/))
    await warehouse.close()
  })

  // A request that is not answered fails after a minute by itself.
  it('closes a session though BigQuery answers nothing any more', { timeout: 30_000 }, async () => {
    const warehouse = await opened()
    const session = await warehouse.open()
    answerTo = () => new Promise(() => undefined)
    const given = Promise.allSettled([session.scratch('work', { sql: 'SELECT 1 AS n' })])
    await expect.poll(() => asked.at(-1)?.url.pathname).toMatch(/\/jobs$/)
    await session.close()
    expect(await given).toMatchObject([{ reason: { code: 'WAREHOUSE_CLOSED' } }])
    expect(asked.at(-1)?.method).toBe('DELETE')
    await warehouse.close()
  })

  it('gives up what it has under way when it closes', async () => {
    answerTo = () => new Promise(() => undefined)
    const warehouse = await opened()
    const session = await warehouse.open()
    const query = { sql: 'SELECT 1 AS n' }
    const given = Promise.allSettled([
      session.query(query, { maxRows: 1, timeoutMs: HOUR_MS }),
      session.columns(query),
      warehouse.ensureTables([]),
    ])
    await expect.poll(() => asked.length).toBeGreaterThan(4)
    await warehouse.close()
    const closed = { reason: { code: 'WAREHOUSE_CLOSED' } }
    expect(await given).toMatchObject([closed, closed, closed])
    await expect(warehouse.open()).rejects.toMatchObject({ code: 'WAREHOUSE_CLOSED' })
  })

  describe('a load that was done before', () => {
    const columns = [nullable('id', 'STRING', 'Id.')]
    const done = { status: { state: 'DONE' }, statistics: { load: { outputRows: '3' } } }

    /** Loads, the job's first id being known; resolves with what is asked of the table. */
    async function load(table: ApiAnswer, patched: ApiAnswer): Promise<readonly string[]> {
      answerTo = (request) => {
        if (request.method === 'PATCH') return patched
        if (request.url.pathname.includes('/tables/')) return table
        const isFirst = bodyOf(request).jobReference?.jobId.endsWith('-1')
        return isFirst ? apiError(409, 'duplicate') : answerOf(done)
      }
      const warehouse = await opened()
      const session = await warehouse.open()
      const request = { scratch: 'staged', objects: ['a.parquet'], columns, jobId: 'load' }
      expect(await session.load(request)).toEqual({ jobId: 'load', rows: 3 })
      await warehouse.close()
      return asked.map(({ method, url }) => `${method} ${url.pathname.split('/')[5]}`)
    }
    const expiring = (inMs: number) =>
      answerOf({ etag: 'tag', expirationTime: `${systemClock.nowMs() + inMs}` })

    it('is kept for as long as the session may last', async () => {
      const sinceMs = systemClock.nowMs()
      expect(await load(expiring(HOUR_MS), answerOf({}))).toContain('PATCH datasets')
      const patch = asked.find(({ method }) => method === 'PATCH')
      expect(patch?.headers['if-match']).toBe('tag')
      const { expirationTime } = bodyOf(patch)
      expect(Number(expirationTime)).toBeGreaterThan(sinceMs + SESSION_MAX_MS)
    })

    it('is left alone where it stays long enough', async () => {
      expect(await load(answerOf({ etag: 'tag' }), answerOf({}))).not.toContain('PATCH datasets')
      asked = []
      const patches = await load(expiring(LOAD_KEEP_MS + HOUR_MS), answerOf({}))
      expect(patches).not.toContain('PATCH datasets')
    })

    it('stands when another session keeps it at the same time', async () => {
      const asked = await load(expiring(HOUR_MS), apiError(412, 'conditionNotMet'))
      expect(asked.filter((request) => request === 'POST jobs')).toHaveLength(1)
    })

    it('is done again when its table has expired, though it be while it is kept', async () => {
      const gone = apiError(404, 'notFound')
      for (const table of [gone, expiring(HOUR_MS)]) {
        asked = []
        const requests = await load(table, gone)
        expect(requests.filter((request) => request === 'POST jobs')).toHaveLength(2)
      }
    })
  })
})

function bodyOf(request: ApiRequest | undefined): Body {
  return JSON.parse(request?.body.toString() || '{}') as Body
}

function answerOf(value: object): ApiAnswer {
  const headers = { 'content-type': 'application/json' }
  return { status: 200, headers, body: Buffer.from(JSON.stringify(value)) }
}
