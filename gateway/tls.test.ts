/** A gateway that speaks TLS by itself: to browsers, to requests, and to nobody in clear. */
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { request } from 'node:https'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import type { ListenerTls } from '../shared/http/listener-tls.ts'
import { selfSigned, writeSelfSigned } from '../shared/http/testing/self-signed.ts'
import { TOPICS } from '../shared/log/topics.ts'
import { frameText } from './testing/connection-bench.ts'
import { startTestGateway, stopTestGateways, until } from './testing/test-gateway.ts'

const own = selfSigned()
let folder: string
let tls: ListenerTls
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'backhaul-gateway-tls-'))
  tls = writeSelfSigned(folder, own)
})
afterAll(async () => {
  await stopTestGateways()
  rmSync(folder, { recursive: true })
})

test('frames come over wss and https, and a client without TLS is not spoken to', async () => {
  const gateway = await startTestGateway({ config: tls })
  expect(gateway.url).toBe(`https://127.0.0.1:${gateway.port}`)
  const heard: string[] = []
  const socket = new WebSocket(`wss://127.0.0.1:${gateway.port}/v1/events`, ['playback.v1'], {
    ca: own.certificate,
  })
  socket.on('message', (data: Buffer) => heard.push(data.toString()))
  await once(socket, 'open')
  socket.send(frameText(0))
  await until(() => heard.some((message) => message.includes('"ack":0')))
  socket.close()
  const post = request(`${gateway.url}/v1/events`, {
    method: 'POST',
    ca: own.certificate,
    headers: { 'content-type': 'application/json' },
  })
  post.end(frameText(undefined, { session: { sessionId: 'posted' } }))
  const [{ statusCode }] = (await once(post, 'response')) as [{ statusCode: number }]
  expect(statusCode).toBe(204)
  expect(gateway.log.records(TOPICS.events).map(({ key }) => key)).toEqual(['s1', 'posted'])
  const plain = connect(gateway.port, '127.0.0.1')
  plain.write('GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n')
  expect(await text(plain)).not.toContain('HTTP')
})

test('a certificate that the client does not trust ends the connection on its side', async () => {
  const gateway = await startTestGateway({ config: tls })
  const socket = new WebSocket(`wss://127.0.0.1:${gateway.port}/v1/events`, ['playback.v1'])
  const [error] = (await once(socket, 'error')) as [NodeJS.ErrnoException]
  expect(error.code).toBe('DEPTH_ZERO_SELF_SIGNED_CERT')
})
