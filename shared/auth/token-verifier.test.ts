import { SignJWT, UnsecuredJWT } from 'jose'
import { LRUCache } from 'lru-cache'
import { describe, expect, it, vi } from 'vitest'
import { ManualClock } from '../runtime/clock.ts'
import { BackhaulError } from '../runtime/errors.ts'
import { TOKEN_CLOCK_TOLERANCE_MS, TOKEN_MAX_CHARS } from './limits.ts'
import {
  bearerFromAuthorization,
  bearerFromSubprotocols,
  createTokenVerifier,
  isLoopback,
  type TokenVerifier,
} from './token-verifier.ts'

const SECRET = 'a secret of at least 32 characters'
const START_MS = 1_800_000_000_000
const START_S = START_MS / 1_000

interface Claims {
  readonly [name: string]: unknown
}

function tokenOf(claims: Claims = {}, { alg = 'HS256', secret = SECRET } = {}): Promise<string> {
  return new SignJWT({ sub: 'ann', scope: 'write read', exp: START_S + 600, ...claims })
    .setProtectedHeader({ alg })
    .sign(new TextEncoder().encode(secret))
}

function verifierWith(changes: { issuer?: string; audience?: string } = {}) {
  const clock = new ManualClock(START_MS)
  const verifier = createTokenVerifier(
    { mode: 'hs256', secret: SECRET, jwksUrl: '', issuer: '', audience: '', ...changes },
    clock,
  )
  return { clock, verifier }
}

async function refusalOf(
  verifier: TokenVerifier,
  token: string | undefined,
  scope: 'write' | 'read' = 'write',
): Promise<BackhaulError> {
  try {
    await verifier.verify(token, scope)
  } catch (error) {
    if (error instanceof BackhaulError) return error
    throw error
  }
  throw new Error('accepted')
}

const codeOf = async (...parameters: Parameters<typeof refusalOf>) =>
  (await refusalOf(...parameters)).code

describe('without authentication', () => {
  it('every request passes with every scope', async () => {
    const verifier = createTokenVerifier(
      { mode: 'none', secret: '', jwksUrl: '', issuer: '', audience: '' },
      new ManualClock(),
    )
    expect(verifier.required).toBe(false)
    expect(await verifier.verify(undefined, 'write')).toEqual({
      subject: undefined,
      scopes: ['write', 'read'],
      expiresAtMs: undefined,
    })
  })
})

describe('a token under the shared secret', () => {
  it('names its subject, scopes and end', async () => {
    const { verifier } = verifierWith()
    expect(verifier.required).toBe(true)
    expect(await verifier.verify(await tokenOf(), 'read')).toEqual({
      subject: 'ann',
      scopes: ['write', 'read'],
      expiresAtMs: START_MS + 600_000,
    })
  })

  it.each<[Claims, readonly string[]]>([
    [{ scope: ' write  x ' }, ['write', 'x']],
    [{ scope: undefined, scopes: ['write', 7, 'read'] }, ['write', 'read']],
    [{ scope: 'write', scopes: ['read'] }, ['write', 'read']],
  ])('with %j has the scopes %j', async (claims, scopes) => {
    const { verifier } = verifierWith()
    expect((await verifier.verify(await tokenOf(claims), 'write')).scopes).toEqual(scopes)
  })

  it('has no scope by a claim of the wrong type', async () => {
    const { verifier } = verifierWith()
    const token = await tokenOf({ scope: ['write'], scopes: 'write' })
    expect(await codeOf(verifier, token)).toBe('AUTH_SCOPE_MISSING')
  })

  it('may have no subject', async () => {
    const { verifier } = verifierWith()
    for (const sub of [undefined, ''])
      expect((await verifier.verify(await tokenOf({ sub }), 'write')).subject).toBeUndefined()
  })

  it('needs the scope of the request, also when it is known already', async () => {
    const { verifier } = verifierWith()
    const token = await tokenOf({ scope: 'write' })
    await verifier.verify(token, 'write')
    const refusal = await refusalOf(verifier, token, 'read')
    expect([refusal.code, refusal.spec.status]).toEqual(['AUTH_SCOPE_MISSING', 403])
  })

  it('is required', async () => {
    const { verifier } = verifierWith()
    expect(await codeOf(verifier, undefined)).toBe('AUTH_TOKEN_MISSING')
    expect(await codeOf(verifier, '')).toBe('AUTH_TOKEN_MISSING')
  })

  it('expires at its end plus the tolerance, to the millisecond, known or not', async () => {
    const token = await tokenOf({ exp: START_S + 600 })
    for (const isKnown of [false, true]) {
      const { verifier, clock } = verifierWith()
      if (isKnown) await verifier.verify(token, 'write')
      await clock.advance(600_000 + TOKEN_CLOCK_TOLERANCE_MS - 1_000)
      await verifier.verify(token, 'write')
      await clock.advance(1_000)
      expect(await codeOf(verifier, token)).toBe('AUTH_TOKEN_EXPIRED')
    }
  })

  it('is not valid before its nbf, less the tolerance', async () => {
    const { verifier, clock } = verifierWith()
    const token = await tokenOf({ nbf: START_S + 60 })
    expect(await codeOf(verifier, token)).toBe('AUTH_TOKEN_INVALID')
    await clock.advance(60_000 - TOKEN_CLOCK_TOLERANCE_MS)
    await verifier.verify(token, 'write')
  })

  it('is refused when it is of another secret, algorithm or form', async () => {
    const { verifier } = verifierWith()
    const valid = await tokenOf()
    const tokens = [
      await tokenOf({}, { secret: 'another secret of 32 characters!' }),
      await tokenOf({}, { alg: 'HS512' }),
      await tokenOf({ exp: undefined }),
      await tokenOf({ exp: 'soon' }),
      new UnsecuredJWT({ scope: 'write', exp: START_S + 600 }).encode(),
      `${valid}x`,
      valid.slice(1),
      valid.replace(/\.[^.]+\./, '.e30.'),
    ]
    for (const token of tokens) {
      const { code, message } = await refusalOf(verifier, token)
      expect(code).toBe('AUTH_TOKEN_INVALID')
      expect(message).not.toContain(token)
    }
    for (const token of ['x', '..', 'a.b.c'])
      expect(await codeOf(verifier, token)).toBe('AUTH_TOKEN_INVALID')
  })

  it('longer than the limit is refused unread', async () => {
    const { verifier } = verifierWith()
    const long = 'x'.repeat(TOKEN_MAX_CHARS)
    expect((await refusalOf(verifier, `${long}x`)).detail).toBe(
      'expected at most 8192 characters, received 8193',
    )
    expect((await refusalOf(verifier, long)).detail).toBe('received ERR_JWS_INVALID')
  })

  it('must be of the issuer and for the audience, where these are set', async () => {
    const { verifier } = verifierWith({ issuer: 'https://id.example', audience: 'backhaul' })
    const claims = { iss: 'https://id.example', aud: ['x', 'backhaul'] }
    await verifier.verify(await tokenOf(claims), 'write')
    const refusal = await refusalOf(verifier, await tokenOf({ ...claims, iss: 'https://other' }))
    expect(refusal.detail).toBe('received ERR_JWT_CLAIM_VALIDATION_FAILED (iss)')
    expect(await codeOf(verifier, await tokenOf({ ...claims, aud: 'x' }))).toBe(
      'AUTH_TOKEN_INVALID',
    )
    expect(await codeOf(verifier, await tokenOf())).toBe('AUTH_TOKEN_INVALID')
  })

  it('is remembered by its digest alone', async () => {
    const remember = vi.spyOn(LRUCache.prototype, 'set')
    const { verifier } = verifierWith()
    const token = await tokenOf()
    await verifier.verify(token, 'write')
    expect(remember).toHaveBeenCalledOnce()
    expect(JSON.stringify(remember.mock.calls)).not.toContain(token)
    remember.mockRestore()
  })
})

describe('where the token is read from', () => {
  it.each([
    [undefined, undefined],
    ['', undefined],
    ['Bearer', undefined],
    ['Bearer ', undefined],
    ['Basic abc', undefined],
    ['Bearer a b', undefined],
    ['Bearer a.b.c', 'a.b.c'],
    ['bearer  a.b.c ', 'a.b.c'],
  ])('Authorization %j holds %j', (header, token) => {
    expect(bearerFromAuthorization(header)).toBe(token)
  })

  it.each([
    [undefined, undefined],
    ['', undefined],
    ['playback.v1', undefined],
    ['playback.v1, bearer.', undefined],
    [`playback.v1, bearer.${Buffer.from('a.b.c').toString('base64url')}`, 'a.b.c'],
    [`bearer.${Buffer.from('a.b.c').toString('base64url')},playback.v1`, 'a.b.c'],
    ['playback.v1, bearer.a.b.c', 'a.b.c'],
  ])('subprotocols %j hold %j', (header, token) => {
    expect(bearerFromSubprotocols(header)).toBe(token)
  })
})

describe('isLoopback', () => {
  it.each([
    '127.0.0.1',
    '127.255.1.9',
    '::1',
    '[::1]',
    'localhost',
    'LOCALHOST',
    '::ffff:127.0.0.1',
  ])('is so for %s', (host) => {
    expect(isLoopback(host)).toBe(true)
  })

  it.each([
    '',
    '0.0.0.0',
    '::',
    '10.0.0.1',
    '128.0.0.1',
    '127.0.0',
    '127.0.0.256',
    '127.0.0.1.example',
    'localhost.example',
    '::ffff:10.0.0.1',
    'example.org',
  ])('is not so for %j', (host) => {
    expect(isLoopback(host)).toBe(false)
  })
})
