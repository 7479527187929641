/** Bounds of the process that runs the batch beside a standalone server, and of the way to it. */
import { BOUNDED_RUN_DATABASE_BESIDE_BYTES, RUN_PROCESS_BYTES } from '../batch/config.ts'
import { assert } from '../shared/runtime/errors.ts'

/** Shortest time between two scheduled runs. */
export const BATCH_EVERY_MIN_MS = 10_000
/** When the first run is due after the first start, unless the schedule is shorter. */
export const BATCH_FIRST_RUN_MS = 60_000
/** Pause before a run that failed is tried again; doubled each time. */
export const BATCH_RETRY_FIRST_MS = 10_000
/** Times that a run that failed is tried again before it waits for its schedule. */
export const BATCH_RETRIES_MAX = 5
/** How often the verdict of a reconciliation is looked for. */
export const RECONCILE_LOOK_MS = 10_000

const MIB = 2 ** 20

/** JavaScript heap of the process, MiB; it is a part of `RUN_PROCESS_BYTES`. */
export const BATCH_HEAP_MIB = 256
/** Memory of the batch's database sessions, and of the one that flattens, MiB; one is open at a time. */
export const BATCH_DATABASE_MIB = 256
/** Memory of one session that answers for serving, MiB. */
export const QUERY_DATABASE_MIB = 96
/** Sessions that serving may have open: the present snapshot, the one before, and a look for a newer. */
export const QUERY_SESSIONS_MAX = 3
/** What the process may take in all, MiB, while its runs keep to their default bounds. */
export const BATCH_PROCESS_MIB = 1_024
/** Threads of each database. */
export const BATCH_DATABASE_THREADS = 1
/** Threads of the pool in which databases and files are waited for: the batch never takes them all. */
export const BATCH_POOL_THREADS = 8

/** Requests to the process that are under way. */
export const BATCH_REQUESTS_MAX = 32
/** Rows of one message: what a server does between two of them is never held up for long. */
export const BATCH_ROWS_PER_MESSAGE = 200
/** How long a request waits for a process that is starting. */
export const BATCH_READY_WAIT_MS = 10_000
/** How long an answer may take beyond the time that its query has. */
export const BATCH_ANSWER_GRACE_MS = 5_000
/** How long the process may take to stop before it is killed. */
export const BATCH_STOP_GRACE_MS = 5_000
/** Pause before the process is started again after it ended; doubled each time. */
export const BATCH_RESTART_FIRST_MS = 1_000
/** Longest pause before the process is started again. */
export const BATCH_RESTART_MAX_MS = 60_000
/** A process that has been ready for so long begins with the first pause again. */
export const BATCH_RESTART_RESET_MS = 120_000

assert(BATCH_HEAP_MIB * MIB < RUN_PROCESS_BYTES, 'the heap is a part of the process')
assert(
  RUN_PROCESS_BYTES +
    BOUNDED_RUN_DATABASE_BESIDE_BYTES +
    (BATCH_DATABASE_MIB + QUERY_SESSIONS_MAX * QUERY_DATABASE_MIB) * MIB <=
    BATCH_PROCESS_MIB * MIB,
  'the process of a run and all its databases fit the process',
)
assert(BATCH_RESTART_FIRST_MS <= BATCH_RESTART_MAX_MS, 'BATCH_RESTART_FIRST_MS ≤ _MAX_MS')
