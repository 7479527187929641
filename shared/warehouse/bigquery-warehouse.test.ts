/** The warehouse on BigQuery before a server that answers what a test says. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ApiProxy, apiError, type ApiAnswer } from '../../scripts/services/api-proxy.ts'
import { openDataset } from './testing/bigquery-dataset.ts'

const place = { dataset: 'd', bucket: 'b' }

describe('the warehouse on BigQuery', () => {
  let server: ApiProxy
  /** Statements that were asked for, in order. */
  let asked: string[]
  let answerTo: (sql: string) => ApiAnswer | Promise<ApiAnswer>

  beforeEach(async () => {
    asked = []
    answerTo = (sql) =>
      sql.includes('now_us') ? rowsOf({ now_us: '1795684484123456' }) : rowsOf({})
    server = await ApiProxy.start({
      targetPort: 0,
      rule({ method, url, body }) {
        if (method === 'GET' && url.pathname.endsWith('/datasets/d')) return ok({})
        if (method !== 'POST') return Promise.resolve(apiError(404, 'notFound'))
        const { query } = JSON.parse(body.toString()) as { query: string }
        asked.push(query)
        return Promise.resolve(answerTo(query))
      },
    })
  })
  afterEach(() => server.stop())

  const open = () => openDataset({ endpoint: `http://127.0.0.1:${server.port}` }, place)

  it('reads versions of tables as of the moment of the session, and no younger ones', async () => {
    const warehouse = await open()
    const session = await warehouse.open()
    expect(session.tables).toEqual([])
    expect(asked).toHaveLength(2)
    expect(asked[0]).toContain('CURRENT_TIMESTAMP()')
    expect(asked[1]).toContain(
      `\`local.d.warehouse_tables\` FOR SYSTEM_TIME AS OF TIMESTAMP '2026-11-26 09:14:44.123456+00:00'`,
    )
    await warehouse.close()
  })
})

function rowsOf(row: Readonly<Record<string, string>>): ApiAnswer {
  const names = Object.keys(row)
  return answer({
    jobComplete: true,
    schema: { fields: names.map((name) => ({ name, type: 'INT64' })) },
    rows: names.length === 0 ? [] : [{ f: Object.values(row).map((v) => ({ v })) }],
    totalRows: names.length === 0 ? '0' : '1',
  })
}

function ok(value: object): Promise<ApiAnswer> {
  return Promise.resolve(answer(value))
}

function answer(value: object): ApiAnswer {
  const headers = { 'content-type': 'application/json' }
  return { status: 200, headers, body: Buffer.from(JSON.stringify(value)) }
}
