/** Bounds of the speed store on Cassandra. Statements on their way at a time are settings. */
import { assert } from '../runtime/errors.ts'

/** Rows of one batch, all of one Cassandra partition … */
export const BATCH_MAX_ROWS = 40
/** … and their bytes; one row always fits. */
export const BATCH_MAX_BYTES = 32 * 1024
/** How long a batch of narrow rows waits for more of its partition, ms: little of their freshness. */
export const NARROW_BATCH_LINGER_MS = 20
/** Likewise of wide rows, which all log partitions spread over seconds. */
export const WIDE_BATCH_LINGER_MS = 100
/** Likewise of sessions, which have a partition each, where no more would come. */
export const SESSION_BATCH_LINGER_MS = 0
/**
 * Likewise of the entries that sessions are found by: few of a moment share a partition, and a session
 * is written once in seconds.
 */
export const INDEX_BATCH_LINGER_MS = 100
/** How often positions are looked for again that the session's row counts and a replica has not yet … */
export const POSITIONS_AGAIN_MAX = 5
/** … and how long after the look before, ms. */
export const POSITIONS_AGAIN_MS = 20
/** Bytes of the writes of one class that wait for their turn; beyond, a write is refused as unavailable. */
export const WAITING_WRITES_MAX_BYTES = 64 * 1024 * 1024
/** Statements of one class that wait for their turn; likewise, reads too. */
export const WAITING_STATEMENTS_MAX = 16_384
/** How often one call tries a statement before it fails as unavailable; its caller tries again. */
export const STATEMENT_ATTEMPTS_MAX = 4
/** A statement that failed is repeated after up to this time, doubled each time … */
export const REPEAT_DELAY_MS = 50
/** … up to this. */
export const REPEAT_DELAY_MAX_MS = 1_000
/** Rows of one answer; what is beyond is asked for page by page. */
export const PAGE_ROWS = 1_000
/** Cassandra partitions that one query reads side by side. */
export const QUERY_PARTITIONS_AT_ONCE = 64
/** Cassandra partitions of one query: hours × buckets of keys; 90 days of a wide cut are 34,560. */
export const QUERY_PARTITIONS_MAX = 100_000
/** Pairs of minute and key that one statement looks for; with more it reads the hour and filters. */
export const MINUTE_SEEKS_MAX = 1_024
/** Time before a lost connection is opened again, doubled each time … */
export const RECONNECT_MS = 100
/** … up to this. */
export const RECONNECT_MAX_MS = 5_000
/** Statements on one connection that time out together before the connection is given up. */
export const DEFUNCT_TIMEOUTS = 8
/** Sessions that are known to be listed by start of arrival, and are not listed again … */
export const LISTED_SESSIONS_MAX = 200_000
/** … for this long; a session that another process deleted is listed again after it. */
export const LISTED_FOR_MS = 10 * 60_000
/** A process that applies migrations holds this lease while it does. */
export const MIGRATION_LEASE_MS = 60_000
/** How long another one waits for it before the opening fails as unavailable. */
export const MIGRATION_WAIT_MS = 120_000
/** How often it looks. */
export const MIGRATION_POLL_MS = 250

assert(MIGRATION_LEASE_MS < MIGRATION_WAIT_MS, 'the lease of a process that died is waited for')
assert(BATCH_MAX_BYTES <= WAITING_WRITES_MAX_BYTES, 'a batch must fit the queue')
