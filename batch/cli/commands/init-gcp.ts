/** `init gcp`: the bucket and the datasets, as the services need them. */
import { CloudClient } from '../../../shared/cloud/cloud-client.ts'
import { configErrors } from '../../../shared/runtime/config.ts'
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

export const initGcp: Command = {
  name: 'init gcp',
  summary: 'make or check the bucket and the datasets on Google Cloud, and their lifecycle',
  about: `Makes the bucket GCS_BUCKET when it is missing and checks it when it is not; has raw files moved to
the class ARCHIVE and staging files deleted by age; makes the datasets of the history when --dataset names
them, and says how long their partitions are kept with --keep-days. What is as it should be stays as it is,
so it may be repeated; --dry-run only says what would be done. Prints the roles that the services need.
Exits with 1 when a change was taken and is not shown by the server. Partitions of tables that the first
run has yet to make are left for a repeat.`,
  examples: [
    'init gcp --dry-run',
    'init gcp --project my-project --location EU',
    'init gcp --project my-project --location EU --dataset backhaul --keep-days 400',
  ],
  options: {
    'dry-run': { doc: 'Change nothing; say what would be done.' },
    project: { value: 'PROJECT', doc: 'Where what is missing is made.' },
    location: {
      value: 'LOCATION',
      doc: `Of the bucket and the datasets, such as EU; ${LOCATION} for what is made when nothing is said.`,
    },
    dataset: {
      value: 'NAME',
      doc: 'Dataset of the history; beside it one with _staging behind its name.',
    },
    'keep-days': {
      value: 'DAYS',
      doc: 'How long partitions of sessions and metrics are kept, never those of events; as they are by default.',
    },
    'bigquery-endpoint': { value: 'URL', doc: 'Where BigQuery is reached, if elsewhere.' },
  },
  positionals: [],
  async run({ stores }, given) {
    const { gcs } = stores.settings
    if (gcs === undefined)
      throw configErrors.create('CONFIG_CONFLICT', {
        expected: 'OBJECT_STORE=gcs and GCS_BUCKET',
        received: 'OBJECT_STORE=folder',
      })
    const { bucket, endpoint } = gcs
    const client = new CloudClient(gcs)
    const location = given.text('location')
    const isDryRun = given.flag('dry-run')
    const options = { isDryRun, location, project: given.text('project') }
    const datasets = datasetsOf(given)
    const steps: InitStep[] = await initBucket(
      new BucketApi(client, endpoint, bucket),
      bucket,
      options,
    )
    if (datasets !== undefined)
      steps.push(
        ...(await initDatasets(new DatasetApi({ client, ...datasets }), datasets, options)),
      )
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

function datasetsOf(given: CommandArguments) {
  const dataset = given.text('dataset')
  if (dataset === undefined) {
    if (given.text('keep-days') !== undefined) throw usage('--dataset with --keep-days', 'none')
    return undefined
  }
  if (!NAME.test(dataset)) throw usage('--dataset of letters, digits and underscores', dataset)
  const endpoint = given.text('bigquery-endpoint') ?? 'https://bigquery.googleapis.com'
  if (!URL.canParse(endpoint)) throw usage('--bigquery-endpoint to be a URL', endpoint)
  const days = given.count('keep-days', { max: KEEP_DAYS_MAX, default: 0 })
  return {
    project: given.required('project'),
    dataset,
    staging: `${dataset}_staging`,
    location: given.text('location') ?? LOCATION,
    keepDays: days === 0 ? undefined : days,
    endpoint,
  }
}
