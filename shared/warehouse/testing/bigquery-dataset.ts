/** Datasets of a test on its own server, and warehouses on them. */
import { randomUUID } from 'node:crypto'
import type { ApiServer } from '../../../scripts/services/api-server.ts'
import { createDataset, PROJECT } from '../../../scripts/services/bigquery.ts'
import { systemClock } from '../../runtime/clock.ts'
import { readConfig } from '../../runtime/config.ts'
import { systemRandom } from '../../runtime/random.ts'
import { bigQueryConfig, type BigQueryConfig } from '../bigquery-config.ts'
import { openBigQueryWarehouse } from '../bigquery-warehouse.ts'
import type { Warehouse } from '../warehouse.ts'

type BigQueryServer = Pick<ApiServer, 'endpoint'>

/** Creates a dataset that no other test uses, and the one of its staging; returns its name. */
export async function freshDatasets(bigQuery: BigQueryServer): Promise<string> {
  const dataset = `d${randomUUID().replaceAll('-', '')}`
  for (const name of [dataset, `${dataset}_staging`]) await createDataset(bigQuery.endpoint, name)
  return dataset
}

/** What a process has in its environment to have its tables there. */
export function datasetEnvironment(
  bigQuery: BigQueryServer,
  dataset: string,
): Record<string, string> {
  return {
    WAREHOUSE_STORE: 'bigquery',
    BIGQUERY_PROJECT: PROJECT,
    BIGQUERY_DATASET: dataset,
    BIGQUERY_ENDPOINT: bigQuery.endpoint,
    BIGQUERY_CREDENTIALS: 'none',
  }
}

export function openDataset(
  bigQuery: BigQueryServer,
  place: { readonly dataset: string; readonly bucket: string },
  changes: Partial<BigQueryConfig> = {},
): Promise<Warehouse> {
  const environment = datasetEnvironment(bigQuery, place.dataset)
  const read = readConfig(bigQueryConfig, environment, () => '')
  const config = { ...read, ...changes }
  const { bucket } = place
  return openBigQueryWarehouse({ config, bucket, clock: systemClock, random: systemRandom })
}

/** Runs a statement that the warehouse knows nothing of. */
export async function runSql({ endpoint }: BigQueryServer, query: string): Promise<void> {
  const answer = await fetch(`${endpoint}/bigquery/v2/projects/${PROJECT}/queries`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ query, useLegacySql: false }),
  })
  if (!answer.ok) throw new Error(await answer.text())
}
