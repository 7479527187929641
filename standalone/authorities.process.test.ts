/**
 * Whose certificates are believed where no setting names authorities: those that the system trusts, and
 * those of NODE_EXTRA_CA_CERTS, which Node reads when a process starts.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { selfSigned, writeSelfSigned } from '../shared/http/testing/self-signed.ts'

const SHARED = join(import.meta.dirname, '..', 'shared')
/** Asks the key set for the key of a token, and an API of the cloud for anything; prints what came of both. */
const ASKING = `
  import { createTokenVerifier } from ${JSON.stringify(join(SHARED, 'auth', 'token-verifier.ts'))}
  import { CloudClient } from ${JSON.stringify(join(SHARED, 'cloud', 'cloud-client.ts'))}
  import { systemClock } from ${JSON.stringify(join(SHARED, 'runtime', 'clock.ts'))}
  const [url, token] = process.argv.slice(1)
  const options = { mode: 'jwks', secret: '', jwksUrl: url, issuer: '', audience: '' }
  const verified = await createTokenVerifier(options, systemClock).verify(token, 'read').then(
    () => 'verified',
    ({ code }) => code,
  )
  const asked = await new CloudClient({ credentials: 'none', requestTimeoutMs: 10_000 })
    .json({ method: 'GET', url })
    .then(() => 'answered', ({ failure }) => failure.kind + ' ' + failure.reason)
  console.log(JSON.stringify([verified, asked]))`

let folder: string
let certificatePath: string
let server: Server
let token: string

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'backhaul-authorities-'))
  const own = selfSigned()
  certificatePath = writeSelfSigned(folder, own).tlsCertificateFile
  const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true })
  const keys = [{ ...(await exportJWK(publicKey)), kid: 'k' }]
  server = createServer({ cert: own.certificate, key: own.key }, (_request, response) =>
    response.setHeader('content-type', 'application/json').end(JSON.stringify({ keys })),
  ).listen(0, '127.0.0.1')
  await once(server, 'listening')
  token = await new SignJWT({ scope: 'read' })
    .setProtectedHeader({ alg: 'ES256', kid: 'k' })
    .setExpirationTime('1h')
    .sign(privateKey)
})
afterAll(() => {
  server.closeAllConnections()
  server.close()
  rmSync(folder, { recursive: true })
})

test.each([
  ['nobody vouches for', false, ['AUTH_KEYS_UNAVAILABLE', 'passing connection']],
  ['an authority of one’s own vouches for', true, ['verified', 'answered']],
])('a key set and an API that %s', async (_who, isNamed, told) => {
  const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}/`
  const child = spawn(process.execPath, ['--input-type=module', '--eval', ASKING, url, token], {
    env: { ...(isNamed && { NODE_EXTRA_CA_CERTS: certificatePath }) },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  expect(JSON.parse(await text(child.stdout))).toEqual(told)
})
