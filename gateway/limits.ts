/**
 * Bounds of the gateway that operators do not set; those that they do stand in `config.ts` with
 * their ranges and relations. Each bound shows in a metric or ends in an error.
 */
import { assert } from '../shared/runtime/errors.ts'

/** Period of everything that happens by time: time-outs, deadlines, credit that was held back. */
export const SWEEP_MS = 250

/** Rejected events of one frame that an acknowledgement tells; the rest is summed up in one line. */
export const FRAME_REJECTIONS_TOLD_MAX = 64

/** Rejections after which an acknowledgement is sent and another begun. */
export const ACK_REJECTIONS_MAX = 128

/** Largest rejection in an acknowledgement: code, numbers, 240 characters of detail, escaped. */
const REJECTION_MAX_BYTES = 1_600

/** Largest acknowledgement. */
export const ACK_MAX_BYTES = (ACK_REJECTIONS_MAX + FRAME_REJECTIONS_TOLD_MAX) * REJECTION_MAX_BYTES

/** Least size of a connection's send buffer that an operator may set. */
export const SEND_BUFFER_MIN_BYTES = 320 * 2 ** 10

/** Share of the process byte budget above which credit edges stop moving. */
export const BUDGET_HIGH_SHARE = 0.75

/**
 * Payload the WebSocket server lets in, as a multiple of the largest frame: above the protocol's
 * limit, so that an oversized frame can be answered 1009; beyond this the socket is cut.
 */
export const PAYLOAD_SHARE = 2

/** What a record takes in memory beyond its key and value. */
export const RECORD_COST_BYTES = 256

/** What a lane cuts its records' values from; a larger share of it than this has memory of its own. */
export const RECORD_SLAB_BYTES = 32 * 2 ** 10
export const RECORD_SLAB_SHARE = 0.25

/** First wait before a failed append is repeated, doubled with each further failure. */
export const APPEND_RETRY_MS = 20
export const APPEND_RETRY_MAX_MS = 1_000

/** The log counts as unavailable for this long after its last failure, then it is tried again. */
export const LOG_DOWN_HOLD_MS = 2_500

/** An append under way for longer makes the log count as unavailable. */
export const APPEND_STALL_MS = 3_000

/** How long the lanes' pacer counts requests before it adapts the linger. */
export const PACE_WINDOW_MS = 500

/** Largest factor by which the linger changes in one step. */
export const PACE_STEP_MAX = 2

/** An append that takes this long makes its lane suspect: it leaves the turn that lanes share. */
export const LANE_SLOW_MS = 1_000

/** Turns over which suspect lanes are dealt out, hence requests that they may add to a turn. */
export const SUSPECT_TURNS_MAX = 8

/** Between turns of suspects, so that the log does not merge them. */
export const SUSPECT_TURN_GAP_MS = 1

/** Settled or discarded entries a lane's queue carries before it is compacted. */
export const LANE_DEAD_ENTRIES_MAX = 1_024

/** Largest `reconnectAfterMs` of a `goaway`: a client holds its frames back so long. */
export const GOAWAY_RECONNECT_MAX_MS = 1_000

/** How long after its `reconnectAfterMs` a client that was sent away is closed by the gateway. */
export const LEAVE_MARGIN_MS = 500

/** The longest that a client which was sent away stays while nothing is in flight. */
export const LEAVE_MAX_MS = GOAWAY_RECONNECT_MAX_MS + LEAVE_MARGIN_MS + SWEEP_MS

/** Share of the lifetime of connections that is left to chance. */
export const LIFETIME_JITTER = 0.2

/** A connection without a frame for this long gives back the memory that only a busy one needs. */
export const REST_AFTER_MS = 2_000

/** How often a drain looks whether it is done. */
export const DRAIN_POLL_MS = 20

/** Wait that an upgrade beyond the rate is told, before chance: least and most. */
export const UPGRADE_RETRY_MIN_MS = 1_000
export const UPGRADE_RETRY_MAX_MS = 30_000

/** Routes of GATEWAY_ROUTES. */
export const ROUTES_MAX = 64

/** How often a process of a pool looks whether its readiness has changed. */
export const POOL_STANDING_MS = 100

/** First wait before a process that ended is started again, doubled while it keeps ending early. */
export const POOL_RESTART_MS = 250
export const POOL_RESTART_MAX_MS = 30_000

/** A process that lived this long begins its waits anew. */
export const POOL_STABLE_MS = 60_000

/** How often a process of a pool says what it has counted: what a kill can take from the totals. */
export const POOL_TELL_MS = 1_000

/** Of a process that does not answer within this time, the merged metrics have its last counts, no gauges. */
export const POOL_METRICS_TIMEOUT_MS = 2_000

/** Beyond the drain's grace, before a process of a pool is killed. */
export const POOL_STOP_MARGIN_MS = 5_000

/** Bytes of a WebSocket close reason, by the protocol. */
export const CLOSE_REASON_MAX_BYTES = 123

/** How long a browser may remember the answer of a preflight. */
export const PREFLIGHT_MAX_AGE_SECONDS = 86_400

/** From the arrival of an event until the log has it, ms: later counts against the objective (docs/slo.md). */
export const ACCEPT_OBJECTIVE_MS = 1_000

/** Characters of an ingest key or a `traceparent` header that are looked at. */
export const INGEST_KEY_MAX_CHARS = 256
export const TRACEPARENT_MAX_CHARS = 64

/** States how the bounds hang together; called at start. */
export function assertGatewayLimits(): void {
  assert(FRAME_REJECTIONS_TOLD_MAX < ACK_REJECTIONS_MAX, 'a frame’s rejections fit one message')
  assert(ACK_MAX_BYTES <= SEND_BUFFER_MIN_BYTES, 'the largest acknowledgement fits the buffer')
  assert(APPEND_RETRY_MS <= APPEND_RETRY_MAX_MS, 'the first retry is not after the last')
  assert(APPEND_RETRY_MAX_MS < LOG_DOWN_HOLD_MS, 'a log that is being retried counts as down')
  assert(LANE_SLOW_MS < APPEND_STALL_MS, 'a lane is suspect before the log counts as down')
  assert(PACE_STEP_MAX > 1, 'the linger can change')
  assert(UPGRADE_RETRY_MIN_MS <= UPGRADE_RETRY_MAX_MS, 'the waits of upgrades are a range')
  assert(RECORD_SLAB_SHARE < 1, 'a piece holds several records')
  assert(LIFETIME_JITTER < 1, 'a connection has a lifetime')
  assert(POOL_RESTART_MS <= POOL_RESTART_MAX_MS, 'the waits of restarts are a range')
  assert(BUDGET_HIGH_SHARE < 1, 'credit stops before frames are refused')
  assert(PAYLOAD_SHARE > 1, 'an oversized frame arrives and can be answered')
}
