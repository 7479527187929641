/** Who may send and who may read: JWTs under a shared secret (HS256) or an issuer's key set. */
import { createHash } from 'node:crypto'
import { isIPv4 } from 'node:net'
import { errors, jwtVerify, type JWTPayload, type JWTVerifyOptions } from 'jose'
import { LRUCache } from 'lru-cache'
import type { Clock } from '../runtime/clock.ts'
import { BackhaulError } from '../runtime/errors.ts'
import { authErrors } from './auth-errors.ts'
import {
  TOKEN_CLOCK_TOLERANCE_MS,
  TOKEN_MAX_CHARS,
  VERIFIED_TOKEN_MAX_AGE_MS,
  VERIFIED_TOKENS_MAX,
} from './limits.ts'
import { RemoteKeySet } from './remote-key-set.ts'

export type Scope = 'write' | 'read'

export interface Principal {
  /** `sub` of the token: the viewer, where players carry tokens of their own. */
  readonly subject: string | undefined
  readonly scopes: readonly string[]
  /** Epoch ms, without the tolerance; absent where no token is required. */
  readonly expiresAtMs: number | undefined
}

export interface TokenVerifier {
  /** False in mode `none`, where every request passes with every scope. */
  readonly required: boolean
  /** Rejects with an error of `authErrors`; none of them shows the token. */
  verify(token: string | undefined, scope: Scope): Promise<Principal>
}

export interface TokenVerifierOptions {
  readonly mode: 'none' | 'hs256' | 'jwks'
  /** Of `hs256`. */
  readonly secret: string
  /** Of `jwks`. */
  readonly jwksUrl: string
  /** Required `iss`; empty: not checked. */
  readonly issuer: string
  /** Required `aud`; empty: not checked. */
  readonly audience: string
}

export function createTokenVerifier(options: TokenVerifierOptions, clock: Clock): TokenVerifier {
  return options.mode === 'none' ? openToAll : new JwtVerifier(options, clock)
}

const EVERYBODY: Principal = {
  subject: undefined,
  scopes: ['write', 'read'],
  expiresAtMs: undefined,
}
const openToAll: TokenVerifier = { required: false, verify: () => Promise.resolve(EVERYBODY) }

/** The algorithm is ours to name, never the token's: a public key must not pass as a secret. */
const SECRET_ALGORITHMS = ['HS256']
const PUBLIC_KEY_ALGORITHMS = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
]

interface Verified {
  readonly principal: Principal
  readonly expiresAtMs: number
  /** Monotonic ms. */
  readonly verifiedAtMs: number
}

type CheckSignature = (token: string, claims: JWTVerifyOptions) => Promise<JWTPayload>

class JwtVerifier implements TokenVerifier {
  readonly required = true
  readonly #clock: Clock
  readonly #checkSignature: CheckSignature
  readonly #claims: JWTVerifyOptions
  /** By digest of the token. */
  readonly #verified = new LRUCache<string, Verified>({ max: VERIFIED_TOKENS_MAX })
  /** How often the keys have changed. */
  #keyChanges = 0

  constructor(options: TokenVerifierOptions, clock: Clock) {
    this.#clock = clock
    this.#claims = {
      requiredClaims: ['exp'],
      clockTolerance: TOKEN_CLOCK_TOLERANCE_MS / 1_000,
      ...(options.issuer !== '' && { issuer: options.issuer }),
      ...(options.audience !== '' && { audience: options.audience }),
    }
    this.#checkSignature =
      options.mode === 'hs256' ? sharedSecret(options.secret) : this.#keySet(options.jwksUrl)
  }

  async verify(token: string | undefined, scope: Scope): Promise<Principal> {
    if (token === undefined || token === '') throw authErrors.create('AUTH_TOKEN_MISSING')
    if (token.length > TOKEN_MAX_CHARS)
      throw authErrors.create('AUTH_TOKEN_INVALID', {
        expected: `at most ${TOKEN_MAX_CHARS} characters`,
        received: `${token.length}`,
      })
    const digest = createHash('sha256').update(token).digest('base64')
    const principal = this.#remembered(digest) ?? (await this.#check(token, digest))
    if (!principal.scopes.includes(scope))
      throw authErrors.create('AUTH_SCOPE_MISSING', { expected: scope })
    return principal
  }

  #keySet(url: string): CheckSignature {
    const keys = new RemoteKeySet({
      url: new URL(url),
      clock: this.#clock,
      onChange: () => {
        this.#keyChanges += 1
        this.#verified.clear()
      },
    })
    const find: typeof keys.find = (header, input) => keys.find(header, input)
    return async (token, claims) =>
      (await jwtVerify(token, find, { ...claims, algorithms: PUBLIC_KEY_ALGORITHMS })).payload
  }

  #remembered(digest: string): Principal | undefined {
    const verified = this.#verified.get(digest)
    if (verified === undefined) return undefined
    const { principal, expiresAtMs, verifiedAtMs } = verified
    const isRecent = this.#clock.monotonicMs() - verifiedAtMs < VERIFIED_TOKEN_MAX_AGE_MS
    if (isRecent && this.#clock.nowMs() < expiresAtMs + TOKEN_CLOCK_TOLERANCE_MS) return principal
    this.#verified.delete(digest)
    return undefined
  }

  async #check(token: string, digest: string): Promise<Principal> {
    const keyChanges = this.#keyChanges
    const payload = await this.#payloadOf(token)
    const expiresAtMs = (payload.exp ?? 0) * 1_000
    const principal: Principal = {
      subject: payload.sub === '' ? undefined : payload.sub,
      scopes: scopesOf(payload),
      expiresAtMs,
    }
    const verifiedAtMs = this.#clock.monotonicMs()
    // Checked with keys that are gone by now, it must not be remembered beyond them.
    if (keyChanges === this.#keyChanges)
      this.#verified.set(digest, { principal, expiresAtMs, verifiedAtMs })
    return principal
  }

  async #payloadOf(token: string): Promise<JWTPayload> {
    try {
      const currentDate = new Date(this.#clock.nowMs())
      return await this.#checkSignature(token, { ...this.#claims, currentDate })
    } catch (error) {
      if (error instanceof BackhaulError) throw error
      if (error instanceof errors.JWTExpired)
        throw authErrors.create('AUTH_TOKEN_EXPIRED', { cause: error })
      throw authErrors.create('AUTH_TOKEN_INVALID', { received: problemOf(error), cause: error })
    }
  }
}

function sharedSecret(secret: string): CheckSignature {
  const key = new TextEncoder().encode(secret)
  return async (token, claims) =>
    (await jwtVerify(token, key, { ...claims, algorithms: SECRET_ALGORITHMS })).payload
}

/** jose's code and the claim it names; never a value of the token. */
function problemOf(error: unknown): string {
  if (error instanceof errors.JWTClaimValidationFailed) return `${error.code} (${error.claim})`
  return error instanceof errors.JOSEError ? error.code : 'an unreadable token'
}

/** `scope`, separated by blanks (RFC 8693), or an array `scopes`. */
function scopesOf(payload: JWTPayload): readonly string[] {
  const { scope, scopes } = payload as { scope?: unknown; scopes?: unknown }
  const fromText = typeof scope === 'string' ? scope.split(' ').filter((name) => name !== '') : []
  const fromList = Array.isArray(scopes) ? scopes.filter((name) => typeof name === 'string') : []
  return [...fromText, ...fromList]
}

/** The token of `Authorization: Bearer …`. */
export function bearerFromAuthorization(header: string | undefined): string | undefined {
  return /^bearer +(\S+) *$/i.exec(header ?? '')?.[1]
}

const SUBPROTOCOL_PREFIX = 'bearer.'

/**
 * The token of `Sec-WebSocket-Protocol: playback.v1, bearer.<base64url>`, for browsers, which
 * cannot set other headers there. A JWT put in as it is (it has dots, base64url has none) works too.
 */
export function bearerFromSubprotocols(header: string | undefined): string | undefined {
  const names = (header ?? '').split(',').map((name) => name.trim())
  const name = names.find((candidate) => candidate.startsWith(SUBPROTOCOL_PREFIX))
  const text = name?.slice(SUBPROTOCOL_PREFIX.length) ?? ''
  const token = text.includes('.') ? text : Buffer.from(text, 'base64url').toString('utf8')
  return token === '' ? undefined : token
}

/** Whether only this machine can reach a server bound to `host`. */
export function isLoopback(host: string): boolean {
  const name = host.toLowerCase().replace(/^\[(.*)\]$/, '$1')
  if (name === 'localhost' || name === '::1') return true
  const ipv4 = name.replace(/^::ffff:/, '')
  return isIPv4(ipv4) && ipv4.startsWith('127.')
}
