import { isFull } from '../lmdb/root.ts'
import { BackhaulError, defineErrors } from '../runtime/errors.ts'

export const warehouseErrors = defineErrors({
  WAREHOUSE_UNAVAILABLE: {
    rule: 'the warehouse must be reachable',
    retryable: true,
    status: 503,
    action: 'Check the store; whether a write happened is open, and it is safe to repeat.',
  },
  WAREHOUSE_FULL: {
    rule: 'the warehouse must have space for its files',
    retryable: true,
    status: 503,
    action: 'Free disk space for the data and the temporary folder; then repeat.',
  },
  WAREHOUSE_CONFLICT: {
    rule: 'one writer at a time may change a table',
    retryable: true,
    action: 'Open a new session and repeat: another writer changed the table meanwhile.',
  },
  WAREHOUSE_SNAPSHOT_EXPIRED: {
    rule: 'a session must end before the files of its snapshot may be removed',
    retryable: true,
    action: 'Open a new session and repeat.',
  },
  WAREHOUSE_CLOSED: {
    rule: 'the warehouse and its session must be open',
    retryable: false,
    action: 'None: the process is stopping.',
  },
  WAREHOUSE_TABLE_MISMATCH: {
    rule: 'a table must have the columns and types that the program gives it',
    retryable: false,
    action: 'Migrate the table by hand, or run the version of the program that wrote it.',
  },
  WAREHOUSE_MANIFEST_INVALID: {
    rule: 'a table must have a manifest that this program can read',
    retryable: false,
    action: 'Run the version that wrote it, or restore the manifest from a copy.',
  },
  WAREHOUSE_FILE_MISSING: {
    rule: 'a file that is loaded or that a manifest names must exist',
    retryable: false,
    action: 'Restore the named object from a copy, or run the step again that writes it.',
  },
  WAREHOUSE_FILE_DAMAGED: {
    rule: 'a file must have the content with which it was written',
    retryable: false,
    action: 'Check the disk; restore the named object, or run the step again that writes it.',
  },
  WAREHOUSE_ROWS_INVALID: {
    rule: 'rows must fit their table: its columns, its required values, the dates and scope named',
    retryable: false,
    action: 'Correct the select.',
  },
  WAREHOUSE_QUERY_INVALID: {
    rule: 'a query must be one valid SELECT over tables of the warehouse',
    retryable: false,
    status: 400,
    action: 'Correct the statement as the detail says.',
  },
  WAREHOUSE_QUERY_TOO_LARGE: {
    rule: 'a query must keep to its limits of rows and memory',
    retryable: false,
    status: 422,
    action: 'Ask for fewer rows, columns or days, or aggregate in the query.',
  },
  WAREHOUSE_QUERY_TIMEOUT: {
    rule: 'a query must end within its time',
    retryable: false,
    status: 504,
    action: 'Ask for fewer days, or raise the time allowed.',
  },
  WAREHOUSE_DATASET_MISSING: {
    rule: 'the datasets of the warehouse must exist',
    retryable: false,
    action:
      'Create them: npx backhaul init gcp. Where they exist, check BIGQUERY_PROJECT, BIGQUERY_DATASET, BIGQUERY_STAGING_DATASET and BIGQUERY_LOCATION.',
  },
  WAREHOUSE_CREDENTIALS_REFUSED: {
    rule: 'requests to the warehouse must bear valid credentials',
    retryable: false,
    action:
      'Give the process application default credentials: workload identity, a file that GOOGLE_APPLICATION_CREDENTIALS names, or on a desk gcloud auth application-default login. Then start the work again.',
  },
  WAREHOUSE_NOT_AUTHORIZED: {
    rule: 'the credentials must be allowed what is asked of the warehouse',
    retryable: false,
    action:
      'Grant it: roles/bigquery.jobUser on the project (gcloud projects add-iam-policy-binding PROJECT --member=serviceAccount:ACCOUNT --role=roles/bigquery.jobUser), roles/bigquery.dataEditor on its datasets, for reading alone roles/bigquery.dataViewer. Then start the work again.',
  },
  WAREHOUSE_REQUEST_REFUSED: {
    rule: 'the warehouse must take requests as they are made',
    retryable: false,
    action:
      'Check BIGQUERY_ENDPOINT, BIGQUERY_LOCATION and the policies of the project against what the message says.',
  },
  WAREHOUSE_BYTES_EXCEEDED: {
    rule: 'a statement must not be billed for more bytes than it may',
    retryable: false,
    status: 422,
    action: 'Ask for fewer days or columns, or raise BIGQUERY_MAXIMUM_MIB_BILLED.',
  },
  WAREHOUSE_JOB_FAILED: {
    rule: 'a job of the warehouse must end well',
    retryable: false,
    action:
      'See the job that is named (bq show -j JOB) for what it failed with; mend that, and start the work again.',
  },
})

/** An error of the object store, the disk or a file as one of the warehouse. */
export function warehouseFailure(error: unknown): Error {
  if (error instanceof BackhaulError) {
    const code = CODES[error.code]
    return code === undefined
      ? error
      : warehouseErrors.create(code, { received: error.detail || error.code, cause: error })
  }
  if (!(error instanceof Error)) return new Error(String(error))
  if (isFull(error)) return warehouseErrors.create('WAREHOUSE_FULL', { cause: error })
  const ofTheSystem = 'syscall' in error || error.name === 'UnreadableFile'
  return ofTheSystem
    ? warehouseErrors.create('WAREHOUSE_UNAVAILABLE', { received: error.message, cause: error })
    : error
}

type WarehouseCode = keyof typeof warehouseErrors.catalogue

const CODES: Readonly<Record<string, WarehouseCode>> = {
  OBJECT_UNAVAILABLE: 'WAREHOUSE_UNAVAILABLE',
  OBJECT_FULL: 'WAREHOUSE_FULL',
  OBJECT_STORE_CLOSED: 'WAREHOUSE_CLOSED',
  OBJECT_DAMAGED: 'WAREHOUSE_FILE_DAMAGED',
}
