import { defineErrors } from '../shared/runtime/errors.ts'

export const servingErrors = defineErrors({
  SERVING_PORT_IN_USE: {
    rule: 'the address of serving must be free',
    retryable: false,
    action: 'Stop the other process, or set SERVING_PORT or SERVING_HOST to another address.',
  },
  SERVING_ADDRESS_UNAVAILABLE: {
    rule: 'the address of serving must be one that this machine can listen on',
    retryable: false,
    action:
      'Set SERVING_HOST to an address of this machine, or a name of one, and SERVING_PORT to a port that the process may open.',
  },
  SERVING_AUTH_REQUIRED: {
    rule: 'an address other than loopback must not be served without authentication',
    retryable: false,
    action: 'Set BACKHAUL_AUTH_MODE to hs256 or jwks, or SERVING_HOST to 127.0.0.1.',
  },
  SERVING_QUERY_INVALID: {
    rule: 'a query parameter must be known and have a value of its type and range',
    retryable: false,
    status: 400,
    action: 'Correct the parameter named in the detail; /openapi.json describes all of them.',
  },
  SERVING_RANGE_INVALID: {
    rule: 'a time range must run forward, stay within the longest range and hold a bounded number of buckets',
    retryable: false,
    status: 400,
    action: 'Shorten the range, take a larger step, or ask for fewer series.',
  },
  SERVING_CUT_UNKNOWN: {
    rule: 'the dimensions of a query must be covered by a configured cut',
    retryable: false,
    status: 400,
    action: 'Ask for dimensions of one configured cut, or add a cut to BACKHAUL_CUTS.',
  },
  SERVING_CONTENT_ABSENT: {
    rule: 'a dimension of content metadata needs a source of it',
    retryable: false,
    status: 400,
    action:
      'Set BACKHAUL_CONTENT_SOURCE to topic or file, and load the metadata (docs/content.md).',
  },
  SERVING_QUERY_TOO_LARGE: {
    rule: 'a query must not read more rows than the limit',
    retryable: false,
    status: 400,
    action: 'Shorten the range, or filter with `where`.',
  },
  SERVING_CURSOR_INVALID: {
    rule: 'a cursor must be one that an earlier page of the same timeline or list gave',
    retryable: false,
    status: 400,
    action: 'Start again without a cursor.',
  },
  SERVING_SESSION_UNKNOWN: {
    rule: 'a session must be in the speed store or in the history to be shown',
    retryable: true,
    status: 404,
    action: 'Check the id. A new session shows a few seconds after its first event.',
  },
  SERVING_HISTORY_UNAVAILABLE: {
    rule: 'the warehouse must answer for the history',
    retryable: true,
    status: 503,
    action:
      'Check the batch and the warehouse. Meanwhile answers hold what the speed store has, and say so.',
  },
  SERVING_HISTORY_BUSY: {
    rule: 'the number of history queries at a time is bounded',
    retryable: true,
    status: 503,
    action: 'Ask again; the answer held what the speed store has.',
  },
  SERVING_HISTORY_CUT_MISSING: {
    rule: 'a cut is in the history from the run on that first computed it',
    retryable: false,
    action:
      'Ask for a range after the cut was configured; `batch run` computes it for new minutes only.',
  },
  SERVING_PATH_UNKNOWN: {
    rule: 'a path must be one of the API',
    retryable: false,
    status: 404,
    action: 'See /openapi.json.',
  },
  SERVING_METHOD_NOT_ALLOWED: {
    rule: 'the API is read with GET',
    retryable: false,
    status: 405,
    action: 'Send GET, or OPTIONS for a preflight.',
  },
  SERVING_ORIGIN_REFUSED: {
    rule: 'a browser may open a live connection only from this host or a configured origin',
    retryable: false,
    status: 403,
    action: 'Add the origin to SERVING_CORS_ORIGINS.',
  },
  SERVING_BUSY: {
    rule: 'the number of requests worked on at a time is bounded',
    retryable: true,
    status: 503,
    action: 'Try again after Retry-After.',
  },
  SERVING_TIMEOUT: {
    rule: 'an answer must be ready within the request timeout',
    retryable: true,
    status: 503,
    action: 'Shorten the range; check the speed store.',
  },
  SERVING_INTERNAL: {
    rule: 'a request must not meet a defect of the server',
    retryable: true,
    status: 500,
    action: 'See the server’s log; please report it.',
  },
  SERVING_LIVE_MESSAGE_INVALID: {
    rule: 'a message of a live client must be a subscribe or unsubscribe message',
    retryable: false,
    action: 'Correct the message; LiveClientMessage in /openapi.json describes both shapes.',
  },
  SERVING_LIVE_MESSAGES_TOO_FAST: {
    rule: 'a live client may send a bounded number of messages a second',
    retryable: true,
    closeCode: 1008,
    action: 'Send subscriptions once; they stay until they are replaced.',
  },
  SERVING_LIVE_CONNECTIONS_FULL: {
    rule: 'the number of live connections is bounded',
    retryable: true,
    status: 503,
    action: 'Try again later, or raise SERVING_LIVE_CONNECTIONS_MAX.',
  },
  SERVING_LIVE_SUBSCRIPTIONS_FULL: {
    rule: 'the number of subscriptions of a connection and of all connections is bounded',
    retryable: true,
    action: 'Unsubscribe from another one first.',
  },
  SERVING_LIVE_TOO_SLOW: {
    rule: 'a live client must read what it is sent',
    retryable: true,
    closeCode: 4408,
    action: 'Connect again; a fresh snapshot is sent.',
  },
  SERVING_LIVE_TOKEN_EXPIRED: {
    rule: 'a live connection ends when its token expires',
    retryable: true,
    closeCode: 4401,
    action: 'Connect again with a fresh token.',
  },
})
