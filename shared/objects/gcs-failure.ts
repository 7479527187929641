/** What a request to GCS that failed means for the caller of the object store. */
import { ZodError } from 'zod'
import { CloudError } from '../cloud/cloud-failure.ts'
import { BackhaulError } from '../runtime/errors.ts'
import { objectErrors } from './object-errors.ts'

/** A request as its error names it. */
export interface GcsOperation {
  readonly bucket: string
  /** The object, or the prefix of a listing. */
  readonly name: string
  /** What the credentials must be allowed. */
  readonly permission: string
}

/**
 * The object store's error. What an operator must mend is not retryable; everything else may pass,
 * also 400, by which a body is refused that was damaged on its way. A 404 is of the bucket here: of
 * an object it was caught before. Throws what is no failure of a request.
 */
export function gcsFailure(error: unknown, operation: GcsOperation): BackhaulError {
  if (error instanceof BackhaulError) return error
  const { bucket, name, permission } = operation
  const resource = `gs://${bucket}/${name}`
  if (error instanceof ZodError)
    return objectErrors.create('OBJECT_REQUEST_REFUSED', {
      expected: `${resource} to be described as GCS describes objects`,
      received: error.message,
    })
  if (!(error instanceof CloudError)) throw error
  const { kind, status, said } = error.failure
  const create = (code: keyof typeof objectErrors.catalogue, expected: string) =>
    objectErrors.create(code, { expected, received: said, cause: error })
  switch (kind) {
    case 'credentials':
      return create('OBJECT_CREDENTIALS_REFUSED', `credentials that may use gs://${bucket}`)
    case 'permission':
      return create('OBJECT_NOT_AUTHORIZED', `${permission} on gs://${bucket}, for ${resource}`)
    case 'absent':
      return create('OBJECT_BUCKET_MISSING', `gs://${bucket} to exist`)
    case 'precondition':
      return create('OBJECT_PRECONDITION_FAILED', `${resource} of the generation that is given`)
    case 'refused':
      return create(status === 400 ? 'OBJECT_UNAVAILABLE' : 'OBJECT_REQUEST_REFUSED', resource)
    case 'passing':
      return create('OBJECT_UNAVAILABLE', resource)
  }
}

/** A word for metrics: what a request failed with. */
export function failureReason(error: unknown): string {
  return error instanceof CloudError ? error.failure.reason : 'answer'
}
