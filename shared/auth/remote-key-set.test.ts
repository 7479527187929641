import { once } from 'node:events'
import { createServer, type Server, type ServerResponse } from 'node:http'
import { type AddressInfo } from 'node:net'
import { type CryptoKey, exportJWK, generateKeyPair, SignJWT } from 'jose'
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { ManualClock } from '../runtime/clock.ts'
import { BackhaulError } from '../runtime/errors.ts'
import {
  KEY_SET_COOLDOWN_MS,
  KEY_SET_KEYS_MAX,
  KEY_SET_MAX_AGE_MS,
  KEY_SET_MAX_BYTES,
  KEY_SET_RETRY_MS,
  KEY_SET_TIMEOUT_MS,
} from './limits.ts'
import { createTokenVerifier, type TokenVerifier } from './token-verifier.ts'

const KEY_IDS = ['k1', 'k2', 'k3'] as const
type KeyId = (typeof KEY_IDS)[number]

const privateKeys = new Map<string, CryptoKey>()
const publicKeys = new Map<string, object>()

beforeAll(async () => {
  for (const kid of KEY_IDS) {
    const pair = await generateKeyPair('ES256', { extractable: true })
    privateKeys.set(kid, pair.privateKey)
    publicKeys.set(kid, { ...(await exportJWK(pair.publicKey)), kid, alg: 'ES256' })
  }
})

let server: Server
let answer: (response: ServerResponse) => void
let reads: number
let clock: ManualClock
let verifier: TokenVerifier

beforeEach(async () => {
  reads = 0
  serveKeys('k1')
  server = createServer((_request, response) => {
    reads += 1
    answer(response)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  clock = new ManualClock()
  verifier = createTokenVerifier(
    {
      mode: 'jwks',
      secret: '',
      jwksUrl: `http://127.0.0.1:${port}/keys`,
      issuer: '',
      audience: '',
    },
    clock,
  )
})

afterEach(async () => {
  server.closeAllConnections()
  server.close()
  await once(server, 'close')
})

const keySet = (...kids: KeyId[]) =>
  JSON.stringify({ keys: kids.map((kid) => publicKeys.get(kid)) })

function serveKeys(...kids: KeyId[]): void {
  answer = (response) => response.end(keySet(...kids))
}

function serveFailure(): void {
  answer = (response) => response.writeHead(500).end()
}

function tokenOf(kid: KeyId): Promise<string> {
  const key = privateKeys.get(kid)
  if (key === undefined) throw new Error(`no key ${kid}`)
  return new SignJWT({ sub: kid, scope: 'write', exp: clock.nowMs() / 1_000 + 86_400 })
    .setProtectedHeader({ alg: 'ES256', kid })
    .setJti(String(tokenNumber++))
    .sign(key)
}
let tokenNumber = 0

/** `ok`, or the code of the refusal, for a token never seen before. */
async function verdictOn(kid: KeyId): Promise<string> {
  return verdictOnToken(await tokenOf(kid))
}

async function verdictOnToken(token: string): Promise<string> {
  try {
    await verifier.verify(token, 'write')
    return 'ok'
  } catch (error) {
    if (error instanceof BackhaulError) return error.code
    throw error
  }
}

/** A machine under load may take its time; a wait that succeeds ends at once. */
const WAIT = { timeout: 15_000 }
const readsReach = (count: number) => vi.waitFor(() => expect(reads).toBe(count), WAIT)

describe('the key set of an issuer', () => {
  it('is read once for all tokens of its keys', async () => {
    serveKeys('k1', 'k2')
    expect(await Promise.all([verdictOn('k1'), verdictOn('k2'), verdictOn('k1')])).toEqual([
      'ok',
      'ok',
      'ok',
    ])
    expect(reads).toBe(1)
  })

  it('does not make a public key a shared secret', async () => {
    await verdictOn('k1')
    const forged = await new SignJWT({ scope: 'write', exp: clock.nowMs() / 1_000 + 60 })
      .setProtectedHeader({ alg: 'HS256', kid: 'k1' })
      .sign(new TextEncoder().encode(JSON.stringify(publicKeys.get('k1'))))
    expect(await verdictOnToken(forged)).toBe('AUTH_TOKEN_INVALID')
  })

  it('is the only place of keys: a token brings none, and names none', async () => {
    await verdictOn('k1')
    const readsBefore = reads
    const own = await generateKeyPair('ES256', { extractable: true })
    const { port } = server.address() as AddressInfo
    const elsewhere = `http://127.0.0.1:${port}/elsewhere`
    const jwk = await exportJWK(own.publicKey)
    for (const more of [
      { jwk },
      { jku: elsewhere },
      { x5u: elsewhere },
      { kid: '../../etc/passwd' },
    ]) {
      const forged = await new SignJWT({ scope: 'write', exp: clock.nowMs() / 1_000 + 60 })
        .setProtectedHeader({ alg: 'ES256', kid: 'k1', ...more })
        .sign(own.privateKey)
      expect(await verdictOnToken(forged)).toBe('AUTH_TOKEN_INVALID')
    }
    expect(reads).toBe(readsBefore)
  })

  it('is asked again for an unknown key id: a rotated key works at once', async () => {
    expect(await verdictOn('k1')).toBe('ok')
    await clock.advance(KEY_SET_COOLDOWN_MS)
    serveKeys('k1', 'k2')
    expect(await verdictOn('k2')).toBe('ok')
    expect(reads).toBe(2)
  })

  it('is asked for unknown key ids once per cooldown, however many come', async () => {
    await verdictOn('k1')
    for (let count = 0; count < 5; count += 1)
      expect(await verdictOn('k2')).toBe('AUTH_TOKEN_INVALID')
    expect(reads).toBe(1)
    await clock.advance(KEY_SET_COOLDOWN_MS - 1)
    expect(await verdictOn('k2')).toBe('AUTH_TOKEN_INVALID')
    expect(reads).toBe(1)
    await clock.advance(1)
    const many = await Promise.all([verdictOn('k2'), verdictOn('k3'), verdictOn('k2')])
    expect(new Set(many)).toEqual(new Set(['AUTH_TOKEN_INVALID']))
    expect(reads).toBe(2)
  })

  it('stays in force while its endpoint is down; an unknown key is then invalid', async () => {
    expect(await verdictOn('k1')).toBe('ok')
    serveFailure()
    await clock.advance(KEY_SET_MAX_AGE_MS)
    expect(await verdictOn('k1')).toBe('ok')
    await readsReach(2)
    await clock.advance(KEY_SET_COOLDOWN_MS)
    expect(await verdictOn('k2')).toBe('AUTH_TOKEN_INVALID')
    expect(reads).toBe(3)
    expect(await verdictOn('k1')).toBe('ok')
  })

  it('is read anew when it is old, and then a removed key no longer verifies', async () => {
    const token = await tokenOf('k1')
    expect(await verdictOnToken(token)).toBe('ok')
    serveKeys('k2')
    await clock.advance(KEY_SET_MAX_AGE_MS - 1)
    expect(await verdictOn('k1')).toBe('ok')
    expect(reads).toBe(1)
    await clock.advance(1)
    expect(await verdictOn('k1')).toBe('ok')
    await readsReach(2)
    await vi.waitFor(async () => expect(await verdictOn('k1')).toBe('AUTH_TOKEN_INVALID'), WAIT)
    // Also one that was verified before.
    expect(await verdictOnToken(token)).toBe('AUTH_TOKEN_INVALID')
  })

  it('is read anew also when only one token, verified long ago, keeps coming', async () => {
    const token = await tokenOf('k1')
    expect(await verdictOnToken(token)).toBe('ok')
    serveKeys('k2')
    await clock.advance(KEY_SET_MAX_AGE_MS)
    expect(await verdictOnToken(token)).toBe('ok')
    await vi.waitFor(
      async () => expect(await verdictOnToken(token)).toBe('AUTH_TOKEN_INVALID'),
      WAIT,
    )
    expect(reads).toBe(2)
  })

  it('that changes while tokens are being checked outlives none of them', async () => {
    expect(await verdictOn('k1')).toBe('ok')
    // So many that some are still being checked when the new keys are there.
    const tokens = await Promise.all(Array.from({ length: 600 }, () => tokenOf('k1')))
    let held: ServerResponse | undefined
    answer = (response) => (held = response)
    await clock.advance(KEY_SET_MAX_AGE_MS)
    expect(await verdictOn('k1')).toBe('ok')
    await vi.waitFor(() => expect(held).toBeDefined(), WAIT)
    const checked = Promise.all(tokens.map(verdictOnToken))
    held?.end(keySet('k2'))
    await checked
    await vi.waitFor(async () => expect(await verdictOn('k1')).toBe('AUTH_TOKEN_INVALID'), WAIT)
    const verdicts = new Set(await Promise.all(tokens.map(verdictOnToken)))
    expect(verdicts).toEqual(new Set(['AUTH_TOKEN_INVALID']))
  })

  it('that was never read makes tokens unverifiable for now, asked for once a second', async () => {
    serveFailure()
    expect(await verdictOn('k1')).toBe('AUTH_KEYS_UNAVAILABLE')
    expect(await verdictOn('k1')).toBe('AUTH_KEYS_UNAVAILABLE')
    expect(reads).toBe(1)
    serveKeys('k1')
    await clock.advance(KEY_SET_RETRY_MS)
    expect(await verdictOn('k1')).toBe('ok')
    expect(reads).toBe(2)
  })

  it.each<[string, (response: ServerResponse) => void]>([
    ['no JSON', (response) => response.end('<html>')],
    ['no key set', (response) => response.end('{"keys":7}')],
    [
      'the end of a redirect',
      (response) => {
        serveKeys('k1')
        response.writeHead(302, { location: '/elsewhere' }).end()
      },
    ],
    ['a cut answer', (response) => response.writeHead(200, { 'content-length': 9 }).destroy()],
    [
      'more bytes than the limit',
      (response) => response.end(keySet('k1').padEnd(KEY_SET_MAX_BYTES + 1)),
    ],
    [
      'more keys than the limit',
      (response) => {
        const keys = Array.from({ length: KEY_SET_KEYS_MAX + 1 }, () => publicKeys.get('k1'))
        response.end(JSON.stringify({ keys }))
      },
    ],
  ])('is not taken from %s', async (_name, wrong) => {
    answer = wrong
    expect(await verdictOn('k1')).toBe('AUTH_KEYS_UNAVAILABLE')
  })

  it('may be as large as the limit', async () => {
    answer = (response) => response.end(keySet('k1').padEnd(KEY_SET_MAX_BYTES))
    expect(await verdictOn('k1')).toBe('ok')
  })

  it('is given up after the timeout', async () => {
    let held: ServerResponse | undefined
    answer = (response) => {
      held = response.writeHead(200)
      held.flushHeaders()
    }
    const verdict = verdictOn('k1')
    await vi.waitFor(() => expect(held).toBeDefined(), WAIT)
    await clock.advance(KEY_SET_TIMEOUT_MS - 1)
    const early = await Promise.race([verdict, Promise.resolve('waiting')])
    expect(early).toBe('waiting')
    await clock.advance(1)
    expect(await verdict).toBe('AUTH_KEYS_UNAVAILABLE')
  })
})
