import { defineErrors } from '../../shared/runtime/errors.ts'

const SEE_RELAY = 'docs/relay.md describes the file and its fields.'

/** Why a connection of a feed ended, or could not be opened; it is opened again after a while. */
const connectionErrors = {
  RELAY_FEED_UNREACHABLE: {
    rule: 'the address of a feed must accept connections in time',
    retryable: true,
    action: 'Check the feed and the network; the next URL is tried, then all again.',
  },
  RELAY_FEED_REFUSED: {
    rule: 'a feed must answer the upgrade with 101',
    retryable: true,
    action: 'Look at the status: 401 and 403 ask for other credentials, 404 for another URL.',
  },
  RELAY_FEED_REDIRECTED: {
    rule: 'a feed must not redirect: credentials are sent to the named address only',
    retryable: true,
    action: 'Name the address it redirects to in `urls`.',
  },
  RELAY_FEED_CERTIFICATE_INVALID: {
    rule: 'a feed must present a certificate that is trusted',
    retryable: true,
    action: 'Correct the certificate, or name its authority in `caPath`.',
  },
  RELAY_FEED_CLOSED: {
    rule: 'a feed must stay connected',
    retryable: true,
    action: 'None: it is opened again. If it goes on, look at the close code and ask the feed.',
  },
  RELAY_FEED_SILENT: {
    rule: 'a feed must send something, a ping at least, within its `silenceMaxMs`',
    retryable: true,
    action: 'None: it is opened again. If the feed has quiet hours, raise `silenceMaxMs`.',
  },
  RELAY_MESSAGE_TOO_LARGE: {
    rule: 'a message of a feed must not be larger than the limit',
    retryable: true,
    action: 'Raise RELAY_MESSAGE_MAX_BYTES, or ask the feed for smaller messages.',
  },
  RELAY_SPOOL_FULL: {
    rule: 'what the log does not take yet must fit in memory and in the spool',
    retryable: true,
    action:
      'Look at the log. The feed is opened again when there is room; it repeats what it can resume.',
  },
  RELAY_SPOOL_FAILED: {
    rule: 'the disk must take and give back what is spooled',
    retryable: true,
    action:
      'Free or repair the disk under BACKHAUL_DATA_DIR. What was in the spool comes again from a feed that resumes.',
  },
  RELAY_MAPPING_FAILED: {
    rule: 'what a mapping tells its feed must be made without an error',
    retryable: true,
    action: 'Correct `hello` or `acknowledge` of the mapping; see the message.',
  },
  RELAY_OWNERSHIP_LOST: {
    rule: 'one relay owns a connection at a time',
    retryable: true,
    action: 'None: another relay went on with it while this one slept or had no object store.',
  },
} as const

export const relayErrors = defineErrors({
  ...connectionErrors,
  RELAY_FEEDS_REQUIRED: {
    rule: 'a relay must be told its feeds',
    retryable: false,
    action: `Set RELAY_FEEDS_PATH. ${SEE_RELAY}`,
  },
  RELAY_FEEDS_INVALID: {
    rule: 'the file of the feeds must be JSON of the documented shape',
    retryable: false,
    action: SEE_RELAY,
  },
  RELAY_MAPPING_INVALID: {
    rule: 'a mapping must be a built-in one or a module whose default export is a mapping',
    retryable: false,
    action: 'Correct `mapping`, or the module. docs/relay.md shows one.',
  },
  RELAY_SECRET_UNREADABLE: {
    rule: 'a file named for a header or a certificate authority must be readable',
    retryable: false,
    action: 'Correct the path or its rights.',
  },
  RELAY_CURSOR_INVALID: {
    rule: 'a saved position must be one that a relay of this version wrote',
    retryable: false,
    action:
      'Restore the object, or delete it to begin where the feed begins; identities made from it begin anew.',
  },
  RELAY_ADMIN_PORT_UNAVAILABLE: {
    rule: 'the address for operators must be a free one of this machine',
    retryable: false,
    action: 'Set RELAY_ADMIN_PORT or RELAY_ADMIN_HOST to another address.',
  },
  RELAY_LOG_UNAVAILABLE: {
    rule: 'the event log must answer before feeds are opened',
    retryable: true,
    status: 503,
    action: 'Check the log; the relay goes on by itself.',
  },
  RELAY_PATH_UNKNOWN: {
    rule: 'the port for operators answers /healthz, /readyz and /metrics',
    retryable: false,
    status: 404,
    action: 'Ask one of these.',
  },
  RELAY_INTERNAL: {
    rule: 'a request must not meet a defect of the relay',
    retryable: true,
    status: 500,
    action: 'See the relay’s log; please report it.',
  },
})

export type FeedFailureCode = keyof typeof connectionErrors
