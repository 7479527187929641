/** Bounds of the object store on GCS. The time of one request is a setting. */
import { assert } from '../runtime/errors.ts'

/** How often one call tries a request before it fails as unavailable; its caller tries again. */
export const REQUEST_ATTEMPTS_MAX = 5
/** A request that failed is repeated after up to this time, doubled each time … */
export const REPEAT_DELAY_MS = 200
/** … up to this. GCS takes about one write a second of the same object. */
export const REPEAT_DELAY_MAX_MS = 4_000
/** Objects of one answer of a listing; GCS gives no more. */
export const LIST_PAGE_OBJECTS = 1_000
/** Looks at an object that is replaced each time between its description and its bytes. */
export const READ_LOOKS_MAX = 16

assert(REPEAT_DELAY_MS <= REPEAT_DELAY_MAX_MS, 'delays grow')
