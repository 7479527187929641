/** What keeps `init gcp` from making or checking a resource of the cloud. */
import { ZodError } from 'zod'
import { CloudError, type CloudFailure } from '../../shared/cloud/cloud-failure.ts'
import { type BackhaulError, defineErrors } from '../../shared/runtime/errors.ts'

export const initErrors = defineErrors({
  INIT_NOT_AUTHORIZED: {
    rule: 'the credentials must be allowed what setting up needs',
    retryable: false,
    action:
      'Give the permission named in the message to whoever sets up (roles/storage.admin and roles/bigquery.admin of the project have all of them), or have the resource made by those who may; init gcp then only checks it.',
  },
  INIT_CREDENTIALS_REFUSED: {
    rule: 'credentials must be there and accepted',
    retryable: false,
    action: 'gcloud auth application-default login, or the workload identity of the job.',
  },
  INIT_PROJECT_MISSING: {
    rule: 'a resource that does not exist can be made in a known project alone',
    retryable: false,
    action:
      'Give the project with --project or BIGQUERY_PROJECT, or correct the name of the resource.',
  },
  INIT_LOCATION_DIFFERS: {
    rule: 'a resource that exists must be in the location that is wanted',
    retryable: false,
    action:
      'Give the location of the resource with --location, or another name: a location cannot be changed, and BigQuery loads from a bucket of the same location.',
  },
  INIT_RETENTION_POLICY: {
    rule: 'objects of the bucket must be replaceable and deletable',
    retryable: false,
    action:
      'Remove the retention policy (gcloud storage buckets update gs://BUCKET --clear-retention-period), or use another bucket: leases, manifests and checkpoints are replaced, and erasures delete.',
  },
  INIT_UNAVAILABLE: {
    rule: 'the API must answer',
    retryable: true,
    action: 'Give the command again; it goes on where it was.',
  },
  INIT_REQUEST_REFUSED: {
    rule: 'the API must take what it is asked',
    retryable: false,
    action: 'The message has what the API said.',
  },
})

/** What was asked, as its error names it. */
export interface InitOperation {
  /** Such as `gs://bucket`. */
  readonly resource: string
  readonly permission: string
}

const CODES: Readonly<Record<CloudFailure['kind'], keyof typeof initErrors.catalogue>> = {
  credentials: 'INIT_CREDENTIALS_REFUSED',
  permission: 'INIT_NOT_AUTHORIZED',
  passing: 'INIT_UNAVAILABLE',
  absent: 'INIT_REQUEST_REFUSED',
  // Another has changed the resource since it was read: a repeat reads it again.
  precondition: 'INIT_UNAVAILABLE',
  refused: 'INIT_REQUEST_REFUSED',
}

/** Throws what is no failure of a request. */
export function initFailure(error: unknown, operation: InitOperation): BackhaulError {
  const { resource, permission } = operation
  if (error instanceof ZodError)
    return initErrors.create('INIT_REQUEST_REFUSED', {
      expected: `${resource} to be described as the API does`,
      received: error.message,
    })
  if (!(error instanceof CloudError)) throw error
  const { kind, said } = error.failure
  const expected = kind === 'permission' ? `${permission} on ${resource}` : resource
  return initErrors.create(CODES[kind], { expected, received: said, cause: error })
}
