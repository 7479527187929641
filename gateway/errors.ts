import { defineErrors } from '../shared/runtime/errors.ts'

const startErrors = {
  GATEWAY_PORT_IN_USE: {
    rule: 'the address of the gateway must be free',
    retryable: false,
    action: 'Stop the other process, or set GATEWAY_PORT or GATEWAY_HOST to another address.',
  },
  GATEWAY_ADDRESS_UNAVAILABLE: {
    rule: 'the address of the gateway must be one that this machine can listen on',
    retryable: false,
    action:
      'Set GATEWAY_HOST to an address of this machine, or a name of one, and GATEWAY_PORT to a port that the process may open.',
  },
  GATEWAY_ADMIN_PORT_UNAVAILABLE: {
    rule: 'the address for operators must be a free one of this machine',
    retryable: false,
    action: 'Set GATEWAY_ADMIN_PORT or GATEWAY_ADMIN_HOST to another address.',
  },
  GATEWAY_KEYS_REQUIRED: {
    rule: 'gateways beside one another must share the keys of pseudonyms and rejects',
    retryable: false,
    action: 'Set BACKHAUL_PSEUDONYM_KEYS and BACKHAUL_SEAL_KEY, the same for every service.',
  },
  GATEWAY_PROCESS_FAILED: {
    rule: 'every process of a pool must start',
    retryable: false,
    action: 'See what the process said before it ended.',
  },
  GATEWAY_AUTH_REQUIRED: {
    rule: 'an address other than loopback must not be served without authentication',
    retryable: false,
    action: 'Set BACKHAUL_AUTH_MODE to hs256 or jwks, or GATEWAY_HOST to 127.0.0.1.',
  },
} as const

const requestErrors = {
  GATEWAY_PATH_UNKNOWN: {
    rule: 'a path must be one of the gateway',
    retryable: false,
    status: 404,
    action: 'Send events to /v1/events or /cmcd.',
  },
  GATEWAY_ADMIN_PATH_UNKNOWN: {
    rule: 'the port for operators answers /healthz, /readyz and /metrics',
    retryable: false,
    status: 404,
    action: 'Send events to GATEWAY_PORT.',
  },
  GATEWAY_METHOD_NOT_ALLOWED: {
    rule: 'a method must be one that the path takes',
    retryable: false,
    status: 405,
    action: 'Use a method named in the Allow header.',
  },
  GATEWAY_UPGRADE_REQUIRED: {
    rule: 'a GET of /v1/events must ask for a WebSocket',
    retryable: false,
    status: 426,
    action: 'Open it as a WebSocket, or send the frame with POST.',
  },
  GATEWAY_SUBPROTOCOL_UNSUPPORTED: {
    rule: 'a WebSocket must offer the subprotocol playback.v1',
    retryable: false,
    status: 400,
    action: 'Offer playback.v1 in Sec-WebSocket-Protocol.',
  },
  GATEWAY_ORIGIN_REFUSED: {
    rule: 'a page must be of an allowed origin',
    retryable: false,
    status: 403,
    action: 'Add the origin to GATEWAY_ALLOWED_ORIGINS.',
  },
  GATEWAY_MEDIA_TYPE_UNSUPPORTED: {
    rule: 'a frame must be sent as application/json or text/plain, uncompressed',
    retryable: false,
    status: 415,
    action: 'Set Content-Type to application/json and leave Content-Encoding out.',
  },
  GATEWAY_BODY_TOO_LARGE: {
    rule: 'a body must not be larger than the limit',
    retryable: false,
    status: 413,
    action: 'Split the events over several requests.',
  },
  GATEWAY_BODY_TIMEOUT: {
    rule: 'a body must arrive in time',
    retryable: true,
    status: 408,
    action: 'Send the body at once.',
  },
  GATEWAY_CMCD_UNREADABLE: {
    rule: 'a CMCD body must hold at least one readable record',
    retryable: false,
    status: 400,
    action: 'Correct the player; the records are kept in the reject topic.',
  },
  GATEWAY_INGEST_KEY_REQUIRED: {
    rule: 'where authentication is on, a player reports to /cmcd/{ingestKey}',
    retryable: false,
    status: 401,
    action: 'Put a key of BACKHAUL_AUTH_INGEST_KEYS into the path.',
  },
  GATEWAY_INGEST_KEY_UNKNOWN: {
    rule: 'an ingest key must be a configured one',
    retryable: false,
    status: 401,
    action: 'Use a key of BACKHAUL_AUTH_INGEST_KEYS.',
  },
  GATEWAY_TARGET_OFF: {
    rule: 'a CMCD target must not be switched off',
    retryable: false,
    status: 410,
    action: 'None: the player stops reporting. GATEWAY_CMCD_OFF_KEYS switches targets off.',
  },
} as const

const capacityErrors = {
  GATEWAY_CONNECTIONS_FULL: {
    rule: 'the number of connections is bounded',
    retryable: true,
    status: 503,
    action: 'Connect again later, or raise GATEWAY_CONNECTIONS_MAX or the number of gateways.',
  },
  GATEWAY_BUSY: {
    rule: 'new connections are taken only while the bytes on their way into the log are few enough',
    retryable: true,
    status: 503,
    action: 'Connect again later. If it lasts, look at the log and the lane metrics.',
  },
  GATEWAY_REQUESTS_FULL: {
    rule: 'the number of requests worked on at a time is bounded',
    retryable: true,
    status: 429,
    action: 'Send it again after Retry-After.',
  },
  GATEWAY_OVERLOADED: {
    rule: 'the bytes on their way into the log are bounded',
    retryable: true,
    status: 429,
    closeCode: 1013,
    action: 'Send it again after Retry-After. If it lasts, look at the log and the lane metrics.',
  },
  GATEWAY_RATE_LIMITED: {
    rule: 'a client address and a token’s subject may send so many events and bytes a second',
    retryable: true,
    status: 429,
    action:
      'Send it again after Retry-After. Operators: GATEWAY_ADDRESS_…_PER_SECOND_MAX and GATEWAY_SUBJECT_…_PER_SECOND_MAX.',
  },
  GATEWAY_UPGRADES_LIMITED: {
    rule: 'so many connections may be opened in a second',
    retryable: true,
    status: 503,
    action: 'Connect again after Retry-After. Operators: GATEWAY_UPGRADES_PER_SECOND_MAX.',
  },
  GATEWAY_LOG_UNAVAILABLE: {
    rule: 'the event log must take a frame before it is acknowledged',
    retryable: true,
    status: 503,
    action: 'Send it again after Retry-After. Operators: check the log; nothing was acknowledged.',
  },
  GATEWAY_PROCESS_DOWN: {
    rule: 'a pool is ready while all of its processes are',
    retryable: true,
    status: 503,
    action: 'Wait for the restart; if it lasts, see what the process said before it ended.',
  },
  GATEWAY_APPEND_REFUSED: {
    rule: 'the event log must be able to take a frame at all',
    retryable: false,
    status: 500,
    closeCode: 1011,
    action: 'See the gateway’s log for the event log’s own error.',
  },
  GATEWAY_DRAINING: {
    rule: 'a gateway that stops takes nothing new',
    retryable: true,
    status: 503,
    closeCode: 1001,
    action: 'Connect again; another gateway answers.',
  },
  GATEWAY_INTERNAL: {
    rule: 'a request or frame must not meet a defect of the gateway',
    retryable: true,
    status: 500,
    closeCode: 1011,
    action: 'See the gateway’s log; please report it.',
  },
  GATEWAY_CLOCK_SKEWED: {
    rule: 'the gateway’s clock must agree with the append times of the log',
    retryable: true,
    status: 503,
    action: 'Correct the clock of the machine; existing connections go on.',
  },
} as const

const connectionErrors = {
  GATEWAY_FRAME_TOO_LARGE: {
    rule: 'a frame must not be larger than the frameMaxBytes of the welcome',
    retryable: false,
    closeCode: 1009,
    action: 'Split the events over several frames.',
  },
  GATEWAY_TEXT_INVALID: {
    rule: 'a text message must be valid UTF-8; the connection is cut without a close frame',
    retryable: false,
    closeCode: 1006,
    action: 'Correct the client.',
  },
  GATEWAY_WEBSOCKET_INVALID: {
    rule: 'a WebSocket frame must be well formed; the connection is cut without a close frame',
    retryable: false,
    closeCode: 1006,
    action: 'Correct the client, or what stands between it and the gateway.',
  },
  GATEWAY_FRAME_OUT_OF_SEQUENCE: {
    rule: 'frames must count from 0 on a connection without gaps',
    retryable: false,
    closeCode: 1008,
    action: 'Correct the client; docs/protocol.md describes the numbering.',
  },
  GATEWAY_CREDIT_EXCEEDED: {
    rule: 'a frame must lie within the credit told',
    retryable: false,
    closeCode: 1008,
    action: 'Correct the client: hold frames until an acknowledgement moves the credit.',
  },
  GATEWAY_CLIENT_TOO_SLOW: {
    rule: 'a client must read what it is sent',
    retryable: true,
    closeCode: 1013,
    action: 'Connect again and read the acknowledgements.',
  },
  GATEWAY_HELLO_TIMEOUT: {
    rule: 'a connection must bring its first frame in time',
    retryable: true,
    closeCode: 4408,
    action: 'Connect when there is something to send.',
  },
  GATEWAY_IDLE_TIMEOUT: {
    rule: 'a connection must bring a frame now and then',
    retryable: true,
    closeCode: 4408,
    action: 'Send heartbeats, or connect again when there is something to send.',
  },
  GATEWAY_CLIENT_UNRESPONSIVE: {
    rule: 'a connection must answer a ping or complete a frame in time',
    retryable: true,
    closeCode: 4408,
    action: 'Connect again.',
  },
  GATEWAY_LIFETIME_REACHED: {
    rule: 'a connection ends after a time, so that clients spread over the gateways there are',
    retryable: true,
    closeCode: 1001,
    action: 'Connect again, to any gateway. GATEWAY_MAX_LIFETIME_MS sets the time.',
  },
  GATEWAY_TOKEN_EXPIRED: {
    rule: 'a connection ends when its token has expired',
    retryable: true,
    closeCode: 4401,
    action: 'Connect again with a fresh token.',
  },
  GATEWAY_REJECTIONS_OMITTED: {
    rule: 'an acknowledgement tells a bounded number of rejected events of a frame',
    retryable: false,
    action: 'Correct the sender: further events of the frame were rejected as well.',
  },
} as const

export const gatewayErrors = defineErrors({
  ...startErrors,
  ...requestErrors,
  ...capacityErrors,
  ...connectionErrors,
})

export type GatewayErrorCode = keyof typeof gatewayErrors.catalogue
