/** The batch over BigQuery: the tables of a run, and what analysts are answered, are those of DuckDB. */
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { ApiRequest } from '../scripts/services/api-proxy.ts'
import type { ApiServer } from '../scripts/services/api-server.ts'
import { startBigQuery } from '../scripts/services/bigquery.ts'
import { startGcs, type Gcs } from '../scripts/services/gcs.ts'
import { freshBucket, openBucket } from '../shared/objects/testing/gcs-bucket.ts'
import { ManualClock } from '../shared/runtime/clock.ts'
import { allTables } from '../shared/warehouse/tables.ts'
import { freshDatasets, openDataset } from '../shared/warehouse/testing/bigquery-dataset.ts'
import type { Row, Warehouse } from '../shared/warehouse/warehouse.ts'
import type { RunOptions } from './run.ts'
import { analystsStatements } from './testing/analysts-statements.ts'
import { BatchMachine, PARTITIONS, tablesOf, type Ports } from './testing/batch-machine.ts'
import { fillLog } from './testing/scenario.ts'

const LIMITS = { maxRows: 10_000, timeoutMs: 120_000 }
/** The whole of a run is some hundred statements, each a job. */
const RUN_MAX_MS = 300_000

let gcs: Gcs
let bigQuery: ApiServer
let machine: BatchMachine
let inCloud: Pick<Ports, 'objects' | 'warehouse'>

beforeAll(async () => {
  gcs = await startGcs()
  bigQuery = await startBigQuery({ objectsFolder: gcs.objectsFolder })
  const bucket = await freshBucket(gcs)
  const clock = new ManualClock(1_772_323_200_000)
  machine = await BatchMachine.open({ clock })
  await fillLog({ log: machine.ports.log, clock, partitions: PARTITIONS, seed: 3, turns: 20 })
  const objects = await openBucket(gcs, bucket)
  const dataset = await freshDatasets(bigQuery)
  const warehouse = await openDataset(bigQuery, { dataset, bucket })
  inCloud = { objects, warehouse }
}, RUN_MAX_MS)
afterAll(async () => {
  await inCloud.warehouse.close()
  await inCloud.objects.close()
  await machine.close()
  await bigQuery.stop()
  await gcs.stop()
})

it(
  'ends with the tables of DuckDB, though BigQuery refuses, a file is gone and answers are lost on the way',
  async () => {
    await inCloud.warehouse.ensureTables(allTables)
    await expectRunEnds('load', [403, 'accessDenied'], {
      code: 'WAREHOUSE_NOT_AUTHORIZED',
      detail: 'bigquery.jobs.create on the project local',
    })
    const { objects } = inCloud
    const parquet = (await objects.list('batch/runs/', { limit: 1_000 })).find(({ name }) =>
      name.endsWith('.parquet'),
    )
    const name = parquet?.name ?? ''
    const bytes = (await objects.read(name))?.bytes ?? Buffer.of()
    await objects.delete(name)
    const gone = { code: 'WAREHOUSE_FILE_MISSING', detail: expect.stringContaining(name) as string }
    await expect(runInCloud()).rejects.toMatchObject(gone)
    await objects.create(name, bytes)
    await expectRunEnds('facts', [401, 'authError'], {
      code: 'WAREHOUSE_CREDENTIALS_REFUSED',
      detail: 'credentials that may use',
    })
    await expectRunEnds('quality', [503, 'backendError'], {
      code: 'WAREHOUSE_UNAVAILABLE',
      detail: 'local',
    })

    const [posts, looks] = [everyNth('POST', 9), everyNth('GET', 20)]
    bigQuery.proxy.inject({ to: posts.isOne, effect: { kind: 'answerLost' } })
    const effect = { kind: 'refused', status: 429, reason: 'rateLimitExceeded' } as const
    bigQuery.proxy.inject({ to: looks.isOne, effect })
    await runInCloud()
    bigQuery.proxy.heal()
    expect(posts.count).toBeGreaterThan(20)
    await machine.run()
    expect(await tablesOf(inCloud.warehouse)).toEqual(await machine.tables())
  },
  RUN_MAX_MS,
)

it(
  'answers the questions of analysts as DuckDB does',
  async () => {
    for (const { heading, sql } of analystsStatements()) {
      const [here, there] = await Promise.all([
        answerOf(inCloud.warehouse, sql),
        answerOf(machine.ports.warehouse, sql),
      ])
      expect(here, heading).toEqual(there)
    }
  },
  RUN_MAX_MS,
)

function runInCloud(options: RunOptions = {}) {
  return machine.batch({ wrap: ({ log }) => ({ log, ...inCloud }) }).run(options)
}

/** BigQuery answers so from the step on; the run ends with the error, and the next one goes on with it. */
async function expectRunEnds(
  atStep: string,
  [status, reason]: readonly [number, string],
  { code, detail }: { readonly code: string; readonly detail: string },
): Promise<void> {
  const onStep = (step: string) => {
    if (step === atStep) bigQuery.proxy.inject({ effect: { kind: 'refused', status, reason } })
  }
  const said = expect.stringContaining(detail) as string
  await expect(runInCloud({ onStep })).rejects.toMatchObject({ code, detail: said })
  bigQuery.proxy.heal()
}

/** One request of the method in so many. */
function everyNth(wanted: string, n: number) {
  const counted = {
    count: 0,
    isOne({ method }: ApiRequest): boolean {
      if (method !== wanted) return false
      counted.count += 1
      return counted.count % n === 0
    },
  }
  return counted
}

async function answerOf(warehouse: Warehouse, sql: string): Promise<readonly Row[]> {
  const session = await warehouse.open()
  try {
    return await session.query({ sql }, LIMITS)
  } finally {
    await session.close()
  }
}
