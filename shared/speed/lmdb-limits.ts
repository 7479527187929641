/** Bounds of the LMDB speed store. */
import { assert } from '../runtime/errors.ts'

/** Bytes of the rows of one commit; keeps what a commit does on the event loop short. */
export const COMMIT_MAX_BYTES = 2 * 1024 * 1024
/** Bytes of the writes that wait for a commit; beyond, a write is refused as unavailable. */
export const WRITE_QUEUE_MAX_BYTES = 128 * 1024 * 1024
/** Writes that wait for a commit; likewise. */
export const WRITE_QUEUE_MAX_TASKS = 4_096
/** Rows of one task; a larger call is several tasks, in order. */
export const ROWS_PER_TASK = 256
/** Rows that a query reads before the event loop gets its turn. */
export const ROWS_PER_TURN = 512
/** Searches by (minute, key) that a query does at most; beyond, it reads the range and filters. */
export const MINUTE_SEEKS_MAX = 4_096
/** Expired rows that one commit deletes. */
export const EXPIRY_SLICE_ROWS = 512
/** Rows of a session that one commit deletes. */
export const DELETION_SLICE_ROWS = 512
/** How often the store deletes expired rows by itself. */
export const EXPIRY_PERIOD_MS = 60_000

assert(COMMIT_MAX_BYTES <= WRITE_QUEUE_MAX_BYTES, 'the queue must fill a commit')
