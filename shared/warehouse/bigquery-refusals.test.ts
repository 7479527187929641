/** What BigQuery may answer to each kind of request, and what an operator is told: the resource, and what mends it. */
import { afterEach, beforeEach, expect, it } from 'vitest'
import { ApiProxy, apiError, type ApiAnswer } from '../../scripts/services/api-proxy.ts'
import { ManualClock } from '../runtime/clock.ts'
import { readConfig } from '../runtime/config.ts'
import { systemRandom } from '../runtime/random.ts'
import { bigQueryConfig } from './bigquery-config.ts'
import { REQUEST_ATTEMPTS_MAX } from './bigquery-limits.ts'
import { openBigQueryWarehouse } from './bigquery-warehouse.ts'
import { nullable } from './table-spec.ts'
import { datasetEnvironment } from './testing/bigquery-dataset.ts'
import type { Warehouse, WarehouseSession } from './warehouse.ts'

const PLAYS = {
  name: 'plays',
  description: 'Plays of a test.',
  columns: [nullable('day', 'DATE', 'UTC day.'), nullable('n', 'INT64', 'A count.')],
  partitionColumn: 'day',
  key: ['n'],
  clusterColumns: [],
}

/** Delays between tries pass at once. */
class HastyClock extends ManualClock {
  override sleep(delayMs: number): Promise<void> {
    return this.advance(delayMs)
  }
}

let server: ApiProxy
let warehouse: Warehouse
let session: WarehouseSession
let refusal: ApiAnswer | undefined
let tries: number

beforeEach(async () => {
  refusal = undefined
  tries = 0
  server = await ApiProxy.start({
    targetPort: 0,
    rule({ body }) {
      if (refusal === undefined) return Promise.resolve(fine(body.includes('now_us')))
      tries += 1
      return Promise.resolve(refusal)
    },
  })
  const endpoint = `http://127.0.0.1:${server.port}`
  const config = readConfig(bigQueryConfig, datasetEnvironment({ endpoint }, 'd'), () => '')
  const clock = new HastyClock()
  warehouse = await openBigQueryWarehouse({ config, bucket: 'b', clock, random: systemRandom })
  session = await warehouse.open()
})
afterEach(async () => {
  refusal = undefined
  await warehouse.close()
  await server.stop()
})

const QUERY = { sql: 'SELECT 1 AS n' }
/** Each with what its errors name, and what it takes to be allowed it. */
const REQUESTS: readonly (readonly [string, string, () => Promise<unknown>])[] = [
  [
    'local.d',
    'bigquery.jobs.create and .tables.getData on local.d',
    () => session.query(QUERY, { maxRows: 1, timeoutMs: 60_000 }),
  ],
  [
    'local.d_staging.load_',
    'bigquery.jobs.create on the project local',
    () =>
      session.load({ scratch: 's', objects: ['a.parquet'], columns: PLAYS.columns, jobId: 'l' }),
  ],
  [
    'local.d_staging.s_',
    'bigquery.jobs.create on the project local',
    () => session.scratch('work', QUERY),
  ],
  ['local.d', 'bigquery.datasets.get on local.d', () => warehouse.ensureTables([PLAYS])],
]

it.each([
  [401, 'authError', 'Invalid Credentials', 'WAREHOUSE_CREDENTIALS_REFUSED', 'gcloud auth'],
  [403, 'accessDenied', 'Access Denied', 'WAREHOUSE_NOT_AUTHORIZED', 'add-iam-policy-binding'],
  [404, 'notFound', 'Not found: Dataset local:d', 'WAREHOUSE_DATASET_MISSING', 'init gcp'],
  [403, 'quotaExceeded', 'Quota exceeded', 'WAREHOUSE_UNAVAILABLE', 'safe to repeat'],
  [429, 'rateLimitExceeded', 'Too many', 'WAREHOUSE_UNAVAILABLE', 'safe to repeat'],
  [503, 'backendError', 'Later', 'WAREHOUSE_UNAVAILABLE', 'safe to repeat'],
])('%i %s names the resource and what mends it', async (...answer) => {
  const [status, reason, message, code, mends] = answer
  refusal = apiError(status, reason, message)
  for (const [resource, permission, request] of REQUESTS) {
    tries = 0
    const isPassing = code === 'WAREHOUSE_UNAVAILABLE'
    await expect(request()).rejects.toMatchObject({
      code,
      detail: expect.stringContaining(
        code === 'WAREHOUSE_NOT_AUTHORIZED' ? permission : resource,
      ) as string,
      spec: { action: expect.stringContaining(mends) as string, retryable: isPassing },
    })
    expect(tries).toBe(isPassing ? REQUEST_ATTEMPTS_MAX : 1)
  }
})

function fine(isMoment: boolean): ApiAnswer {
  const answer = {
    schema: { fields: isMoment ? [{ name: 'now_us', type: 'INTEGER' }] : [] },
    rows: isMoment ? [{ f: [{ v: '1795684484123456' }] }] : [],
  }
  const headers = { 'content-type': 'application/json' }
  return { status: 200, headers, body: Buffer.from(JSON.stringify(answer)) }
}
