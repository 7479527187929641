/**
 * Bounds that are not for operators to set; those that are stand in `config.ts` with their ranges.
 * Every bound shows in the run's report or ends in an error.
 */
import { RECORD_MAX_BYTES } from '../shared/log/lmdb-limits.ts'
import { assert } from '../shared/runtime/errors.ts'
import { DATES_MAX as DATES_PER_VERB_MAX } from '../shared/warehouse/duckdb-limits.ts'

/**
 * What a run takes of memory at most, however many events it has, bytes. The databases that make,
 * load and compute are open one after another, and beyond their limit they spill into the temporary
 * folder. That is so with raw files of the default size, one at a time: each one that is written takes
 * twice its compressed size when it ends, so larger ones, or more at once (BATCH_PARTITIONS_AT_ONCE),
 * add to it.
 */
export const RUN_MEMORY_BYTES = 1_536 * 2 ** 20

/** The database that a step of a run has open, bytes. */
export const RUN_DATABASE_BYTES = 640 * 2 ** 20

/**
 * What a database takes that it does not count, bytes: buffers of the Parquet files that it reads
 * and writes, and memory that its allocator has not given back yet.
 */
export const RUN_DATABASE_BESIDE_BYTES = 512 * 2 ** 20

/**
 * The same for a run within the default bounds of its records and bytes, with a database of less:
 * a third of it was measured.
 */
export const BOUNDED_RUN_DATABASE_BESIDE_BYTES = 96 * 2 ** 20

/** What the process takes before a database is open, and for a file on its way, bytes. */
export const RUN_PROCESS_BYTES = 384 * 2 ** 20

assert(
  RUN_PROCESS_BYTES + RUN_DATABASE_BYTES + RUN_DATABASE_BESIDE_BYTES <= RUN_MEMORY_BYTES,
  'the process and the database of a step fit the run',
)

/** Largest line of a raw file: a record that cannot be read stands in it as base64, bytes. */
export const RAW_LINE_BYTES_MAX = 32 * 2 ** 20

/** Lines collected before they are compressed, bytes. */
export const RAW_CHUNK_BYTES = 2 ** 18

/** Compression of raw files: a higher level gains little on events and costs much. */
export const RAW_ZSTD_LEVEL = 3

assert(RECORD_MAX_BYTES * 1.5 < RAW_LINE_BYTES_MAX, 'a line must hold the largest record as base64')

/** Partitions of a topic whose control rows are read. */
export const PARTITIONS_MAX = 65_535

/** Share of the log's retention at which records that are in no file count as near their expiry. */
export const LAG_RETENTION_SHARE_MAX = 0.5

/** The first delay of a run that is tried again is below this, ms; it doubles up to the largest. */
export const RUN_RETRY_DELAY_MS = 1_000
export const RUN_RETRY_DELAY_MAX_MS = 60_000

/** Partitions whose raw files are written at a time, each with a fetch and, twice, a file in memory. */
export const PARTITIONS_AT_ONCE_MAX = 16

/** How often whoever merges looks for what shards have made, ms. */
export const PARTS_POLL_MS = 2_000

/** Parts of a run that are read at a time. */
export const PARTS_READ_AT_ONCE = 8

/** Objects of a run that are looked through at a time. */
export const RUN_OBJECTS_PER_PAGE = 1_000

/** Raw files that are looked through at a time for those that nothing names. */
export const RAW_OBJECTS_PER_PAGE = 1_000

/** Runs before a new one whose raw files are looked through, of those that shards or a failure may have left some of. */
export const LATE_RUNS_MAX = 16

/** Objects of a run that a dry run counts. */
export const RUN_OBJECTS_MAX = 100_000

/** Age at which `init gcp` has raw files moved to the class ARCHIVE, days. */
export const ARCHIVE_AFTER_DAYS = 7

/** Age at which it has staging files deleted, days: a run must be over by then. */
export const STAGING_KEPT_DAYS = 30

/** Age at which it has the files of replays deleted, days: none goes on for so long. */
export const REPLAYS_KEPT_DAYS = 7

/** How long a table of the dataset for what runs write in between lives, days. */
export const STAGING_TABLES_KEPT_DAYS = 1

/** Time of one query of a run that returns rows, ms. */
export const QUERY_TIMEOUT_MS = 300_000

/** Days that the rows of one run may lie on: a record may be received long before it is logged. */
export const DATES_MAX = 36_600

/**
 * Copies that loading decides about at a time: some 100 bytes each. Sessions are divided into as many
 * groups as that takes; a small run is one, and so is every run where the warehouse computes elsewhere.
 */
export const LOAD_COPIES_PER_BUCKET = 2_000_000

/**
 * Copies of a group of sessions below which a backfill makes fewer groups than it may. Six times as many
 * fit into the memory of a run's database: sessions that began before the days have more than is counted.
 */
export const FACT_COPIES_PER_GROUP = 100_000

/**
 * Copies that arrived in the days which a backfill computes at once: as many as the measured run has that
 * `RUN_MEMORY_BYTES` holds for. Where the warehouse computes elsewhere, a hundred times as many.
 */
export const BACKFILL_COPIES_AT_ONCE = 10_000_000
export const BACKFILL_COPIES_AT_ONCE_ELSEWHERE = 1_000_000_000

/** Days that it computes at once: their minutes are made of all sessions together. */
export const BACKFILL_DAYS_AT_ONCE = 31

/** Groups of sessions that are computed one after another: the most that `factBuckets` allows. */
export const SESSION_GROUPS_MAX = 256

/** Rows of values in one statement; each is some twenty parameters. */
export const ROWS_PER_STATEMENT = 50

/** Lines of values in one statement, which numbers them by three digits. */
export const LINES_PER_STATEMENT = 1_000

/** Length of all lines of such a statement, as long as the longest of them, characters. */
export const LINES_MAX_CHARS = 200_000

/** Quality is told by player version for so many of a run, the largest; the rest are one. */
export const QUALITY_VERSIONS_MAX = 200

/** A rate of fewer is not flagged. */
export const QUALITY_SAMPLE_MIN = 25

/** An event that comes so long after the one before, ms, says that heartbeats are missing. */
export const QUALITY_GAP_MS = 60_000

/** Frames of exceptions are looked up among those received so long before, ms. */
export const QUALITY_FRAMES_LOOKUP_MS = 7 * 24 * 60 * 60_000

/** What `reconcile` compares by default: so long before the watermark at the cut, ms. */
export const RECONCILE_RANGE_MS = 24 * 60 * 60_000

/** Minutes that are compared at a time, ms. */
export const RECONCILE_WINDOW_MS = 60 * 60_000

/** Rows of one query of `reconcile`, on either side. */
export const RECONCILE_ROWS_MAX = 2_000_000

/** Sessions that are compared at a time. */
export const RECONCILE_SESSIONS_PER_PAGE = 500

/** Rows that differ; beyond, the two sides are not of the same log. */
export const RECONCILE_DIFFERENCES_MAX = 500_000

/** Differing values that a report lists. */
export const RECONCILE_DEFECTS_LISTED_MAX = 200

/** Sessions that a report names, of those of which copies wait and of those in several partitions. */
export const RECONCILE_SESSIONS_LISTED_MAX = 20

/** How often a comparison is made before an unexplained difference is a defect. */
export const RECONCILE_TRIES = 3

/** Time between two of them, in which the processor writes what it has set aside, ms. */
export const RECONCILE_TRY_AGAIN_MS = 2_000

/** Exceptions that no run has loaded yet. */
export const RECONCILE_EXCEPTIONS_MAX = 1_000_000

/** Records and bytes of one read of `playback.exceptions`. */
export const RECONCILE_FETCH_RECORDS = 5_000
export const RECONCILE_FETCH_BYTES = 8 * 2 ** 20

/** Events of erased sessions that a comparison takes from the log to prove what they explain. */
export const RECONCILE_ERASED_COPIES_MAX = 200_000

/** Rows of one write of a repair. */
export const RECONCILE_ROWS_PER_WRITE = 500

/** Sessions of one viewer that an erasure removes. */
export const ERASE_SESSIONS_MAX = 200_000

/** Raw files of a topic that an erasure writes anew. */
export const ERASE_FILES_MAX = 200_000

/** Live sessions that are read at a time in search of a viewer's. */
export const ERASE_SESSIONS_PER_PAGE = 500

/** Sessions of one append of an erasure, whose keys it ends. */
export const ERASE_KEYS_PER_APPEND = 500

/** Days of one write; what is written of more is divided. */
export const DATES_PER_WRITE = 400

assert(
  DATES_PER_WRITE <= DATES_PER_VERB_MAX,
  'a verb of the warehouse may name the dates of a write',
)

/** Days of sessions that wait, looked through when they lie on more than one write may name. */
export const WAITING_DAYS_MAX = 2_000_000

/** Erasures of one viewer. */
export const ERASE_ROUNDS_MAX = 1_000

/** Plans that one call of an erasure makes: each after the first because a compaction was in the way. */
export const ERASE_PLANS_MAX = 5

/** Files of runs that one raw file may be joined of: each of the runs reads it whole to be loaded again. */
export const JOINED_FILES_MAX = 64

/** Raw files that a replay or a command looks up in the ledger. */
export const LEDGER_ROWS_MAX = 1_000_000

/** Raw files of which `verify` says that the tables hold another number of rows. */
export const VERIFY_PLACES_MAX = 200

/** Staging files of a killed replay that are deleted at a time. */
export const REPLAY_LEFTOVERS_PER_PAGE = 1_000

/** Views of the speed store that replays may fill. */
export const REPLAY_VIEWS_MAX = 100

/** Records between two writes of a replay's rows, and rows of one write. */
export const REPLAY_RECORDS_PER_WRITE = 20_000
export const REPLAY_ROWS_PER_WRITE = 500

/** What two views are compared in by default: so long before where the one behind is, ms. */
export const VIEW_COMPARE_RANGE_MS = 24 * 60 * 60_000

/** Minutes that are compared or counted at a time, ms. */
export const VIEW_WINDOW_MS = 60 * 60_000

/** Rows of one such window of a cut. */
export const VIEW_ROWS_MAX = 2_000_000

/** Differences that a comparison lists; it counts all of them. */
export const VIEW_DIFFERENCES_LISTED_MAX = 200

/** How long a view must stand still before it is dropped, ms: longer than progress is told or a tick comes. */
export const VIEW_DROP_WATCH_MS = 12_000

/** Sessions of either view that a comparison looks at. */
export const VIEW_SESSIONS_COMPARED_MAX = 1_000_000

/** Sessions of a view that are compared, or deleted when it is dropped, at a time. */
export const VIEW_SESSIONS_PER_PAGE = 500

/** Checkpoints of a dropped view that are deleted at a time. */
export const VIEW_OBJECTS_PER_PAGE = 1_000
