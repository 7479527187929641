/** Bounds of the commands. Each is reached by an error that names what to narrow. */

/** Threads of it: a server may run beside, and keeps the other cores. */
export const DATABASE_THREADS = 1

/** Time of one query of a command, ms. */
export const QUERY_TIMEOUT_MS = 600_000

/** Places in the log that `ledger show` lists of an event or a file, and rows of a place. */
export const SHOWN_ROWS_MAX = 1_000

/** Rejects that one command lists or replays. */
export const REJECTS_MAX = 100_000

/** Records of one read of the log. */
export const FETCH_RECORDS = 1_000

/** Bytes of one read of the log. */
export const FETCH_BYTES = 8 * 2 ** 20

/** Contexts of sessions that a replay keeps enriched. */
export const CONTEXTS_MAX = 1_000

/** Longest time in which one command tries a run again, or waits for shards, minutes. */
export const RUN_WAIT_MINUTES_MAX = 24 * 60

/** How long whoever merges waits for shards when nothing is said, minutes. */
export const SHARDS_WAIT_MINUTES = 60

/** Shards of a run. */
export const SHARDS_MAX = 1_000

/** Days that partitions of the history may be told to be kept. */
export const KEEP_DAYS_MAX = 3_660

/** Days before today whose raw files one compaction looks at. */
export const COMPACT_DAYS_MAX = 36_600

/** Days that one backfill computes. */
export const BACKFILL_DAYS_MAX = 3_660

/**
 * Workers of a backfill. Each keeps one of the threads busy that the runtime has for native work, of
 * which there are four.
 */
export const BACKFILL_PARALLEL_MAX = 4

/** Rejects that are replayed at a time; what is known of their sessions is asked for at once. */
export const REPLAY_PAGE_REJECTS = 500

/** Sealed bytes of rejects that are replayed at a time; one reject always fits. */
export const REPLAY_PAGE_BYTES = 32 * 2 ** 20

/** Events of a page's sessions that are in the tables. */
export const KNOWN_EVENTS_MAX = 2_000_000

/** Outcomes of single rejects that a result lists. */
export const OUTCOMES_LISTED_MAX = 200

/** Minutes that one check of alert rules tries them on. */
export const ALERT_CHECK_MINUTES_MAX = 10_080

/** Rows of one rule's window in such a check. */
export const ALERT_CHECK_ROWS_MAX = 200_000

/** How long a smoke test waits for its session, seconds, and how long it may be told to. */
export const SMOKE_WAIT_SECONDS = 120
export const SMOKE_WAIT_SECONDS_MAX = 3_600

/** Time between two looks of a smoke test for its session, ms. */
export const SMOKE_POLL_MS = 500

/** Time of one of them, ms. */
export const SMOKE_REQUEST_TIMEOUT_MS = 10_000

/** How long the token that a smoke test makes is valid, ms: as long as it may wait, and some more. */
export const SMOKE_TOKEN_MS = (SMOKE_WAIT_SECONDS_MAX + 60) * 1_000
