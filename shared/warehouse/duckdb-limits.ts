/** Bounds of the embedded warehouse. */
import { assert } from '../runtime/errors.ts'

/** A session is refused when it is older than this. */
export const SESSION_MAX_MS = 2 * 60 * 60_000
/** Longest statement of a verb; queries bring their own time. */
export const STATEMENT_MAX_MS = 2 * 60 * 60_000
/** What a closing session still runs is interrupted this often until it has ended. */
export const INTERRUPT_REPEAT_MS = 50
/** Files that a table no longer names are kept this long for sessions that do. */
export const RETIRED_KEEP_MS = 5 * 60 * 60_000
/** Jobs whose results a table remembers. */
export const JOBS_REMEMBERED = 256
/** Files that one partition date may have before small ones are merged. */
export const FILES_PER_DATE_MAX = 8
/** A file below this size is small. */
export const SMALL_FILE_BYTES = 32 * 1024 * 1024
/** A file is closed when it has reached this size. */
export const FILE_BYTES = 64 * 1024 * 1024
/** Rows whose least and largest values are kept together, so that readers can pass them over. */
export const ROW_GROUP_ROWS = 65_536
/** Dates that one verb may name. */
export const DATES_MAX = 400
/** Tables of a warehouse. */
export const TABLES_MAX = 100
/** Looks at the manifests until two find the same. */
export const SNAPSHOT_TRIES = 5
/** Objects asked for in one listing. */
export const LIST_PAGE = 1_000
/** Files removed after one write. */
export const REMOVED_PER_WRITE_MAX = 1_000

assert(
  RETIRED_KEEP_MS > SESSION_MAX_MS + STATEMENT_MAX_MS,
  'files outlast the last statement of the oldest session',
)
