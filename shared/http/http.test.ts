import { connect } from 'node:net'
import { App, type HttpRequest, type HttpResponse, type TemplatedApp } from 'uWebSockets.js'
import { afterEach, expect, test } from 'vitest'
import { ManualClock, systemClock } from '../runtime/clock.ts'
import { defineErrors } from '../runtime/errors.ts'
import { readBody, type BodyResult } from './body.ts'
import { corsHeaders, isOriginAllowed, preflightHeaders } from './cors.ts'
import { GuardedResponse } from './guarded-response.ts'
import { httpUrl, listenExclusively, listenOrExplain } from './listen.ts'
import { jsonAnswer, problemAnswer } from './problem.ts'

const errors = defineErrors({
  DEMO_BUSY: { rule: 'a demo must be idle', retryable: true, status: 503, action: 'Wait.' },
  DEMO_ODD: { rule: 'a demo must be even', retryable: false, action: 'Mend.' },
})

const apps: TemplatedApp[] = []

afterEach(() => {
  for (const app of apps.splice(0)) app.close()
})

function serve(handle: (response: HttpResponse, request: HttpRequest) => void): number {
  const app = App()
  apps.push(app)
  app.any('/*', handle)
  const refused = () => new Error('the port is taken')
  return listenExclusively(app, { host: '127.0.0.1', port: 0 }, refused).port
}

async function until(condition: () => boolean): Promise<void> {
  const deadline = Date.now() + 15_000
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`not within 15 s: ${condition}`)
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}

function post(port: number, body: string): Promise<Response> {
  return fetch(httpUrl('127.0.0.1', port), { method: 'POST', body })
}

test('an answer is given once; a later one is a no-op', async () => {
  const port = serve((response) => {
    const guarded = new GuardedResponse(response)
    let ends = 0
    guarded.onEnd(() => (ends += 1))
    guarded.answer({ status: 201, headers: { 'x-a': 'b' }, body: 'first' })
    guarded.answer({ status: 500, body: 'second' })
    guarded.onEnd(() => (ends += 10))
    expect(guarded.isOpen).toBe(false)
    expect(ends).toBe(11)
  })
  const answer = await post(port, '')
  expect(answer.status).toBe(201)
  expect(answer.statusText).toBe('Created')
  expect(answer.headers.get('x-a')).toBe('b')
  expect(await answer.text()).toBe('first')
})

test('a client that went away ends the response, and answering it does nothing', async () => {
  const ended: boolean[] = []
  let guarded: GuardedResponse | undefined
  const port = serve((response) => {
    guarded = new GuardedResponse(response)
    guarded.onEnd(() => ended.push(true))
  })
  const socket = connect(port, '127.0.0.1')
  socket.write('GET / HTTP/1.1\r\nHost: t\r\n\r\n')
  await until(() => guarded !== undefined)
  socket.destroy()
  await until(() => ended.length === 1)
  guarded?.answer({ status: 200, body: 'late' })
  expect(() => guarded?.handOver()).toThrow('assertion failed')
})

test('an answer that closes the connection does so', async () => {
  const port = serve((response) => {
    new GuardedResponse(response).answer({ status: 413, closesConnection: true })
  })
  const socket = connect(port, '127.0.0.1')
  let received = ''
  let closed = false
  socket.on('data', (chunk) => (received += chunk.toString()))
  socket.on('close', () => (closed = true))
  socket.write('GET / HTTP/1.1\r\nHost: t\r\n\r\n')
  await until(() => closed)
  expect(received).toMatch(/^HTTP\/1\.1 413 Content Too Large\r\n.*connection: close/is)
})

test('a body of many chunks comes whole, up to its limit', async () => {
  const limits = { maxBytes: 300_000, timeoutMs: 5_000 }
  const port = serve((response) => {
    const guarded = new GuardedResponse(response)
    readBody(guarded, limits, systemClock, (result) => {
      guarded.answer(
        result.ok
          ? { status: 200, body: result.bytes }
          : { status: 413, body: result.reason, closesConnection: true },
      )
    })
  })
  const body = 'abc'.repeat(100_000)
  const whole = await post(port, body)
  expect(whole.status).toBe(200)
  expect((await whole.text()) === body).toBe(true)
  expect(await (await post(port, '')).text()).toBe('')
  const over = await post(port, `${body}.`)
  expect(over.status).toBe(413)
  expect(await over.text()).toBe('tooLarge')
})

test('a body that drips ends at its time, whatever still comes', async () => {
  const clock = new ManualClock()
  const results: BodyResult[] = []
  let seen = false
  const port = serve((response) => {
    const guarded = new GuardedResponse(response)
    seen = true
    readBody(guarded, { maxBytes: 100, timeoutMs: 1_000 }, clock, (result) => results.push(result))
  })
  const socket = connect(port, '127.0.0.1')
  socket.write('POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 50\r\n\r\nab')
  await until(() => seen)
  await clock.advance(999)
  expect(results).toEqual([])
  await clock.advance(1)
  expect(results).toEqual([{ ok: false, reason: 'timeout' }])
  socket.destroy()
})

test('a client that goes away in the middle of a body is told apart', async () => {
  const results: BodyResult[] = []
  let seen = false
  const port = serve((response) => {
    const guarded = new GuardedResponse(response)
    seen = true
    readBody(guarded, { maxBytes: 100, timeoutMs: 60_000 }, systemClock, (result) =>
      results.push(result),
    )
  })
  const socket = connect(port, '127.0.0.1')
  socket.write('POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 50\r\n\r\nab')
  await until(() => seen)
  socket.destroy()
  await until(() => results.length > 0)
  expect(results).toEqual([{ ok: false, reason: 'aborted' }])
})

test('a port that is in use is refused, and free again after the close', () => {
  const refused = () => new Error('the port is taken')
  const address = (port: number) => ({ host: '127.0.0.1', port })
  const first = App()
  const second = App()
  apps.push(first, second)
  const listening = listenExclusively(first, address(0), refused)
  expect(() => listenExclusively(second, address(listening.port), refused)).toThrow(
    'the port is taken',
  )
  listening.close()
  listening.close()
  const again = listenExclusively(second, address(listening.port), refused)
  expect(again.port).toBe(listening.port)
})

test.each([
  ['a port in use', (port: number) => ({ host: '127.0.0.1', port }), 'EADDRINUSE'],
  ['an address of another machine', () => ({ host: '192.0.2.1', port: 0 }), 'EADDRNOTAVAIL'],
  ['a name without an address', () => ({ host: 'a..b', port: 0 }), expect.stringMatching(/^E/)],
])('%s is refused with the reason that the system gives', async (_name, addressBy, reason) => {
  const port = serve(() => undefined)
  const app = App()
  apps.push(app)
  let told = ''
  const refused = (systemCode: string) => {
    told = systemCode
    return new Error('refused')
  }
  await expect(listenOrExplain(app, addressBy(port), refused)).rejects.toThrow('refused')
  expect(told).toEqual(reason)
  const listening = await listenOrExplain(app, { host: '127.0.0.1', port: 0 }, refused)
  expect(listening.port).toBeGreaterThan(0)
})

test('a problem document names type, title, status, detail and code', () => {
  const answer = problemAnswer(errors.create('DEMO_BUSY', { received: '2 demos' }), {
    retryAfterSeconds: 0.2,
    headers: { 'x-a': 'b' },
  })
  expect(answer.status).toBe(503)
  expect(answer.headers).toMatchObject({
    'content-type': 'application/problem+json',
    'retry-after': '1',
    'x-a': 'b',
  })
  expect(JSON.parse(String(answer.body))).toEqual({
    type: 'urn:backhaul:error:DEMO_BUSY',
    title: 'Service Unavailable',
    status: 503,
    detail: 'a demo must be idle; received 2 demos',
    code: 'DEMO_BUSY',
  })
  expect(problemAnswer(errors.create('DEMO_ODD')).status).toBe(500)
  expect(jsonAnswer(200, { a: 1 })).toMatchObject({ status: 200, body: '{"a":1}' })
})

test('origins are allowed by name or all at once; no origin is no page', () => {
  const some = {
    origins: ['https://a.example'],
    methods: ['POST'],
    headers: ['x'],
    maxAgeSeconds: 9,
  }
  expect(isOriginAllowed(some, 'https://a.example')).toBe(true)
  expect(isOriginAllowed(some, 'https://b.example')).toBe(false)
  expect(isOriginAllowed(some, '')).toBe(true)
  expect(isOriginAllowed({ origins: ['*'] }, 'https://b.example')).toBe(true)
  expect(corsHeaders(some, 'https://a.example')).toEqual({
    'access-control-allow-origin': 'https://a.example',
    vary: 'origin',
  })
  expect(corsHeaders(some, 'https://b.example')).toEqual({ vary: 'origin' })
  expect(corsHeaders({ origins: ['*'] }, 'https://b.example')).toEqual({
    'access-control-allow-origin': '*',
  })
  expect(preflightHeaders(some, 'https://a.example')).toMatchObject({
    'access-control-allow-methods': 'POST',
    'access-control-allow-headers': 'x',
    'access-control-max-age': '9',
  })
})

test('an IPv6 host stands in brackets', () => {
  expect(httpUrl('::1', 80)).toBe('http://[::1]:80')
  expect(httpUrl('127.0.0.1', 80)).toBe('http://127.0.0.1:80')
  expect(httpUrl('::1', 443, true)).toBe('https://[::1]:443')
})

test('an answer without a body announces no length', async () => {
  const port = serve((response) => new GuardedResponse(response).answer({ status: 204 }))
  const response = await fetch(httpUrl('127.0.0.1', port))
  expect(response.status).toBe(204)
  expect(response.headers.get('content-length')).toBeNull()
})
