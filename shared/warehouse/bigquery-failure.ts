/** What a request or a job that failed on BigQuery means for the caller of the warehouse. */
import { ZodError } from 'zod'
import { CloudError, type CloudFailure } from '../cloud/cloud-failure.ts'
import { BackhaulError } from '../runtime/errors.ts'
import type { JobError } from './bigquery-api.ts'
import { warehouseErrors } from './warehouse-errors.ts'

/** What was asked, as its error names it. */
export interface BigQueryOperation {
  /** The table, dataset or project, or the job. */
  readonly resource: string
  /** What the credentials must be allowed. */
  readonly permission: string
}

type WarehouseCode = keyof typeof warehouseErrors.catalogue

/** In a script, by which a write says that another writer was first. */
export const CONFLICT_MESSAGE = 'another writer changed the table'
/** BigQuery's own words for two transactions that write the same table at once. */
const CONCURRENT = /aborted due to concurrent update|Could not serialize access/i
const DATASET_MISSING = /Not found: Dataset|dataset .* (was )?not found/i

/** Reasons of refusals and of jobs that failed, for what they mean. */
const CODES: Readonly<Record<string, WarehouseCode>> = {
  invalidQuery: 'WAREHOUSE_QUERY_INVALID',
  bytesBilledLimitExceeded: 'WAREHOUSE_BYTES_EXCEEDED',
  responseTooLarge: 'WAREHOUSE_QUERY_TOO_LARGE',
  resourcesExceeded: 'WAREHOUSE_QUERY_TOO_LARGE',
  stopped: 'WAREHOUSE_QUERY_TIMEOUT',
  timeout: 'WAREHOUSE_QUERY_TIMEOUT',
  accessDenied: 'WAREHOUSE_NOT_AUTHORIZED',
  billingNotEnabled: 'WAREHOUSE_REQUEST_REFUSED',
  quotaExceeded: 'WAREHOUSE_UNAVAILABLE',
  rateLimitExceeded: 'WAREHOUSE_UNAVAILABLE',
  jobRateLimitExceeded: 'WAREHOUSE_UNAVAILABLE',
  backendError: 'WAREHOUSE_UNAVAILABLE',
  jobBackendError: 'WAREHOUSE_UNAVAILABLE',
  internalError: 'WAREHOUSE_UNAVAILABLE',
  jobInternalError: 'WAREHOUSE_UNAVAILABLE',
  tableUnavailable: 'WAREHOUSE_UNAVAILABLE',
}

/** The warehouse's error of a request; throws what is no failure of one. */
export function bigQueryFailure(error: unknown, operation: BigQueryOperation): BackhaulError {
  if (error instanceof BackhaulError) return error
  if (error instanceof ZodError)
    return warehouseErrors.create('WAREHOUSE_REQUEST_REFUSED', {
      expected: `${operation.resource} to be described as BigQuery does`,
      received: error.message,
    })
  if (!(error instanceof CloudError)) throw error
  const { failure } = error
  const code = codeOf(failure)
  const expected = expectedOf(code, operation)
  return warehouseErrors.create(code, { expected, received: failure.said, cause: error })
}

/** The warehouse's error of a job that has failed for good. */
export function jobFailure(error: JobError, operation: BigQueryOperation): BackhaulError {
  const { reason, message } = error
  const code = jobCodeOf(error)
  const received = message === '' ? reason : message
  return warehouseErrors.create(code, { expected: expectedOf(code, operation), received })
}

function jobCodeOf({ reason, message }: JobError): WarehouseCode {
  if (message.includes(CONFLICT_MESSAGE)) return 'WAREHOUSE_CONFLICT'
  // Of two transactions at once one is ended, whole; the table need not have changed.
  if (CONCURRENT.test(message)) return 'WAREHOUSE_UNAVAILABLE'
  if (DATASET_MISSING.test(message)) return 'WAREHOUSE_DATASET_MISSING'
  if (reason === 'notFound') return 'WAREHOUSE_QUERY_INVALID'
  return CODES[reason] ?? 'WAREHOUSE_JOB_FAILED'
}

function codeOf({ kind, said, apiReasons }: CloudFailure): WarehouseCode {
  const known = CODES[apiReasons[0] ?? '']
  switch (kind) {
    case 'credentials':
      return 'WAREHOUSE_CREDENTIALS_REFUSED'
    case 'permission':
      return known ?? 'WAREHOUSE_NOT_AUTHORIZED'
    case 'absent':
      return DATASET_MISSING.test(said) ? 'WAREHOUSE_DATASET_MISSING' : 'WAREHOUSE_QUERY_INVALID'
    case 'precondition':
      return 'WAREHOUSE_CONFLICT'
    case 'refused':
      return known ?? 'WAREHOUSE_REQUEST_REFUSED'
    case 'passing':
      return known ?? 'WAREHOUSE_UNAVAILABLE'
  }
}

function expectedOf(code: WarehouseCode, { resource, permission }: BigQueryOperation): string {
  if (code === 'WAREHOUSE_NOT_AUTHORIZED') return `${permission} on ${resource}`
  if (code === 'WAREHOUSE_CREDENTIALS_REFUSED') return `credentials that may use ${resource}`
  if (code === 'WAREHOUSE_CONFLICT') return `${resource} unchanged`
  return code === 'WAREHOUSE_DATASET_MISSING' ? `the dataset of ${resource} to exist` : resource
}
