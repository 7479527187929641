/** The batch over BigQuery: the tables of a run, and what analysts are answered, are those of DuckDB. */
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { ApiServer } from '../scripts/services/api-server.ts'
import { startBigQuery } from '../scripts/services/bigquery.ts'
import { startGcs, type Gcs } from '../scripts/services/gcs.ts'
import { freshBucket, openBucket } from '../shared/objects/testing/gcs-bucket.ts'
import { ManualClock } from '../shared/runtime/clock.ts'
import { allTables } from '../shared/warehouse/tables.ts'
import { freshDatasets, openDataset } from '../shared/warehouse/testing/bigquery-dataset.ts'
import type { Row, Warehouse } from '../shared/warehouse/warehouse.ts'
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
  'ends with the tables of DuckDB, and a run over the same log changes none',
  async () => {
    await inCloud.warehouse.ensureTables(allTables)
    const batch = machine.batch({ wrap: ({ log }) => ({ log, ...inCloud }) })
    await batch.run()
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

async function answerOf(warehouse: Warehouse, sql: string): Promise<readonly Row[]> {
  const session = await warehouse.open()
  try {
    return await session.query({ sql }, LIMITS)
  } finally {
    await session.close()
  }
}
