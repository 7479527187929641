/** Tokens of a key set over its troubles: endpoint down, key rotated, token expired in a connection. */
import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { exportJWK, generateKeyPair, SignJWT, type CryptoKey } from 'jose'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createTokenVerifier } from '../shared/auth/token-verifier.ts'
import { ManualClock } from '../shared/runtime/clock.ts'
import { SWEEP_MS } from './limits.ts'
import { frameText } from './testing/connection-bench.ts'
import {
  askUpgrade,
  startTestGateway,
  stopTestGateways,
  TestClient,
  until,
} from './testing/test-gateway.ts'

const privateKeys = new Map<string, CryptoKey>()
const publicKeys = new Map<string, object>()
let served: readonly string[] = ['k1']
let isDown = false
const server = createServer((_request, response: ServerResponse) => {
  if (isDown) response.writeHead(500).end()
  else response.end(JSON.stringify({ keys: served.map((kid) => publicKeys.get(kid)) }))
})

beforeAll(async () => {
  for (const kid of ['k1', 'k2']) {
    const pair = await generateKeyPair('ES256', { extractable: true })
    privateKeys.set(kid, pair.privateKey)
    publicKeys.set(kid, { ...(await exportJWK(pair.publicKey)), kid, alg: 'ES256' })
  }
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
})
afterAll(async () => {
  await stopTestGateways()
  server.closeAllConnections()
  server.close()
})

const KEY_SET_COOLDOWN_MS = 30_000
const TOKEN_GRACE_MS = 1_000
let tokens = 0

test('known keys go on while the key set is down; a rotated key is learned; an expired token ends 4401', async () => {
  const clock = new ManualClock()
  const { port: keysPort } = server.address() as AddressInfo
  const jwksUrl = `http://127.0.0.1:${keysPort}/keys`
  const verifier = createTokenVerifier(
    { mode: 'jwks', secret: '', jwksUrl, issuer: '', audience: '' },
    clock,
  )
  const gateway = await startTestGateway({
    clock,
    verifier,
    config: { tokenGraceMs: TOKEN_GRACE_MS, laneLingerMs: 0 },
  })
  const tokenOf = (kid: string, forMs: number) =>
    new SignJWT({ scope: 'write', jti: `${tokens++}`, exp: (clock.nowMs() + forMs) / 1_000 })
      .setProtectedHeader({ alg: 'ES256', kid })
      .sign(privateKeys.get(kid) ?? new Uint8Array())
  const ask = async (kid: string) => {
    const authorization = `Bearer ${await tokenOf(kid, 3_600_000)}`
    const { status, json } = await askUpgrade(gateway.port, { authorization })
    return [status, json['code']]
  }
  expect(await ask('k1')).toEqual([101, undefined])
  expect(await ask('k2')).toEqual([401, 'AUTH_TOKEN_INVALID'])

  isDown = true
  await clock.advance(KEY_SET_COOLDOWN_MS)
  expect(await ask('k1')).toEqual([101, undefined])
  expect(await ask('k2')).toEqual([401, 'AUTH_TOKEN_INVALID'])

  isDown = false
  served = ['k2']
  await clock.advance(KEY_SET_COOLDOWN_MS)
  expect(await ask('k2')).toEqual([101, undefined])
  expect(await ask('k1')).toEqual([401, 'AUTH_TOKEN_INVALID'])

  const token = await tokenOf('k2', 5_000)
  const bearer = `bearer.${Buffer.from(token).toString('base64url')}`
  const client = await TestClient.open(gateway.port, ['playback.v1', bearer])
  client.send(frameText(0))
  await until(async () => {
    await clock.advance(1)
    return client.acked >= 0
  })
  // Known keys or not: a connection ends by its own token alone, and not before the grace is over.
  await clock.advance(4_900)
  expect(client.closed).toBeUndefined()
  await clock.advance(TOKEN_GRACE_MS + 2 * SWEEP_MS)
  expect(await client.untilClosed()).toMatchObject({ code: 4401, reason: 'GATEWAY_TOKEN_EXPIRED' })
})
