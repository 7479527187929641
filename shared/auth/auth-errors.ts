import { defineErrors } from '../runtime/errors.ts'

export const authErrors = defineErrors({
  AUTH_TOKEN_MISSING: {
    rule: 'a request must carry a token',
    retryable: false,
    status: 401,
    closeCode: 4401,
    action: 'Send `Authorization: Bearer …`, or the subprotocol `bearer.<base64url of the token>`.',
  },
  AUTH_TOKEN_INVALID: {
    rule: 'a token must be signed by a known key and meet the issuer, audience and expiry asked for',
    retryable: false,
    status: 401,
    closeCode: 4401,
    action: 'Get a token from the configured issuer.',
  },
  AUTH_TOKEN_EXPIRED: {
    rule: 'a token must not have expired',
    retryable: false,
    status: 401,
    closeCode: 4401,
    action: 'Get a new token and connect again.',
  },
  AUTH_SCOPE_MISSING: {
    rule: 'a token must carry the scope of what it is used for',
    retryable: false,
    status: 403,
    closeCode: 4401,
    action: 'Get a token with scope `write` to send events, `read` to query.',
  },
  AUTH_KEYS_UNAVAILABLE: {
    rule: 'the key set must have been fetched once before tokens can be verified',
    retryable: true,
    status: 503,
    action: 'Check BACKHAUL_AUTH_JWKS_URL and its endpoint; requests are refused until it answers.',
  },
})
