/**
 * Secrets stay where they are given. Every secret setting, every credential of a feed and of a request
 * is a text that occurs nowhere else; then the processes are used rightly and wrongly, and nothing
 * that they print, serve, run with or keep may hold one of these texts.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SignJWT } from 'jose'
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest'
import { WebSocket } from 'ws'
import { FeedServer } from '../shared/http/testing/feed-server.ts'
import { openLmdbEventLog } from '../shared/log/lmdb-event-log.ts'
import { decodeReject } from '../shared/log/reject-record.ts'
import { TOPICS } from '../shared/log/topics.ts'
import { systemClock } from '../shared/runtime/clock.ts'
import { environmentName, readConfig } from '../shared/runtime/config.ts'
import { noFailpoints } from '../shared/runtime/failpoints.ts'
import { ALL_SPECS, leaksIn, SECRET_NAMES, SECRETS, secretFiles } from './testing/canaries.ts'

const DEADLINE_MS = 120_000
const PARTITIONS = 1

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'backhaul-secrets-'))
})
afterEach(async () => {
  for (const watched of running.splice(0)) await watched.end('SIGKILL')
})
afterAll(() => rmSync(folder, { recursive: true }))

const asFiles = (names: readonly string[]) => secretFiles(folder, names)

const running: Watched[] = []

/** A process and all that it prints. */
class Watched {
  output = ''
  readonly #child: ChildProcess
  readonly #ended: Promise<unknown>

  constructor(script: readonly string[], environment: Readonly<Record<string, string>>) {
    const path = join(import.meta.dirname, '..', ...script)
    this.#child = spawn(process.execPath, [path], {
      env: { PATH: process.env['PATH'], BACKHAUL_LOG_LEVEL: 'debug', ...environment },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    for (const stream of [this.#child.stdout, this.#child.stderr])
      stream?.on('data', (chunk: Buffer) => (this.output += chunk.toString()))
    this.#ended = once(this.#child, 'close')
    running.push(this)
  }

  prints(pattern: RegExp): Promise<RegExpExecArray> {
    return vi.waitUntil(() => pattern.exec(this.output), { timeout: DEADLINE_MS })
  }

  /** The command lines of the process and of those it started. */
  get commandLines(): string[] {
    const own = this.#child.pid ?? 0
    const children = readFileSync(`/proc/${own}/task/${own}/children`, 'utf8').trim().split(' ')
    return [`${own}`, ...children]
      .filter((pid) => pid !== '')
      .map((pid) => readFileSync(`/proc/${pid}/cmdline`, 'utf8'))
  }

  async end(signal: NodeJS.Signals): Promise<void> {
    this.#child.kill(signal)
    await this.#ended
  }
}

test('every secret setting is known here, and is read from a file', () => {
  expect(SECRET_NAMES.toSorted()).toEqual(Object.keys(SECRETS).toSorted())
  const environment = asFiles(SECRET_NAMES)
  const given = ALL_SPECS.flatMap(({ prefix, table }) => {
    const values = readConfig({ prefix, table }, environment, (path) => readFileSync(path, 'utf8'))
    return Object.keys(table).map((field) => [environmentName(prefix, field), `${values[field]}`])
  })
  expect(Object.fromEntries(given)).toMatchObject(SECRETS)
})

test('a secret that is refused is not shown, whatever is wrong with it', () => {
  const told: string[] = []
  const wrong: Record<string, string> = {
    ...Object.fromEntries(SECRET_NAMES.map((name) => [name, 'canary, ,'])),
    BACKHAUL_AUTH_MODE: 'hs256',
  }
  const environments: Record<string, string>[] = [
    ...SECRET_NAMES.map((name) => ({ [name]: wrong[name] ?? '' })),
    { BACKHAUL_AUTH_MODE: 'hs256', BACKHAUL_AUTH_SECRET: 'canary' },
    { BACKHAUL_AUTH_JWKS_URL: 'https://user:canary@keys.example/' },
    { PROCESSOR_ALERTS_WEBHOOK_URL: 'https://user:canary@hooks.example/' },
  ]
  for (const environment of environments)
    for (const spec of ALL_SPECS)
      try {
        readConfig(spec, environment, () => '')
      } catch (error) {
        told.push(`${String(error)} ${(error as Error).stack} ${JSON.stringify(error)}`)
      }
  expect(told.length).toBeGreaterThan(5)
  expect(leaksIn(told)).toEqual([])
})

async function signedToken(scope: string): Promise<string> {
  return new SignJWT({ scope, sub: 'canary-viewer' })
    .setProtectedHeader({ alg: 'HS256' })
    .setExpirationTime('1h')
    .sign(new TextEncoder().encode(SECRETS['BACKHAUL_AUTH_SECRET']))
}

interface Traffic {
  readonly gateway: string
  readonly serving: string
  readonly token: string
}

/** Right and wrong requests of every kind; all that is answered. */
async function requestAll({ gateway, serving, token }: Traffic): Promise<string[]> {
  const answers: string[] = []
  const ask = async (url: string, headers: Record<string, string> = {}, body?: string) => {
    const response = await fetch(url, {
      headers,
      ...(body === undefined ? {} : { method: 'POST', body }),
    })
    const { status, headers: answered } = response
    answers.push(`${status} ${JSON.stringify([...answered])} ${await response.text()}`)
    return status
  }
  const right = { authorization: `Bearer ${token}` }
  const tokens = [right, { authorization: 'Bearer canary.bad.token' }, { authorization: 'canary' }]
  const event = '{"seq":0,"type":"heartbeat","at":1800000000000}'
  const session = '"session":{"sessionId":"s","viewerId":"canary-viewer"}'
  const frame = (events: string) => `{"v":1,"sentAt":1800000000000,${session},"events":[${events}]}`
  const bodies = [
    frame(event),
    frame('{"seq":1,"type":"strange","at":1800000000000}'),
    `{"v":1,${session},`,
  ]
  const statuses: number[] = []
  for (const headers of tokens)
    for (const body of bodies) statuses.push(await ask(`${gateway}/v1/events`, headers, body))
  expect(statuses.slice(0, 3)).toEqual([204, 200, 400])
  expect(new Set(statuses.slice(3))).toEqual(new Set([401]))
  for (const key of ['canary-ingest-key', 'canary-wrong-key'])
    for (const body of [`sid="c",sn=0,e=t,ts=1800000000000,v=2`, 'sid="canary-viewer', ''])
      await ask(`${gateway}/cmcd/${key}`, {}, body)
  const query = `?access_token=${token}&token=canary-url-token`
  for (const path of ['/', '/v1/events', '/cmcd', '/healthz', '/readyz', '/metrics', '/debug'])
    await ask(`${gateway}${path}${query}`)
  const asked = ['/v1/qoe', '/v1/top', '/v1/status', '/v1/alerts', '/v1/sessions', '/v1/sessions/s']
  for (const headers of tokens) for (const path of asked) await ask(`${serving}${path}`, headers)
  for (const path of [...asked, '/', '/openapi.json', '/metrics', '/debug', '/assets/app.ts'])
    await ask(`${serving}${path}${query}`, right)
  return answers
}

/** Sockets with the token as browsers give it, right and wrong, and what a frame of each says. */
async function connectAll({ gateway, serving, token }: Traffic): Promise<string[]> {
  const answers: string[] = []
  for (const bearer of [token, 'canary.bad.token'])
    for (const [url, protocol, message] of [
      [`${gateway}/v1/events?token=canary-url-token`, 'playback.v1', '{"viewerId":"canary-viewer"'],
      [`${serving}/v1/live?token=canary-url-token`, 'live.v1', '{"subscribe"'],
    ] as const) {
      const named = `bearer.${Buffer.from(bearer).toString('base64url')}`
      const socket = new WebSocket(url.replace('http', 'ws'), [protocol, named])
      socket.on('message', (data: Buffer) => answers.push(data.toString()))
      socket.on('error', (error) => answers.push(error.message))
      socket.on('open', () => socket.send(message))
      let isClosed = false
      socket.on('close', (code, reason) => {
        answers.push(`${code} ${reason.toString()}`)
        isClosed = true
      })
      const before = answers.length
      await expect.poll(() => answers.length, { timeout: DEADLINE_MS }).toBeGreaterThan(before)
      if (socket.readyState === WebSocket.OPEN) socket.close()
      await expect.poll(() => isClosed, { timeout: DEADLINE_MS }).toBe(true)
    }
  return answers
}

test(
  'standalone prints, serves, runs with and keeps no secret',
  { timeout: 2 * DEADLINE_MS },
  async () => {
    const feed = await new FeedServer().ready()
    const dataDir = join(folder, 'data')
    writeFileSync(join(folder, 'feed-key'), 'Bearer canary-feed-file')
    const feeds = ['refuse', 'redirect'].map((id) => ({
      id,
      mapping: 'cmcd',
      urls: [`ws://user:canary-feed-user@127.0.0.1:${feed.port}/feed/0?token=canary-feed-query`],
      headers: { authorization: { path: 'feed-key' }, 'x-key': 'canary-feed-inline' },
    }))
    writeFileSync(join(folder, 'feeds.json'), JSON.stringify({ feeds }))
    feed.behaviour = 'redirect'
    const ours = SECRET_NAMES.filter((name) => /^(BACKHAUL|PROCESSOR)/.test(name))
    const server = new Watched(['standalone', 'main.ts'], {
      ...asFiles(ours),
      BACKHAUL_AUTH_MODE: 'hs256',
      BACKHAUL_DATA_DIR: dataDir,
      BACKHAUL_PARTITIONS: `${PARTITIONS}`,
      RELAY_FEEDS_PATH: join(folder, 'feeds.json'),
      GATEWAY_PORT: '0',
      SERVING_PORT: '0',
    })
    const [, serving = '', gateway = ''] = await server.prints(
      /Dashboard +(http:\S+)\/\n[^]*POST (http:\S+)\/v1\/events/,
    )
    const token = await signedToken('write read')
    const traffic = { gateway, serving, token }
    const answers = [...(await requestAll(traffic)), ...(await connectAll(traffic))]
    await server.prints(/RELAY_FEED_REDIRECTED/)
    feed.behaviour = 'refuse'
    await server.prints(/RELAY_FEED_REFUSED/)
    const { commandLines } = server
    await server.end('SIGTERM')
    await feed.stop()
    expect(feed.headers[0]).toMatchObject({ authorization: 'Bearer canary-feed-file' })
    const kept = await readKept(dataDir)
    expect(kept.some((text) => text.includes('EVENT_TYPE_UNKNOWN'))).toBe(true)
    const [, , signature = ''] = token.split('.')
    const texts = [server.output, ...answers, ...commandLines, ...kept]
    expect(leaksIn(texts, [signature])).toEqual([])
  },
)

/** Every record of the log as text, and of rejects what stands in clear. */
async function readKept(dataDir: string): Promise<string[]> {
  const log = await openLmdbEventLog({
    folder: join(dataDir, 'log'),
    mapBytes: 2 ** 30,
    clock: systemClock,
    failpoints: noFailpoints,
    access: 'reader',
  })
  const texts: string[] = []
  for (const topic of [TOPICS.events, TOPICS.rejects]) {
    const request = { fromOffset: 0, maxRecords: 1_000, maxBytes: 2 ** 20, waitMs: 0 }
    const { records } = await log.read(topic, 0, request)
    expect(records.length).toBeGreaterThan(0)
    for (const { key, value, headers } of records) {
      texts.push(JSON.stringify([key, headers, Buffer.from(value).toString('latin1')]))
      if (topic === TOPICS.rejects)
        texts.push(Buffer.from(decodeReject(value).sealed).toString('latin1'))
    }
  }
  await log.close()
  return texts
}

test.each([
  ['gateway', ['gateway', 'main.ts'], 'GATEWAY_ADMIN_PORT'],
  ['relay', ['gateway', 'relay', 'main.ts'], 'RELAY_ADMIN_PORT'],
  ['processor', ['processor', 'main.ts'], 'PROCESSOR_ADMIN_PORT'],
  ['serving', ['serving', 'main.ts'], undefined],
])(
  '%s on its own shows no credential of a broker or node that hangs up on it',
  { timeout: DEADLINE_MS },
  async (role, script, adminPortName) => {
    const stranger = createServer((socket) => socket.destroy()).listen(0, '127.0.0.1')
    const admin = createServer().listen(0, '127.0.0.1')
    await Promise.all([once(stranger, 'listening'), once(admin, 'listening')])
    const { port } = stranger.address() as AddressInfo
    const { port: adminPort } = admin.address() as AddressInfo
    await new Promise((resolve) => admin.close(resolve))
    const isOnRows = role === 'processor' || role === 'serving'
    writeFileSync(join(folder, 'one-feed.json'), ONE_FEED)
    const prefixes = isOnRows ? /^(BACKHAUL|PROCESSOR|KAFKA|CASSANDRA)/ : /^(BACKHAUL|KAFKA)/
    const names = SECRET_NAMES.filter((name) => prefixes.test(name))
    const watched = new Watched(script, {
      ...asFiles(names.filter((name) => role === 'processor' || !name.startsWith('PROCESSOR'))),
      BACKHAUL_AUTH_MODE: 'hs256',
      BACKHAUL_DATA_DIR: join(folder, role),
      KAFKA_BROKERS: `127.0.0.1:${port}`,
      KAFKA_SECURITY: 'SASL_SSL',
      KAFKA_SASL_USER: 'backhaul',
      KAFKA_REQUEST_TIMEOUT_MS: '1000',
      ...(adminPortName !== undefined && { [adminPortName]: `${adminPort}` }),
      ...(role === 'relay' && { RELAY_FEEDS_PATH: join(folder, 'one-feed.json') }),
      ...(role === 'gateway' && { GATEWAY_PORT: '0' }),
      ...(isOnRows && {
        [`${role.toUpperCase()}_SPEED_STORE`]: 'cassandra',
        CASSANDRA_CONTACT_POINTS: `127.0.0.1:${port}`,
        CASSANDRA_USER: 'backhaul',
      }),
    })
    await watched.prints(/does not answer|no processor has begun|SPEED_|LOG_/)
    const texts: string[] = [...watched.commandLines]
    if (adminPortName !== undefined)
      for (const path of ['healthz', 'readyz', 'metrics', 'debug/partitions', 'debug/sessions/s'])
        texts.push(await (await fetch(`http://127.0.0.1:${adminPort}/${path}`)).text())
    await watched.end('SIGTERM')
    stranger.close()
    expect(leaksIn([watched.output, ...texts])).toEqual([])
  },
)

const ONE_FEED = JSON.stringify({
  feeds: [
    {
      id: 'acme',
      mapping: 'cmcd',
      urls: ['ws://127.0.0.1:1/?token=canary-feed-query'],
      headers: { authorization: 'canary-feed-inline' },
    },
  ],
})
