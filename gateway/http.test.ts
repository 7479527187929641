/** `POST /v1/events`, `/cmcd`, preflights and the operators' paths, over real sockets. */
import { connect } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { WebSocket as WebSocketClient } from 'ws'
import { decodeReject } from '../shared/log/reject-record.ts'
import { TOPICS } from '../shared/log/topics.ts'
import { ManualClock } from '../shared/runtime/clock.ts'
import { frameText, isBalanced } from './testing/connection-bench.ts'
import { besideNeighbour } from './testing/neighbour.ts'
import {
  call,
  startTestGateway,
  stopTestGateways,
  until,
  type HttpCall,
  type TestGateway,
} from './testing/test-gateway.ts'

let gateway: TestGateway

beforeAll(async () => {
  gateway = await startTestGateway({
    config: {
      frameMaxBytes: 4_096,
      cmcdBodyMaxBytes: 2_048,
      allowedOrigins: ['https://player.example'],
      cmcdOffKeys: ['old', 'default'],
      trustedCountryHeader: 'x-country',
    },
  })
})

afterAll(stopTestGateways)

const post = (body: string | Uint8Array, more: Partial<HttpCall> = {}, port = gateway.port) =>
  call(port, {
    method: 'POST',
    path: '/v1/events',
    headers: { 'content-type': 'application/json' },
    body,
    ...more,
  })

const AT = 1_800_000_000_000

test('a posted frame is answered 204 once it is in the log', async () => {
  const body = frameText(undefined, { session: { sessionId: 'posted' } })
  gateway.log.hold()
  let answered = false
  const answer = post(body).finally(() => (answered = true))
  await until(() => gateway.log.heldAppends > 0)
  expect(answered).toBe(false)
  gateway.log.release()
  expect(await answer).toMatchObject({ status: 204, text: '' })
  const record = gateway.log.records(TOPICS.events).find(({ key }) => key === 'posted')
  expect(record?.headers).toEqual({
    schema: 'playback.v1',
    gateway: expect.stringMatching(/^gateway-/),
  })
})

test('rejected events are answered 200 with seq and code, and kept', async () => {
  const kept = gateway.log.records(TOPICS.rejects).length
  const events = [
    { seq: 1, type: 'heartbeat', at: AT },
    { seq: 2, type: 'unheard', at: AT },
  ]
  const answer = await post(frameText(undefined, { events }))
  expect(answer).toMatchObject({
    status: 200,
    json: { rejected: [{ seq: 2, code: 'EVENT_TYPE_UNKNOWN', detail: expect.any(String) }] },
  })
  expect(gateway.log.records(TOPICS.rejects)).toHaveLength(kept + 1)
})

test('an unreadable frame is answered 400 with its code, and kept', async () => {
  const kept = gateway.log.records(TOPICS.rejects).length
  expect(await post('hello')).toMatchObject({
    status: 400,
    headers: { 'content-type': 'application/problem+json' },
    json: { type: 'urn:backhaul:error:FRAME_NOT_JSON', code: 'FRAME_NOT_JSON', status: 400 },
  })
  expect(gateway.log.records(TOPICS.rejects)).toHaveLength(kept + 1)
})

test.each([
  { 'content-type': 'application/x-www-form-urlencoded' },
  { 'content-type': 'application/json', 'content-encoding': 'gzip' },
])('headers %o are answered 415', async (headers) => {
  expect(await post(frameText(undefined), { headers })).toMatchObject({
    status: 415,
    headers: { 'content-type': 'application/problem+json' },
    json: { code: 'GATEWAY_MEDIA_TYPE_UNSUPPORTED', status: 415 },
  })
})

test.each([
  { 'content-type': 'text/plain;charset=UTF-8' },
  { 'content-type': 'application/json; charset=utf-8' },
  {},
])('headers %o are answered 204', async (headers) => {
  expect((await post(frameText(undefined), { headers })).status).toBe(204)
})

test('a body over the limit is answered 413, declared or not, and the connection is closed', async () => {
  const declared = await post('x'.repeat(4_097))
  expect(declared).toMatchObject({
    status: 413,
    json: { code: 'GATEWAY_BODY_TOO_LARGE' },
  })
  const chunked = await call(gateway.port, {
    method: 'POST',
    path: '/v1/events',
    headers: { 'transfer-encoding': 'chunked', 'content-type': 'application/json' },
    body: 'x'.repeat(5_000),
  })
  expect(chunked).toMatchObject({ status: 413, json: { code: 'GATEWAY_BODY_TOO_LARGE' } })
  const padding = 4_096 - frameText(undefined, { padding: '' }).length
  expect((await post(frameText(undefined, { padding: 'x'.repeat(padding) }))).status).toBe(204)
})

test('a trusted header tells the country, one that is none is left out', async () => {
  const located = (sessionId: string, country: string) =>
    post(frameText(undefined, { session: { sessionId, country: 'DE' } }), {
      headers: { 'x-country': country },
    })
  await located('located', 'fr')
  await located('unlocated', 'unknown')
  const countryOf = (sessionId: string) => {
    const record = gateway.log.records(TOPICS.events).find(({ key }) => key === sessionId)
    return JSON.parse(Buffer.from(record?.value ?? []).toString()) as unknown
  }
  expect(countryOf('located')).toMatchObject({ session: { country: 'FR' } })
  expect(countryOf('unlocated')).toMatchObject({ session: { country: 'DE' } })
})

describe('trace context', () => {
  const TRACE = '0af7651916cd43dd8448eb211c80319c'
  const traceparent = `00-${TRACE}-b7ad6b7169203331-01`
  const headersOf = ({ log }: TestGateway, sessionId: string) =>
    log.records(TOPICS.events).find(({ key }) => key === sessionId)?.headers
  const postTraced = (sessionId: string, value: string, port: number) =>
    post(
      frameText(undefined, { session: { sessionId } }),
      { headers: { traceparent: value } },
      port,
    )

  test('is not looked for unless it is asked for', async () => {
    await postTraced('ignored', traceparent, gateway.port)
    expect(headersOf(gateway, 'ignored')).not.toHaveProperty('traceparent')
  })

  test('travels with the records of a request and of a connection', async () => {
    const traced = await startTestGateway({ config: { traceContext: true } })
    await postTraced('posted', traceparent, traced.port)
    expect(headersOf(traced, 'posted')).toMatchObject({ traceparent })
    const socket = new WebSocketClient(`ws://127.0.0.1:${traced.port}/v1/events`, 'playback.v1', {
      headers: { traceparent },
    })
    socket.on('open', () => socket.send(frameText(0, { session: { sessionId: 'connected' } })))
    await until(() => headersOf(traced, 'connected') !== undefined)
    expect(headersOf(traced, 'connected')).toMatchObject({ traceparent })
    socket.terminate()
  })

  test.each([
    ['too long', 'x'.repeat(500)],
    ['a later version', `01-${TRACE}-b7ad6b7169203331-01`],
    ['no trace', `00-${'0'.repeat(32)}-b7ad6b7169203331-01`],
    ['no parent', `00-${TRACE}-${'0'.repeat(16)}-01`],
    ['upper case', traceparent.toUpperCase()],
  ])('is left out when it is %s, and the event is taken', async (what, value) => {
    const traced = await startTestGateway({ config: { traceContext: true } })
    const sessionId = what.replaceAll(' ', '-')
    expect((await postTraced(sessionId, value, traced.port)).status).toBe(204)
    expect(headersOf(traced, sessionId)).toEqual({
      schema: 'playback.v1',
      gateway: expect.stringMatching(/^gateway-/),
    })
  })
})

test('a page of an allowed origin may call; another gets no permission', async () => {
  const origin = 'https://player.example'
  const preflight = (path: string, from: string) =>
    call(gateway.port, { method: 'OPTIONS', path, headers: { origin: from } })
  for (const path of ['/v1/events', '/cmcd', '/cmcd/key']) {
    const allowed = await preflight(path, origin)
    expect(allowed).toMatchObject({
      status: 204,
      headers: {
        'access-control-allow-origin': origin,
        'access-control-allow-headers': 'content-type, authorization, traceparent',
        'access-control-allow-methods': 'POST, OPTIONS',
        'access-control-max-age': '86400',
      },
    })
    const refused = await preflight(path, 'https://evil.example')
    expect(refused.headers['access-control-allow-origin']).toBeUndefined()
  }
  const answer = await post(frameText(undefined), { headers: { origin } })
  expect(answer.headers['access-control-allow-origin']).toBe(origin)
  // Without a preflight, a browser would send this of any page.
  for (const path of ['/v1/events', '/cmcd/key']) {
    const before = gateway.log.records(TOPICS.events).length
    const foreign = await call(gateway.port, {
      method: 'POST',
      path,
      headers: { origin: 'https://evil.example', 'content-type': 'text/plain' },
      body: path === '/v1/events' ? frameText(undefined) : line('foreign', 0),
    })
    expect(foreign).toMatchObject({ status: 403, json: { code: 'GATEWAY_ORIGIN_REFUSED' } })
    expect(gateway.log.records(TOPICS.events)).toHaveLength(before)
  }
  const problem = await post('hello', { headers: { origin } })
  expect(problem.headers['access-control-allow-origin']).toBe(origin)
})

const line = (sid: string, sn: number) =>
  `cid="movie-1",e=t,sf=h,sid="${sid}",sn=${sn},st=v,ts=${Date.now()},v=2`

const report = (body: string, key = 'any') =>
  call(gateway.port, { method: 'POST', path: `/cmcd/${key}`, body })

test('a CMCD body is answered 204 once all its sessions are in the log', async () => {
  const body = `${line('c1', 0)}\r\n${line('c1', 1)}\n\n${line('c2', 0)}\n`
  expect((await report(body)).status).toBe(204)
  const keys = gateway.log.records(TOPICS.events).map(({ key }) => key)
  expect(keys).toEqual(expect.arrayContaining(['c1', 'c2']))
})

test('a broken CMCD line is rejected alone and kept sealed', async () => {
  await besideNeighbour(gateway, async () => {
    const kept = gateway.log.records(TOPICS.rejects).length
    expect((await report(`${line('c3', 0)}\nsid="oops\n`)).status).toBe(204)
    expect(gateway.log.records(TOPICS.events).some(({ key }) => key === 'c3')).toBe(true)
    const rejects = gateway.log.records(TOPICS.rejects)
    expect(rejects).toHaveLength(kept + 1)
    const reject = rejects
      .map(({ value }) => decodeReject(value))
      .find(({ stage }) => stage === 'cmcd')
    const sealed = reject?.sealed ?? new Uint8Array()
    expect(Buffer.from(gateway.sealer.open(sealed)).toString()).toContain('sid="oops')
  })
})

test('a CMCD body without a readable line is answered 400, an empty one too', async () => {
  const unreadable = { status: 400, json: { code: 'GATEWAY_CMCD_UNREADABLE' } }
  expect(await report('sid="oops')).toMatchObject(unreadable)
  expect(await report('')).toMatchObject(unreadable)
  expect(await report('\n\n')).toMatchObject(unreadable)
})

test('a CMCD target that is switched off is answered 410; a large body 413', async () => {
  const off = { status: 410, json: { code: 'GATEWAY_TARGET_OFF' } }
  expect(await report(line('c4', 0), 'old')).toMatchObject(off)
  const plain = await call(gateway.port, { method: 'POST', path: '/cmcd', body: line('c4', 0) })
  expect(plain).toMatchObject(off)
  expect((await report(`${line('c4', 0)}\n`.repeat(100))).status).toBe(413)
})

test('a full process budget is answered 429 with Retry-After, then things go on', async () => {
  const small = await startTestGateway({
    config: { requestsMax: 2, slowRetryMs: 4_000 },
  })
  small.log.hold()
  const waiting = [0, 1].map(() => post(frameText(undefined), {}, small.port))
  await until(() => small.log.heldAppends > 0)
  await until(async () => /gateway_requests 2/.test((await metrics(small)).text))
  const refused = await post(frameText(undefined), {}, small.port)
  expect(refused).toMatchObject({ status: 429, json: { code: 'GATEWAY_REQUESTS_FULL' } })
  expect(Number(refused.headers['retry-after'])).toBeGreaterThanOrEqual(2)
  expect(Number(refused.headers['retry-after'])).toBeLessThanOrEqual(6)
  small.log.release()
  expect((await Promise.all(waiting)).map(({ status }) => status)).toEqual([204, 204])
  expect((await post(frameText(undefined), {}, small.port)).status).toBe(204)
  await small.stop()
})

test('bytes beyond the process budget are answered 429, on both paths', async () => {
  const small = await startTestGateway({
    config: {
      inFlightMaxBytes: 2 ** 20,
      laneMaxBytes: 2 ** 20,
      creditBytes: 2 ** 19,
      frameMaxBytes: 2 ** 19,
      cmcdBodyMaxBytes: 2 ** 19,
      batchMaxBytes: 2 ** 19,
    },
  })
  small.log.hold()
  const padding = 'x'.repeat(300_000)
  const large = frameText(undefined, { events: [{ seq: 0, type: 'heartbeat', at: AT, padding }] })
  const first = post(large, {}, small.port)
  await until(() => small.log.heldAppends > 0)
  const overloaded = { status: 429, json: { code: 'GATEWAY_OVERLOADED' } }
  expect(await post(large + ' '.repeat(200_000), {}, small.port)).toMatchObject(overloaded)
  const body = `${line('c', 0)}${' '.repeat(500_000)}`
  expect(await call(small.port, { method: 'POST', path: '/cmcd', body })).toMatchObject(overloaded)
  small.log.release()
  expect((await first).status).toBe(204)
  expect(isBalanced(small.ledgers.events)).toBe(true)
  await small.stop()
})

test('a request past the append deadline is answered 503 and counts as refused', async () => {
  const small = await startTestGateway({ config: { appendDeadlineMs: 50 } })
  small.log.fail()
  expect(await post(frameText(undefined), {}, small.port)).toMatchObject({
    status: 503,
    json: { code: 'GATEWAY_LOG_UNAVAILABLE' },
    headers: { 'retry-after': expect.any(String) },
  })
  expect(small.ledgers.events).toMatchObject({ received: 1, refused: 1, inFlight: 0 })
  await small.stop()
})

test('a body that drips is answered 408 and cut, and its slot is free again', async () => {
  const clock = new ManualClock()
  const small = await startTestGateway({ clock, config: { requestsMax: 1, drainGraceMs: 2_000 } })
  const socket = connect(small.port, '127.0.0.1')
  let received = ''
  let closed = false
  socket.on('data', (chunk) => (received += chunk.toString()))
  socket.on('close', () => (closed = true))
  socket.write('POST /v1/events HTTP/1.1\r\nHost: t\r\nContent-Length: 100\r\n\r\n{')
  await until(async () => /gateway_requests 1/.test((await metrics(small)).text))
  await clock.advance(7_999)
  socket.write('"')
  expect(received).toBe('')
  await clock.advance(1)
  await until(() => closed)
  expect(received).toMatch(/^HTTP\/1\.1 408 .*GATEWAY_BODY_TIMEOUT/s)
  expect((await metrics(small)).text).toMatch(/gateway_requests 0/)
  await small.stop()
})

test('a client that goes away before its answer leaves its events in the log', async () => {
  gateway.log.hold()
  const body = frameText(undefined, { session: { sessionId: 'gone' } })
  const socket = connect(gateway.port, '127.0.0.1')
  socket.write(
    `POST /v1/events HTTP/1.1\r\nHost: t\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  )
  await until(() => gateway.log.heldAppends > 0)
  socket.destroy()
  await until(async () => /gateway_requests 0/.test((await metrics(gateway)).text))
  gateway.log.release()
  await until(() => gateway.log.records(TOPICS.events).some(({ key }) => key === 'gone'))
})

function metrics({ port }: TestGateway) {
  return call(port, { path: '/metrics' })
}

test('health, readiness and metrics are told', async () => {
  expect(await call(gateway.port, { path: '/healthz' })).toMatchObject({
    status: 200,
    json: { status: 'live' },
  })
  expect(await call(gateway.port, { path: '/readyz' })).toMatchObject({
    status: 200,
    json: { status: 'ready' },
  })
  const { text } = await metrics(gateway)
  const value = (outcome: string) =>
    Number(new RegExp(`gateway_events\\{outcome="${outcome}"\\} (\\d+)`).exec(text)?.[1])
  expect(value('received')).toBeGreaterThan(0)
  expect(value('received')).toBe(
    value('accepted') + value('rejected') + value('refused') + value('inFlight'),
  )
  for (const topic of [TOPICS.events, TOPICS.rejects])
    expect(text).toContain(`gateway_lane_backlog_bytes{topic="${topic}",partition="1"} 0`)
})
