/** Bounds of the evaluator of alert rules that are not for operators to set. */
import { assert } from '../../shared/runtime/errors.ts'
import { TIMED_STEP_MS } from '../limits.ts'

/** How often the evaluator looks for minutes that are due, and the webhook for alerts, ms. */
export const ALERT_STEP_MS = 250
/**
 * From the last row of a minute to its alerts on their way to everybody, ms: what those in between
 * wait for one another. What calls take comes on top (`processor_alerts_publish_duration_ms`).
 */
export const ALERT_TOLD_WITHIN_MS = 1_000
/** How long its lease lasts without a renewal, ms. */
export const ALERT_LEASE_MS = 15_000
/** How often an evaluator without the lease asks for it, ms. */
export const ALERT_LEASE_RETRY_MS = 3_000
/** Minutes that an evaluator which was away still judges; older ones are counted and skipped. */
export const ALERT_CATCH_UP_MINUTES_MAX = 60
/** Rows that one read of a rule's window may find; beyond, the rule skips the minute. */
export const ALERT_ROWS_PER_READ_MAX = 50_000
/** Rows of one write of rule states. */
export const ALERT_STATES_PER_WRITE_MAX = 16
/** How long the state of a rule is kept after its last judged minute, ms. */
export const ALERT_STATE_RETENTION_MS = 90 * 24 * 60 * 60_000
/** Longest delay before the first repeat of a failed post; doubles with each further one, ms. */
export const ALERT_WEBHOOK_RETRY_FIRST_MS = 500
/** Longest delay before any repeat of a failed post, ms. */
export const ALERT_WEBHOOK_RETRY_MAX_MS = 30_000

assert(
  ALERT_LEASE_RETRY_MS <= ALERT_LEASE_MS && ALERT_STEP_MS * 4 <= ALERT_LEASE_MS,
  'an evaluator comes by several times while its lease lasts',
)
assert(
  TIMED_STEP_MS + 2 * ALERT_STEP_MS <= ALERT_TOLD_WITHIN_MS,
  'progress is said, a minute judged and an alert posted within ALERT_TOLD_WITHIN_MS',
)
assert(
  ALERT_WEBHOOK_RETRY_FIRST_MS <= ALERT_WEBHOOK_RETRY_MAX_MS,
  'ALERT_WEBHOOK_RETRY_FIRST_MS ≤ _MAX_MS',
)
