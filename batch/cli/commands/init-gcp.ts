/** `init gcp`: the bucket and the datasets, as the services need them. */
import { CloudClient } from '../../../shared/cloud/cloud-client.ts'
import { configErrors } from '../../../shared/runtime/config.ts'
import { stagingDatasetOf, type BigQueryConfig } from '../../../shared/warehouse/bigquery-config.ts'
import { initBucket } from '../../init-gcp/bucket.ts'
import { BucketApi } from '../../init-gcp/bucket-api.ts'
import { DatasetApi } from '../../init-gcp/dataset-api.ts'
import { initDatasets } from '../../init-gcp/datasets.ts'
import { grantsOf } from '../../init-gcp/permissions.ts'
import { type InitStep, stepText } from '../../init-gcp/steps.ts'
import { type CommandArguments, usage } from '../arguments.ts'
import { type Command, EXIT } from '../command.ts'
import { KEEP_DAYS_MAX } from '../limits.ts'

const NAME = /^\w{1,1000}$/
const LOCATION = 'US'
const ENDPOINT = 'https://bigquery.googleapis.com'

export const initGcp: Command = {
  name: 'init gcp',
  summary: 'make or check the bucket and the datasets on Google Cloud, and their lifecycle',
  about: `Makes the bucket GCS_BUCKET when it is missing and checks it when it is not; has raw files moved to
the class ARCHIVE and staging files deleted by age; makes the datasets of the history with
WAREHOUSE_STORE=bigquery, by the settings BIGQUERY_… of the services, or when --dataset names them, and says
how long their partitions are kept with --keep-days. What is as it should be stays as it is, so it may be
repeated; --dry-run only says what would be done. Prints the roles that the services need.
Exits with 1 when a change was taken and is not shown by the server. Partitions of tables that the first
run has yet to make are left for a repeat.`,
  examples: [
    'init gcp --dry-run',
    'init gcp --project my-project --location EU',
    'init gcp --project my-project --location EU --dataset backhaul --keep-days 400',
  ],
  options: {
    'dry-run': { doc: 'Change nothing; say what would be done.' },
    project: {
      value: 'PROJECT',
      doc: 'Where what is missing is made, instead of BIGQUERY_PROJECT.',
    },
    location: {
      value: 'LOCATION',
      doc: `Of the bucket and the datasets, such as EU, instead of BIGQUERY_LOCATION; ${LOCATION} for what is made when nothing is said.`,
    },
    dataset: {
      value: 'NAME',
      doc: 'Dataset of the history, instead of BIGQUERY_DATASET; beside it one with _staging behind its name.',
    },
    'keep-days': {
      value: 'DAYS',
      doc: 'How long partitions of sessions and metrics are kept, never those of events; as they are by default.',
    },
    'bigquery-endpoint': {
      value: 'URL',
      doc: 'Where BigQuery is reached, instead of BIGQUERY_ENDPOINT.',
    },
  },
  positionals: [],
  async run({ stores }, given) {
    const { gcs, bigQuery: placed } = stores.settings
    const bigQuery = placed?.config
    if (gcs === undefined)
      throw configErrors.create('CONFIG_CONFLICT', {
        expected: 'OBJECT_STORE=gcs and GCS_BUCKET',
        received: 'OBJECT_STORE=folder',
      })
    const { bucket, endpoint } = gcs
    const client = new CloudClient(gcs)
    const isDryRun = given.flag('dry-run')
    const options = {
      isDryRun,
      location: given.text('location'),
      locationIfMade: bigQuery?.location ?? LOCATION,
      project: given.text('project') ?? bigQuery?.project,
    }
    const datasets = datasetsOf(given, bigQuery)
    const steps: InitStep[] = await initBucket(
      new BucketApi(client, endpoint, bucket),
      bucket,
      options,
    )
    if (datasets !== undefined) {
      const api = new DatasetApi({ client: new CloudClient(bigQuery ?? gcs), ...datasets })
      steps.push(...(await initDatasets(api, datasets, options)))
    }
    const grants = grantsOf({ bucket, datasets })
    return {
      exitCode: steps.some(({ state }) => state === 'notKept') ? EXIT.failed : EXIT.done,
      json: { dryRun: isDryRun, steps, grants },
      text: [
        ...steps.map((step) => stepText(step, isDryRun)),
        'The service account ACCOUNT of the processes needs:',
        ...grants.map((grant) => `  ${grant}`),
      ].join('\n'),
    }
  },
}

/** Those of the services, with what is said otherwise; none where tables are files and none are named. */
function datasetsOf(given: CommandArguments, bigQuery: BigQueryConfig | undefined) {
  const named = given.text('dataset')
  const dataset = named ?? bigQuery?.dataset
  if (dataset === undefined) {
    if (given.text('keep-days') !== undefined) throw usage('--dataset with --keep-days', 'none')
    return undefined
  }
  if (!NAME.test(dataset)) throw usage('--dataset of letters, digits and underscores', dataset)
  const endpoint = given.text('bigquery-endpoint') ?? bigQuery?.endpoint ?? ENDPOINT
  if (!URL.canParse(endpoint)) throw usage('--bigquery-endpoint to be a URL', endpoint)
  const days = given.count('keep-days', { max: KEEP_DAYS_MAX, default: 0 })
  const isOfServices = named === undefined && bigQuery !== undefined
  return {
    project: given.text('project') ?? bigQuery?.project ?? given.required('project'),
    dataset,
    staging: isOfServices ? stagingDatasetOf(bigQuery) : `${dataset}_staging`,
    location: given.text('location') ?? bigQuery?.location ?? LOCATION,
    keepDays: days === 0 ? undefined : days,
    endpoint,
  }
}
