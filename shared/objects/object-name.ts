import { describeValue } from '../runtime/errors.ts'
import { objectErrors } from './object-errors.ts'

/** Bytes of a name; GCS allows 1,024. */
export const OBJECT_NAME_MAX_BYTES = 1_024
/** Bytes of a segment: a file name may have 255, and the folder adapter adds the generation. */
export const OBJECT_SEGMENT_MAX_BYTES = 224

const SEGMENT = /^[A-Za-z0-9._=-]+$/

/** Throws `OBJECT_NAME_INVALID` unless `name` is an object name. */
export function assertObjectName(name: string): void {
  const valid =
    name.length <= OBJECT_NAME_MAX_BYTES &&
    name
      .split('/')
      .every(
        (segment) =>
          SEGMENT.test(segment) &&
          segment.length <= OBJECT_SEGMENT_MAX_BYTES &&
          segment !== '.' &&
          segment !== '..',
      )
  if (!valid) throw objectErrors.create('OBJECT_NAME_INVALID', { received: describeValue(name) })
}
