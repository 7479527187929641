/** Requests whose end two parsers would see at different places: no second request comes of one. */
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { frameText } from './testing/connection-bench.ts'
import {
  call,
  startTestGateway,
  stopTestGateways,
  type TestGateway,
} from './testing/test-gateway.ts'

let gateway: TestGateway
beforeAll(async () => {
  gateway = await startTestGateway()
})
afterAll(stopTestGateways)

const HIDDEN = 'GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n'
/** It is answered at once, so that the server goes on to what follows. */
const HEAD = 'POST /healthz HTTP/1.1\r\nhost: x\r\n'

/** All that is answered to these bytes until the server closes. */
async function answersTo(bytes: string): Promise<string> {
  const socket = connect(gateway.port, '127.0.0.1')
  socket.on('error', () => undefined)
  socket.write(bytes)
  return await text(socket)
}

test('what follows a request of a plain length is another one', async () => {
  expect(await answersTo(`${HEAD}content-length: 0\r\n\r\n${HIDDEN}`)).toContain('"live"')
})

test.each([
  [
    'a length and chunks',
    `content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n${HIDDEN}`,
  ],
  [
    'chunks and a length',
    `transfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n${HIDDEN}`,
  ],
  ['two lengths', `content-length: 0\r\ncontent-length: ${HIDDEN.length}\r\n\r\n${HIDDEN}`],
  [
    'an empty length and another',
    `content-length: \r\ncontent-length: ${HIDDEN.length}\r\n\r\n${HIDDEN}`,
  ],
  ['a signed length', `content-length: +0\r\n\r\n${HIDDEN}`],
  ['a length in hexadecimal', `content-length: 0x0\r\n\r\n${HIDDEN}`],
  ['a length in words', `content-length: none\r\n\r\n${HIDDEN}`],
  ['another coding', `transfer-encoding: xchunked\r\n\r\n0\r\n\r\n${HIDDEN}`],
  ['a chunk of a wrong size', `transfer-encoding: chunked\r\n\r\nzz\r\n\r\n${HIDDEN}`],
])('%s hide no request', async (_name, rest) => {
  expect(await answersTo(HEAD + rest)).not.toContain('"live"')
})

test('an upgrade that is refused hides none either', async () => {
  const key = `sec-websocket-key: ${'k'.repeat(22)}==`
  const upgrade = `GET /v1/events HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\n${key}\r\n`
  const lengths = `content-length: 0\r\ncontent-length: ${HIDDEN.length}\r\n\r\n`
  expect(await answersTo(`${upgrade}${lengths}${HIDDEN}`)).not.toContain('"live"')
})

test('the books hold no request after all that, and the next one is taken', async () => {
  const body = frameText(undefined)
  expect((await call(gateway.port, { method: 'POST', path: '/v1/events', body })).status).toBe(204)
  gateway.report()
  expect(await gateway.registry.metrics()).toMatch(/^gateway_requests(?:\{[^}]*\})? 0$/m)
})

test.each([
  ['x-http-method-override', 'POST'],
  ['x-original-url', '/v1/events'],
  ['x-rewrite-url', '/metrics'],
  ['x-forwarded-host', 'evil.example'],
])('the header %s changes no answer', async (name, value) => {
  const path = '/healthz'
  const plain = await call(gateway.port, { path })
  const given = await call(gateway.port, { path, headers: { [name]: value } })
  expect([given.status, given.text]).toEqual([plain.status, plain.text])
})
