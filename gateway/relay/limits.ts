/**
 * Bounds of the relay that operators do not set; those that they do stand in `config.ts`. Each bound
 * shows in a metric or ends in an error.
 */
import { assert } from '../../shared/runtime/errors.ts'

/** Feeds of one file, addresses of one feed, connections of one feed. */
export const FEEDS_MAX = 64
export const FEED_URLS_MAX = 8
export const FEED_CONNECTIONS_MAX = 256

/** Headers of one feed. */
export const FEED_HEADERS_MAX = 16

/** Characters of a feed's cursor, and of a source's own session id. */
export const CURSOR_MAX_CHARS = 1_024
export const SOURCE_SESSION_MAX_CHARS = 256

/** Frames that one message may become. */
export const FRAMES_PER_MESSAGE_MAX = 10_000

/** First wait before a feed is asked again, doubled up to the most; the wait itself is chance. */
export const RECONNECT_MS = 100
export const RECONNECT_MAX_MS = 30_000

/** A connection that lasted this long begins its waits anew. */
export const CONNECTION_STABLE_MS = 10_000

/** How often a connection looks whether its feed is silent. */
export const SILENCE_CHECK_MS = 250

/** Wait before what was given back for want of room is offered again. */
export const OFFER_AGAIN_MS = 50

/** Messages whose records are on their way into the log, for one connection. */
export const MESSAGES_IN_FLIGHT_MAX = 10_000

/** Share of the bytes in flight below which the spool is read again. */
export const SPOOL_RESUME_SHARE = 0.5

/** Least time between two acknowledgements to a feed. */
export const ACKNOWLEDGE_EVERY_MS = 20

/** Beyond the deadline of the log, before a relay that stops is ended. */
export const STOP_MARGIN_MS = 5_000

/** States how the bounds hang together; called at start. */
export function assertRelayLimits(): void {
  assert(RECONNECT_MS <= RECONNECT_MAX_MS, 'the first wait is not after the last')
  assert(SPOOL_RESUME_SHARE < 1, 'the spool is read while there is room')
}
