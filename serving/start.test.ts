import { request } from 'node:http'
import { SignJWT } from 'jose'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { createTokenVerifier } from '../shared/auth/token-verifier.ts'
import { DEFAULT_CUT_IDS, parseCut } from '../shared/qoe/cuts.ts'
import { DEFAULT_FOLD_LIMITS } from '../shared/qoe/fold.ts'
import { ManualClock, systemClock } from '../shared/runtime/clock.ts'
import { readConfig } from '../shared/runtime/config.ts'
import { createTelemetryBase } from '../shared/runtime/telemetry.ts'
import { speedErrors } from '../shared/speed/speed-errors.ts'
import {
  problemSchema,
  qoeResponseSchema,
  sessionListResponseSchema,
  statusResponseSchema,
  topResponseSchema,
} from './api-schemas.ts'
import { servingConfig, type ServingConfig } from './config.ts'
import type { ServingLimits } from './limits.ts'
import { startServing, type RunningServing } from './start.ts'
import {
  MemoryEventLog,
  MemorySpeedStore,
  minuteRow,
  partitionRow,
  TEST_VIEW,
} from './test-stores.ts'

const MINUTE_MS = 60_000
const NOW_MS = 30_000_000 * MINUTE_MS + 30_000
const minuteStartMs = NOW_MS - 30_000
const SECRET = 'a secret of at least thirty-two characters'

const running: RunningServing[] = []
afterEach(async () => {
  for (const serving of running.splice(0)) await serving.stop()
})

interface Setup {
  readonly config?: Partial<ServingConfig>
  readonly limits?: Partial<ServingLimits>
  readonly auth?: boolean
}

async function start(setup: Setup = {}) {
  const speed = new MemorySpeedStore()
  const clock = new ManualClock(NOW_MS)
  const telemetry = createTelemetryBase('silent')
  const serving = await startServing({
    config: { ...readConfig(servingConfig, {}, () => ''), port: 0, ...setup.config },
    log: new MemoryEventLog().asEventLog(),
    speed,
    telemetry,
    clock,
    verifier: createTokenVerifier(
      {
        mode: setup.auth === true ? 'hs256' : 'none',
        secret: SECRET,
        jwksUrl: '',
        issuer: '',
        audience: '',
      },
      clock,
    ),
    cuts: DEFAULT_CUT_IDS.map(parseCut),
    view: TEST_VIEW,
    foldLimits: DEFAULT_FOLD_LIMITS,
    partitions: 1,
    ...(setup.limits === undefined ? {} : { limits: setup.limits }),
  })
  running.push(serving)
  return { serving, speed, clock, telemetry }
}

async function token(scope: string, expiresAtMs = NOW_MS + MINUTE_MS): Promise<string> {
  return new SignJWT({ scope })
    .setProtectedHeader({ alg: 'HS256' })
    .setIssuedAt(NOW_MS / 1_000)
    .setExpirationTime(Math.floor(expiresAtMs / 1_000))
    .sign(new TextEncoder().encode(SECRET))
}

async function problemOf(url: string, init?: RequestInit) {
  const response = await fetch(url, init)
  expect(response.headers.get('content-type')).toBe('application/problem+json')
  const problem = problemSchema.parse(await response.json())
  expect(problem.status).toBe(response.status)
  return { response, problem }
}

/** Polls until `check` holds; fails after five seconds. */
async function eventually(check: () => boolean): Promise<void> {
  const deadlineMs = systemClock.monotonicMs() + 5_000
  while (!check()) {
    if (systemClock.monotonicMs() > deadlineMs) throw new Error('it did not come true in 5 s')
    await systemClock.sleep(5)
  }
}

describe('the API over HTTP', () => {
  it('answers /v1/qoe by a cut in the documented shape', async () => {
    const { serving, speed } = await start()
    await speed.putMinutes([
      minuteRow({ minuteStartMs, cut: 'cdn', key: '["a"]', aggregates: { plays: 2, events: 9 } }),
      minuteRow({
        minuteStartMs: minuteStartMs - MINUTE_MS,
        cut: 'cdn',
        key: '["b"]',
        aggregates: { plays: 1, events: 20, attempts: 4, vsf: 1 },
      }),
    ])
    await speed.putPartitions([partitionRow(NOW_MS - 2_000)])
    const response = await fetch(`${serving.url}/v1/qoe?by=cdn&from=${NOW_MS - 5 * MINUTE_MS}`)
    expect(response.headers.get('cache-control')).toBe('no-store')
    const body: unknown = await response.json()
    const qoe = qoeResponseSchema.parse(body)
    expect(qoe).toEqual(body)
    expect(qoe).toMatchObject({
      from: new Date(minuteStartMs - 5 * MINUTE_MS).toISOString(),
      toMs: minuteStartMs + MINUTE_MS,
      stepMs: MINUTE_MS,
      by: ['cdn'],
      cut: 'cdn',
      asOfMs: NOW_MS - 2_000,
      stale: false,
    })
    expect(qoe.series.map(({ key, buckets }) => [key['cdn'], buckets.length])).toEqual([
      ['b', 6],
      ['a', 6],
    ])
    expect(qoe.series[0]?.buckets[4]).toMatchObject({
      source: 'speed',
      complete: false,
      plays: 1,
      vsfRatio: 0.25,
      lowSample: true,
    })
    expect(qoe.series[1]?.buckets[5]?.plays).toBe(2)
  })

  it('answers /v1/top by plays and by concurrent plays', async () => {
    const { serving, speed } = await start()
    const content = (id: string, plays: number, concurrentPlays: number[]) =>
      minuteRow({
        minuteStartMs,
        cut: 'content',
        key: JSON.stringify([id]),
        aggregates: { plays, concurrentPlays },
      })
    await speed.putMinutes([
      content('m-1', 5, [1, 1, 1, 1, 1, 1]),
      content('m-2', 3, [0, 9, 0, 0, 0, 0]),
      content('m-3', 0, [0, 0, 0, 0, 0, 0]),
      content('other', 50, [50, 50, 50, 50, 50, 50]),
    ])
    const top = async (query: string) => {
      const response = await fetch(`${serving.url}/v1/top${query}`)
      return topResponseSchema
        .parse(await response.json())
        .items.map(({ key, value }) => [key['content'], value])
    }
    expect(await top('')).toEqual([
      ['m-1', 5],
      ['m-2', 3],
    ])
    expect(await top('?metric=concurrentPlays&limit=1')).toEqual([['m-2', 9]])
  })

  it('answers /v1/status and the list of sessions', async () => {
    const { serving } = await start()
    const status: unknown = await (await fetch(`${serving.url}/v1/status`)).json()
    expect(statusResponseSchema.parse(status)).toMatchObject({ view: TEST_VIEW })
    const sessions: unknown = await (await fetch(`${serving.url}/v1/sessions?recent=5`)).json()
    expect(sessionListResponseSchema.parse(sessions).sessions).toEqual([])
  })

  it('refuses every method but GET', async () => {
    const { serving } = await start()
    const { response, problem } = await problemOf(`${serving.url}/v1/qoe`, { method: 'POST' })
    expect([problem.code, response.headers.get('allow')]).toEqual([
      'SERVING_METHOD_NOT_ALLOWED',
      'GET, OPTIONS',
    ])
  })

  it('passes on that the store is unavailable, with a time to come back', async () => {
    const { serving, speed } = await start()
    speed.failure = speedErrors.create('SPEED_UNAVAILABLE')
    const { response, problem } = await problemOf(`${serving.url}/v1/qoe`)
    expect([problem.code, response.headers.get('retry-after')]).toEqual(['SPEED_UNAVAILABLE', '1'])
  })

  it('never shows a raw error', async () => {
    const { serving, speed } = await start()
    speed.failure = new Error('secret detail')
    const { problem } = await problemOf(`${serving.url}/v1/qoe`)
    expect(problem).toMatchObject({ status: 500, code: 'SERVING_INTERNAL' })
    expect(JSON.stringify(problem)).not.toContain('secret')
  })

  it('works on a bounded number of queries at a time, and gives up on one that hangs', async () => {
    const { serving, speed, clock } = await start({
      limits: { requestsInFlightMax: 2, requestTimeoutMs: 1_000 },
    })
    const waiting: (() => void)[] = []
    speed.readPartitions = () => new Promise((resolve) => waiting.push(() => resolve([])))
    const hanging = [problemOf(`${serving.url}/v1/status`), problemOf(`${serving.url}/v1/qoe`)]
    await eventually(() => waiting.length === 2)
    const { problem } = await problemOf(`${serving.url}/v1/qoe`)
    expect(problem.code).toBe('SERVING_BUSY')
    await clock.advance(1_000)
    for (const each of hanging) expect((await each).problem.code).toBe('SERVING_TIMEOUT')
    // What timed out still occupies the store, and is counted until it answers.
    expect((await problemOf(`${serving.url}/v1/qoe`)).problem.code).toBe('SERVING_BUSY')
    for (const answer of waiting.splice(0)) answer()
    const free = fetch(`${serving.url}/v1/status`)
    await eventually(() => waiting.length === 1)
    for (const answer of waiting.splice(0)) answer()
    expect((await free).status).toBe(200)
  })

  it('lets pages of configured origins read it, and no others', async () => {
    const { serving } = await start({ config: { corsOrigins: ['https://grafana.example'] } })
    const from = async (origin: string) =>
      (await fetch(`${serving.url}/v1/status`, { headers: { origin } })).headers.get(
        'access-control-allow-origin',
      )
    expect(await from('https://grafana.example')).toBe('https://grafana.example')
    expect(await from('https://evil.example')).toBeNull()
    const preflight = await fetch(`${serving.url}/v1/qoe`, {
      method: 'OPTIONS',
      headers: { origin: 'https://grafana.example' },
    })
    expect(preflight.status).toBe(204)
    expect(preflight.headers.get('access-control-allow-headers')).toBe('authorization')
  })

  it('says that it lives and is ready, and shows its metrics', async () => {
    const { serving, speed } = await start()
    expect((await fetch(`${serving.url}/healthz`)).status).toBe(200)
    expect((await fetch(`${serving.url}/readyz`)).status).toBe(200)
    await fetch(`${serving.url}/v1/sessions/somebody`)
    const metrics = await (await fetch(`${serving.url}/metrics`)).text()
    expect(metrics).toContain('serving_requests_total{route="/v1/sessions/{id}",status="404"} 1')
    speed.failure = speedErrors.create('SPEED_UNAVAILABLE')
    expect((await fetch(`${serving.url}/readyz`)).status).toBe(503)
    expect((await fetch(`${serving.url}/healthz`)).status).toBe(200)
  })
})

describe('refusals', () => {
  let shared: RunningServing
  let url: string
  beforeAll(async () => {
    shared = (await start()).serving
    running.splice(0)
    url = shared.url
  })
  afterAll(() => shared.stop())

  it.each([
    ['/v1/qoe?by=isp', 400, 'SERVING_QUERY_INVALID'],
    ['/v1/qoe?by=cdn,country', 400, 'SERVING_CUT_UNKNOWN'],
    ['/v1/qoe?from=2&to=1', 400, 'SERVING_RANGE_INVALID'],
    ['/v1/status?x=1', 400, 'SERVING_QUERY_INVALID'],
    ['/v1/sessions/nobody', 404, 'SERVING_SESSION_UNKNOWN'],
    ['/v1/sessions/%ff', 400, 'SERVING_QUERY_INVALID'],
    ['/v1/sessions/', 400, 'SERVING_QUERY_INVALID'],
    [`/v1/sessions/${'x'.repeat(65)}`, 400, 'SERVING_QUERY_INVALID'],
    ['/v1/nothing', 404, 'SERVING_PATH_UNKNOWN'],
    ['/assets/../start.ts', 404, 'SERVING_PATH_UNKNOWN'],
    ['/assets/%2e%2e/start.ts', 404, 'SERVING_PATH_UNKNOWN'],
  ])('answers %s with %d and a code', async (path, status, code) => {
    const { problem } = await problemOf(`${url}${path}`)
    expect(problem).toMatchObject({ status, code })
  })
})

describe('the OpenAPI document', () => {
  it('describes every path, and every reference leads somewhere', async () => {
    const { serving } = await start()
    const text = await (await fetch(`${serving.url}/openapi.json`)).text()
    const document = z
      .object({
        openapi: z.literal('3.1.0'),
        paths: z.record(z.string(), z.unknown()),
        components: z.object({ schemas: z.record(z.string(), z.unknown()) }),
      })
      .parse(JSON.parse(text))
    expect(Object.keys(document.paths)).toEqual([
      '/v1/qoe',
      '/v1/top',
      '/v1/sessions',
      '/v1/sessions/{id}',
      '/v1/status',
    ])
    const references = [...text.matchAll(/"\$ref":"#\/components\/schemas\/([^"]+)"/g)]
    expect(references.length).toBeGreaterThan(10)
    for (const [, name] of references)
      expect(Object.keys(document.components.schemas)).toContain(name)
  })
})

describe('the page', () => {
  it('is served with a policy that lets nothing foreign in', async () => {
    const { serving } = await start()
    const response = await fetch(serving.url)
    expect(response.headers.get('content-type')).toBe('text/html; charset=utf-8')
    const policy = response.headers.get('content-security-policy')
    expect(policy).toContain("default-src 'none'")
    expect(policy).not.toContain('unsafe')
    expect(await response.text()).not.toMatch(/https?:\/\//)
  })

  it('brings every module it imports, without types, and knows unchanged files', async () => {
    const { serving } = await start()
    const seen = new Set<string>()
    const visit = async (path: string): Promise<void> => {
      if (seen.has(path)) return
      seen.add(path)
      const response = await fetch(`${serving.url}${path}`)
      expect([path, response.status]).toEqual([path, 200])
      expect(response.headers.get('content-type')).toBe('text/javascript; charset=utf-8')
      const source = await response.text()
      expect(source).not.toMatch(/^import type/m)
      for (const [, name] of source.matchAll(/^(?:import|\}) .*from '\.\/([^']+)'/gm))
        await visit(`/assets/${name}`)
    }
    await visit('/assets/app.ts')
    expect(seen).toContain('/assets/uplot.js')
    expect(seen.size).toBeGreaterThan(15)
    const first = await fetch(`${serving.url}/assets/app.css`)
    const again = await fetch(`${serving.url}/assets/app.css`, {
      headers: { 'if-none-match': first.headers.get('etag') ?? '' },
    })
    expect(again.status).toBe(304)
  })

  it('does not serve tests, types or sources of the server', async () => {
    const { serving } = await start()
    for (const path of ['/assets/format.test.ts', '/assets/uplot.d.ts', '/api.ts', '/index.html'])
      expect((await fetch(`${serving.url}${path}`)).status).toBe(404)
  })
})

describe('starting', () => {
  it('refuses an address that others reach when there is no authentication', async () => {
    await expect(start({ config: { host: '0.0.0.0' } })).rejects.toThrow(/SERVING_AUTH_REQUIRED/)
    const { serving } = await start({ config: { host: '0.0.0.0' }, auth: true })
    expect(serving.port).toBeGreaterThan(0)
  })

  it('refuses a port that is taken, naming the setting', async () => {
    const { serving } = await start()
    await expect(start({ config: { port: serving.port } })).rejects.toThrow(/SERVING_PORT/)
  })
})

describe('authentication', () => {
  it('asks for a token with the scope read, on queries alone', async () => {
    const { serving } = await start({ auth: true })
    const status = async (authorization?: string) =>
      fetch(`${serving.url}/v1/status`, {
        headers: authorization === undefined ? {} : { authorization },
      })
    const missing = await status()
    expect([missing.status, missing.headers.get('www-authenticate')]).toEqual([401, 'Bearer'])
    expect((await status('Bearer nonsense')).status).toBe(401)
    expect((await status(`Bearer ${await token('write')}`)).status).toBe(403)
    expect((await status(`Bearer ${await token('read')}`)).status).toBe(200)
    for (const path of ['/', '/healthz', '/readyz', '/metrics', '/openapi.json'])
      expect((await fetch(`${serving.url}${path}`)).status).toBe(200)
  })
})

describe('the live WebSocket', () => {
  const liveUrl = (serving: RunningServing) => `${serving.url.replace('http', 'ws')}/v1/live`
  const open = (serving: RunningServing, protocols: string[] = []) => {
    const socket = new WebSocket(liveUrl(serving), protocols)
    const messages: {
      update?: { series: { summary: { plays: number } }[] }
      error?: { code: string }
    }[] = []
    const closes: number[] = []
    socket.addEventListener('message', ({ data }) =>
      messages.push(JSON.parse(String(data)) as (typeof messages)[number]),
    )
    socket.addEventListener('close', ({ code }) => closes.push(code))
    const opened = new Promise((resolve) => {
      for (const name of ['open', 'error']) socket.addEventListener(name, () => resolve(undefined))
    })
    return { socket, messages, closes, opened }
  }
  const subscribe = JSON.stringify({ subscribe: { id: 'a', minutes: 2 } })

  it('sends a snapshot and then each change', async () => {
    const { serving, speed, clock } = await start()
    await speed.putMinutes([minuteRow({ minuteStartMs, aggregates: { plays: 1 } })])
    const { socket, messages, opened } = open(serving)
    await opened
    socket.send(subscribe)
    await eventually(() => messages.length === 1)
    expect(messages[0]?.update?.series[0]?.summary.plays).toBe(1)
    await speed.putMinutes([minuteRow({ minuteStartMs, aggregates: { plays: 2 } })])
    await clock.advance(1_000)
    await eventually(() => messages.length === 2)
    expect(messages[1]?.update?.series[0]?.summary.plays).toBe(2)
    socket.close()
  })

  it('refuses pages of other sites, which could else read it through a reader’s browser', async () => {
    const { serving } = await start({ config: { corsOrigins: ['https://grafana.example'] } })
    const { statusOf } = rawUpgrade(serving.port)
    expect(await statusOf({ Origin: 'https://evil.example' })).toBe(403)
    expect(await statusOf({ Origin: 'https://grafana.example' })).toBe(101)
    expect(await statusOf({ Origin: serving.url })).toBe(101)
    expect(await statusOf({})).toBe(101)
  })

  it('takes the token from the subprotocol and closes when it expires', async () => {
    const { serving, clock } = await start({ auth: true })
    const { statusOf } = rawUpgrade(serving.port)
    expect(await statusOf({})).toBe(401)
    const bearer = `bearer.${Buffer.from(await token('read', NOW_MS + 10_000)).toString('base64url')}`
    const { socket, closes, opened } = open(serving, ['live.v1', bearer])
    await opened
    expect([socket.readyState, socket.protocol]).toEqual([WebSocket.OPEN, 'live.v1'])
    for (let second = 0; second < 10; second++) await clock.advance(1_000)
    await eventually(() => closes.length === 1)
    expect(closes).toEqual([4401])
  })

  it('admits a bounded number of connections', async () => {
    const { serving } = await start({ config: { liveConnectionsMax: 1 } })
    const { socket, opened } = open(serving)
    await opened
    expect(await rawUpgrade(serving.port).statusOf({})).toBe(503)
    socket.close()
  })

  it('closes a connection whose message is larger than the limit', async () => {
    const { serving } = await start({ limits: { liveMessageMaxBytes: 256 } })
    const { socket, closes, opened } = open(serving)
    await opened
    socket.send('x'.repeat(257))
    await eventually(() => closes.length === 1)
  })

  it('is closed with 1001 when the server stops', async () => {
    const { serving } = await start()
    const { closes, opened } = open(serving)
    await opened
    running.splice(running.indexOf(serving), 1)
    await serving.stop()
    await eventually(() => closes.length === 1)
    expect(closes).toEqual([1001])
  })
})

/** Upgrade requests with headers that a WebSocket client does not let one set. */
function rawUpgrade(port: number) {
  return {
    statusOf(headers: Readonly<Record<string, string>>): Promise<number> {
      return new Promise((resolve, reject) => {
        const call = request({
          host: '127.0.0.1',
          port,
          path: '/v1/live',
          headers: {
            Connection: 'Upgrade',
            Upgrade: 'websocket',
            'Sec-WebSocket-Version': '13',
            'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
            ...headers,
          },
        })
        call.on('upgrade', (response, socket) => {
          socket.destroy()
          resolve(response.statusCode ?? 0)
        })
        call.on('response', (response) => {
          response.resume()
          resolve(response.statusCode ?? 0)
        })
        call.on('error', reject)
        call.end()
      })
    },
  }
}
