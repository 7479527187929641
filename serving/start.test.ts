import { once } from 'node:events'
import { request, type IncomingMessage } from 'node:http'
import { afterEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { speedErrors } from '../shared/speed/speed-errors.ts'
import {
  problemSchema,
  qoeResponseSchema,
  sessionListResponseSchema,
  statusResponseSchema,
  topResponseSchema,
} from './api-schemas.ts'
import {
  eventually,
  NOW_MS,
  startTestServing,
  stopTestServings,
  token,
} from './testing/test-serving.ts'
import { minuteRow, partitionRow, TEST_VIEW } from './testing/test-stores.ts'

const MINUTE_MS = 60_000
const minuteStartMs = NOW_MS - 30_000

afterEach(stopTestServings)

async function problemOf(url: string, init?: RequestInit) {
  const response = await fetch(url, init)
  expect(response.headers.get('content-type')).toBe('application/problem+json')
  const problem = problemSchema.parse(await response.json())
  expect(problem.status).toBe(response.status)
  return { response, problem }
}

describe('the API over HTTP', () => {
  it('answers /v1/qoe by a cut in the documented shape', async () => {
    const { serving, speed } = await startTestServing()
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
    const { serving, speed } = await startTestServing()
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
    const { serving } = await startTestServing()
    const status: unknown = await (await fetch(`${serving.url}/v1/status`)).json()
    expect(statusResponseSchema.parse(status)).toMatchObject({ view: TEST_VIEW })
    const sessions: unknown = await (await fetch(`${serving.url}/v1/sessions?recent=5`)).json()
    expect(sessionListResponseSchema.parse(sessions).sessions).toEqual([])
  })

  it('refuses every method but GET', async () => {
    const { serving } = await startTestServing()
    const { response, problem } = await problemOf(`${serving.url}/v1/qoe`, { method: 'POST' })
    expect([problem.code, response.headers.get('allow')]).toEqual([
      'SERVING_METHOD_NOT_ALLOWED',
      'GET, OPTIONS',
    ])
  })

  it('passes on that the store is unavailable, with a time to come back', async () => {
    const { serving, speed } = await startTestServing()
    speed.failure = speedErrors.create('SPEED_UNAVAILABLE')
    const { response, problem } = await problemOf(`${serving.url}/v1/qoe`)
    expect([problem.code, response.headers.get('retry-after')]).toEqual(['SPEED_UNAVAILABLE', '1'])
  })

  it('never shows a raw error', async () => {
    const { serving, speed } = await startTestServing()
    speed.failure = new Error('secret detail')
    const { problem } = await problemOf(`${serving.url}/v1/qoe`)
    expect(problem).toMatchObject({ status: 500, code: 'SERVING_INTERNAL' })
    expect(JSON.stringify(problem)).not.toContain('secret')
  })

  it('works on a bounded number of queries at a time, and gives up on one that hangs', async () => {
    const { serving, speed, clock } = await startTestServing({
      limits: {
        requestsInFlightMax: 2,
        requestTimeoutMs: 1_000,
        historyTimeoutMs: 500,
        liveHistoryTimeoutMs: 500,
      },
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
    const { serving } = await startTestServing({
      config: { corsOrigins: ['https://grafana.example'] },
    })
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
    const { serving, speed } = await startTestServing()
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
    const { serving } = await startTestServing()
    const { problem } = await problemOf(`${serving.url}${path}`)
    expect(problem).toMatchObject({ status, code })
  })
})

describe('the OpenAPI document', () => {
  it('describes every path, and every reference leads somewhere', async () => {
    const { serving } = await startTestServing()
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
      '/v1/viewers/{pseudonym}/sessions',
      '/v1/status',
      '/v1/alerts',
    ])
    const references = [...text.matchAll(/"\$ref":"#\/components\/schemas\/([^"]+)"/g)]
    expect(references.length).toBeGreaterThan(10)
    for (const [, name] of references)
      expect(Object.keys(document.components.schemas)).toContain(name)
  })

  it('tells the bounds of a live message that are in force', async () => {
    const { serving } = await startTestServing({
      limits: { liveSubscriptionIdMaxChars: 37, liveDimensionsMax: 3 },
    })
    const text = await (await fetch(`${serving.url}/openapi.json`)).text()
    expect(text.match(/"maxLength":37/g)).toHaveLength(2)
    expect(text).toContain('"maxItems":3')
  })
})

describe('the page', () => {
  it('is served with a policy that lets nothing foreign in', async () => {
    const { serving } = await startTestServing()
    const response = await fetch(serving.url)
    expect(response.headers.get('content-type')).toBe('text/html; charset=utf-8')
    const policy = response.headers.get('content-security-policy')
    expect(policy).toContain("default-src 'none'")
    expect(policy).not.toContain('unsafe')
    expect(await response.text()).not.toMatch(/https?:\/\//)
  })

  it('brings every module it imports, without types, and knows unchanged files', async () => {
    const { serving } = await startTestServing()
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

  it('leads nowhere else, however a path is written', async () => {
    const { serving } = await startTestServing()
    for (const path of [
      '/assets/../api.ts',
      '/assets/..%2fapi.ts',
      '/assets/%2e%2e/%2e%2e/package.json',
      '/assets/....//api.ts',
      '/assets\\..\\api.ts',
      '/assets/app.ts%00.css',
      '//etc/passwd',
      '/assets//etc/passwd',
      '/assets/__proto__',
      '/assets/constructor',
    ]) {
      const asked = request({ host: '127.0.0.1', port: serving.port, path, agent: false }).end()
      const [answer] = (await once(asked, 'response')) as [IncomingMessage]
      expect([path, answer.statusCode]).toEqual([path, 404])
      answer.resume()
    }
  })

  it('is the same whatever a proxy’s headers say, and no answer about playback is for caches', async () => {
    const { serving } = await startTestServing({ config: { corsOrigins: ['https://a.example'] } })
    const headers = { 'x-forwarded-host': 'evil.example', 'x-original-url': '/v1/status' }
    const plain = await fetch(serving.url)
    const given = await fetch(serving.url, { headers })
    expect(await given.text()).toBe(await plain.text())
    const answer = await fetch(`${serving.url}/v1/qoe`, {
      headers: { ...headers, origin: 'https://evil.example' },
    })
    expect(answer.headers.get('cache-control')).toBe('no-store')
    expect(answer.headers.get('vary')).toBe('origin')
    expect(answer.headers.get('access-control-allow-origin')).toBeNull()
  })

  it('does not serve tests, types or sources of the server', async () => {
    const { serving } = await startTestServing()
    for (const path of ['/assets/format.test.ts', '/assets/uplot.d.ts', '/api.ts', '/index.html'])
      expect((await fetch(`${serving.url}${path}`)).status).toBe(404)
  })
})

describe('starting', () => {
  it('refuses an address that others reach when there is no authentication', async () => {
    await expect(startTestServing({ config: { host: '0.0.0.0' } })).rejects.toThrow(
      /SERVING_AUTH_REQUIRED/,
    )
    const { serving } = await startTestServing({ config: { host: '0.0.0.0' }, auth: true })
    expect(serving.port).toBeGreaterThan(0)
  })

  it('refuses a port that is taken, naming the setting', async () => {
    const { serving } = await startTestServing()
    await expect(startTestServing({ config: { port: serving.port } })).rejects.toThrow(
      new RegExp(`SERVING_PORT_IN_USE.*SERVING_PORT.*${serving.port}`),
    )
    expect((await fetch(`${serving.url}/healthz`)).status).toBe(200)
  })

  it('does not call an address of another machine a port in use', async () => {
    await expect(startTestServing({ config: { host: '192.0.2.1' }, auth: true })).rejects.toThrow(
      /SERVING_ADDRESS_UNAVAILABLE.*SERVING_HOST.*192\.0\.2\.1 and 0, E[A-Z]+/,
    )
  })
})

describe('authentication', () => {
  it('asks for a token with the scope read, on queries alone', async () => {
    const { serving } = await startTestServing({ auth: true })
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
