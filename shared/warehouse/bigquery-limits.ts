/** Bounds of the warehouse on BigQuery. The time of one request is a setting. */
import { assert } from '../runtime/errors.ts'

/** How often one request is tried before it fails as unavailable; the caller of a verb repeats it. */
export const REQUEST_ATTEMPTS_MAX = 5
/** A request that failed is repeated after up to this time, doubled each time … */
export const REPEAT_DELAY_MS = 250
/** … up to this. */
export const REPEAT_DELAY_MAX_MS = 8_000
/** Jobs that one call may start for the same work, each after the one before it had failed. */
export const JOB_ATTEMPTS_MAX = 32
/** Ids of the same work, which all calls of all processes use up until one of its jobs ends well. */
export const JOB_IDS_MAX = 10_000
/** A job is looked at after this time, doubled each time … */
export const JOB_POLL_MS = 100
/** … up to this. */
export const JOB_POLL_MAX_MS = 5_000
/** Longest job of a verb; BigQuery ends it. Queries bring their own time. */
export const JOB_MAX_MS = 2 * 60 * 60_000
/** How long BigQuery may hold a request for the answer of a query. */
export const ANSWER_WAIT_MS = 10_000
/** Rows of one answer. */
export const RESULT_PAGE_ROWS = 10_000
/** How long a session that closes waits until its tables are dropped; what is left expires. */
export const DROP_WAIT_MS = 3_000
/** A session is refused when it is older than this; BigQuery shows the past for two days at least. */
export const SESSION_MAX_MS = 2 * 60 * 60_000
/** What a load has made is kept at least so long from when a session finds it. */
export const LOAD_KEEP_MS = 4 * 60 * 60_000
/** Dates that one verb may name. */
export const DATES_MAX = 400
/** Looks at a table that others make or change at the same time. */
export const PATCH_TRIES = 5

assert(JOB_ATTEMPTS_MAX <= JOB_IDS_MAX, 'each attempt has an id')
assert(SESSION_MAX_MS < LOAD_KEEP_MS, 'what a session finds outlives it')
assert(REPEAT_DELAY_MS <= REPEAT_DELAY_MAX_MS && JOB_POLL_MS <= JOB_POLL_MAX_MS, 'delays grow')
