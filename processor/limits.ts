/**
 * Bounds that are not for operators to set; those that are stand in `config.ts` with their ranges.
 * Every bound shows in a metric or ends in an error.
 */

import { assert } from '../shared/runtime/errors.ts'

/** Period of everything that happens by time: row writes, outputs, progress, reports, ms. */
export const TIMED_STEP_MS = 250

/** Moments a write queue remembers in order to tell how far its rows reach. */
export const MARKS_PER_QUEUE_MAX = 128

/** Moments by which a partition remembers what its pending outputs came of. */
export const OUTPUT_MARKS_MAX = 256

/** How often a claim on a partition's owner object is tried against other claimants. */
export const CLAIM_ATTEMPTS_MAX = 5

/** Checkpoints of earlier generations removed at one rebuild; what is left goes at the next. */
export const OLD_CHECKPOINTS_MAX = 100

/** Length of a checkpoint's header, bytes. */
export const CHECKPOINT_HEADER_BYTES_MAX = 4_096

/** Bytes of a poison record that are kept when the reject topic does not take all of it; these it always takes. */
export const POISON_CUT_BYTES = 32 * 1_024

/** Characters of a poison record's reason that are kept. */
export const POISON_REASON_CHARS_MAX = 256

/** A member that gave partitions up and was told nothing for this long joins the group anew, ms. */
export const REASSIGN_DEADLINE_MS = 120_000

/** How long a paused partition waits before it looks again, ms. */
export const PAUSE_POLL_MS = 250

/** Age of a narrow row's oldest change when it is durable, ms: older counts against the objective (docs/slo.md). */
export const FRESHNESS_OBJECTIVE_MS = 10_000

/**
 * A partition whose last record is older, and that has not come to the end of the log for as long,
 * catches up, ms: its rows count as stale anyway.
 */
export const CATCH_UP_AFTER_MS = 10_000

/** How long rows may wait at most while their partition catches up, ms. */
export const CATCH_UP_WAIT_MAX_MS = 60_000

/** They wait no longer once this share of PROCESSOR_DIRTY_ROWS_MAX does. */
export const CATCH_UP_DIRTY_SHARE = 1 / 4

/** Sessions of a partition whose trace context is remembered, those that sent last. */
export const TRACED_SESSIONS_MAX = 10_000

/** Owners a partition may have in one generation, so that progress stamps stay below 2^53. */
export const OWNER_EPOCH_MAX = 2 ** 21 - 1

/** Progress rows of one owner: the low part of a progress stamp. */
export const PROGRESS_ROWS_PER_OWNER_MAX = 2 ** 32 - 1

/** Valid checkpoints kept per partition: the last, and the one to fall back on. */
export const CHECKPOINTS_KEPT = 2

/** How often a processor on its own removes expired rows from the embedded store, ms. */
export const ROW_EXPIRY_PERIOD_MS = 60 * 60_000

/** Beyond the grace of its partitions, a stop may take so long to leave the group and close, ms. */
export const STOP_MARGIN_MS = 15_000

assert(CATCH_UP_AFTER_MS >= FRESHNESS_OBJECTIVE_MS, 'only rows that are stale anyway may wait')
