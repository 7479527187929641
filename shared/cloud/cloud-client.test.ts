/** Credentials as a process finds them, against an API and a token endpoint of the test. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { CloudClient } from './cloud-client.ts'
import { CloudError, type CloudFailure } from './cloud-failure.ts'

let folder: string
let server: Server
let url: string
let tokensGiven: number
/** What the token endpoint answers; by default a new token each time. */
let tokenAnswer: { readonly status: number; readonly body: object } | undefined
let tokenLifetimeS: number
let authorizations: (string | undefined)[]

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'backhaul-cloud-client-'))
  tokensGiven = 0
  tokenAnswer = undefined
  tokenLifetimeS = 3_600
  authorizations = []
  server = createServer((request, response) => {
    const isToken = request.url === '/token'
    if (!isToken) authorizations.push(request.headers.authorization)
    const { status, body } = isToken ? tokenOf() : { status: 200, body: { fine: true } }
    response.writeHead(status, { 'content-type': 'application/json' })
    response.end(JSON.stringify(body))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  // Of a workload whose identity another provider vouches for: the kind of which a test can be the endpoint.
  writeFileSync(join(folder, 'subject'), 'subject-token')
  const credentials = {
    type: 'external_account',
    audience:
      '//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/a/providers/b',
    subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
    token_url: `${url}/token`,
    credential_source: { file: join(folder, 'subject') },
  }
  writeFileSync(join(folder, 'credentials.json'), JSON.stringify(credentials))
  vi.stubEnv('GOOGLE_APPLICATION_CREDENTIALS', join(folder, 'credentials.json'))
})
afterEach(async () => {
  vi.unstubAllEnvs()
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
  rmSync(folder, { recursive: true })
})

function tokenOf(): { readonly status: number; readonly body: object } {
  if (tokenAnswer !== undefined) return tokenAnswer
  tokensGiven += 1
  const body = {
    access_token: `token-${tokensGiven}`,
    issued_token_type: 'urn:ietf:params:oauth:token-type:access_token',
    token_type: 'Bearer',
    expires_in: tokenLifetimeS,
  }
  return { status: 200, body }
}

const client = (credentials: 'default' | 'none' = 'default') =>
  new CloudClient({ credentials, requestTimeoutMs: 30_000 })
const ask = (by: CloudClient) => by.json({ method: 'GET', url: `${url}/thing` })

async function failureOf(asked: Promise<unknown>): Promise<CloudFailure> {
  const error: unknown = await asked.catch((caught: unknown) => caught)
  if (!(error instanceof CloudError)) throw new Error('it did not fail as a request does')
  return error.failure
}

describe('a request', () => {
  it('bears a token, which serves for as long as it lasts', async () => {
    const one = client()
    expect(await ask(one)).toEqual({ fine: true })
    await ask(one)
    expect(authorizations).toEqual(['Bearer token-1', 'Bearer token-1'])
  })

  it('bears a new token when the one before is about to expire', async () => {
    tokenLifetimeS = 1
    const one = client()
    await ask(one)
    await ask(one)
    expect(authorizations).toEqual(['Bearer token-1', 'Bearer token-2'])
  })

  it('bears none where none is asked for', async () => {
    await ask(client('none'))
    expect(authorizations).toEqual([undefined])
    expect(tokensGiven).toBe(0)
  })

  it.each([
    ['refused', 400, { error: 'invalid_grant', error_description: 'expired' }, 'credentials'],
    ['unreachable for a while', 503, { error: 'unavailable' }, 'passing'],
  ])('fails when renewal is %s, and is fine after it', async (_, status, body, kind) => {
    const one = client()
    tokenAnswer = { status, body }
    expect(await failureOf(ask(one))).toMatchObject({ kind })
    tokenAnswer = undefined
    expect(await ask(one)).toEqual({ fine: true })
  })

  it.each([
    ['is not there', 'absent.json'],
    ['holds none', 'subject'],
  ])('fails for want of credentials when their file %s', async (_, name) => {
    vi.stubEnv('GOOGLE_APPLICATION_CREDENTIALS', join(folder, name))
    expect(await failureOf(ask(client()))).toMatchObject({ kind: 'credentials' })
  })

  it('that fails keeps nothing of what was sent', async () => {
    server.removeAllListeners('request')
    server.on('request', (_request, response) => response.writeHead(500).end())
    const body = Buffer.from('secret')
    const asked = client('none').json({ method: 'POST', url: `${url}/thing`, body })
    const error: unknown = await asked.catch((caught: unknown) => caught)
    expect(Object.keys(error as object)).toEqual(['name', 'failure'])
    expect(error).not.toHaveProperty('cause')
  })
})
