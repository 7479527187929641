/** Settings of the warehouse, the same for every service that uses it. */
import {
  checkEndpoint,
  credentialsSetting,
  endpointSetting,
  requestTimeoutSetting,
} from '../cloud/cloud-settings.ts'
import { configErrors, defineConfig, setting, type ValuesOf } from '../runtime/config.ts'

export const warehouseConfig = defineConfig({
  prefix: 'WAREHOUSE',
  table: {
    store: setting.choice({
      default: 'duckdb',
      choices: ['duckdb', 'bigquery'],
      doc: 'Where the tables of the history are: files in the object store, read by DuckDB inside the process, or datasets of BigQuery (with OBJECT_STORE=gcs, from which they are loaded).',
    }),
  },
})

const MIB = 2 ** 20

export const bigQueryConfig = defineConfig({
  prefix: 'BIGQUERY',
  table: {
    project: setting.text({
      default: '',
      pattern: /^([a-z0-9.:-]{1,100})?$/,
      expected: 'the id of a project',
      doc: 'Project of the datasets, in which jobs run and are billed.',
    }),
    dataset: setting.text({
      default: 'backhaul',
      pattern: /^\w{1,1000}$/,
      expected: 'the name of a dataset',
      doc: 'Dataset of the tables. It must exist: backhaul init gcp creates it.',
    }),
    stagingDataset: setting.text({
      default: '',
      pattern: /^\w{0,1000}$/,
      expected: 'the name of a dataset',
      doc: 'Dataset of what runs write in between, whose tables expire after a day; by default BIGQUERY_DATASET with _staging behind it. It must exist: backhaul init gcp creates it.',
    }),
    location: setting.text({
      default: 'US',
      pattern: /^[A-Za-z0-9-]{1,50}$/,
      expected: 'a location, such as EU or europe-west1',
      doc: 'Location of the datasets and of the jobs.',
    }),
    endpoint: endpointSetting('https://bigquery.googleapis.com'),
    credentials: credentialsSetting,
    requestTimeoutMs: requestTimeoutSetting('Jobs take longer: they are asked after.'),
    maximumMibBilled: setting.integer({
      default: 1_048_576,
      min: 10,
      max: 1_073_741_824,
      unit: 'MiB',
      doc: 'A statement that would be billed for more is refused before it runs (maximumBytesBilled of each job).',
    }),
  },
  check({ project, endpoint }) {
    if (project === '')
      throw configErrors.create('CONFIG_CONFLICT', {
        expected: 'BIGQUERY_PROJECT with WAREHOUSE_STORE=bigquery',
        received: 'none',
      })
    checkEndpoint('BIGQUERY_ENDPOINT', endpoint)
  },
})

export type BigQueryConfig = ValuesOf<typeof bigQueryConfig.table>

export function stagingDatasetOf({ dataset, stagingDataset }: BigQueryConfig): string {
  return stagingDataset === '' ? `${dataset}_staging` : stagingDataset
}

export function maximumBytesBilledOf({ maximumMibBilled }: BigQueryConfig): number {
  return maximumMibBilled * MIB
}
