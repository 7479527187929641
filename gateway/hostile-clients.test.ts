/** Clients that hold back, drip, flood or blow up: each is bounded, and its neighbour untouched. */
import { connect } from 'node:net'
import { deflateRawSync } from 'node:zlib'
import { afterAll, expect, test } from 'vitest'
import { systemClock } from '../shared/runtime/clock.ts'
import { frameText } from './testing/connection-bench.ts'
import { besideNeighbour } from './testing/neighbour.ts'
import {
  frameHeader,
  RawClient,
  startTestGateway,
  stopTestGateways,
  TestClient,
  until,
} from './testing/test-gateway.ts'

afterAll(stopTestGateways)

/** What a fault is found within, and the polls around it. */
const CLOSED_WITHIN_MS = 10_000

test('a frame dripped after the hello is closed within ten seconds, however steadily it drips', async () => {
  const gateway = await startTestGateway()
  await besideNeighbour(gateway, async () => {
    const dripping = await RawClient.open(gateway.port)
    dripping.send(Buffer.from(frameText(0)))
    await until(() => dripping.received.includes('"ack":0'))
    const startedAtMs = systemClock.monotonicMs()
    dripping.socket.write(frameHeader(10_000))
    const cancel = systemClock.every(100, () => dripping.socket.write('x'))
    await until(() => dripping.closed)
    cancel()
    expect(systemClock.monotonicMs() - startedAtMs).toBeLessThan(CLOSED_WITHIN_MS)
    expect(dripping.received).toContain('GATEWAY_CLIENT_UNRESPONSIVE')
  })
})

test('a request whose header drips is cut within ten seconds', async () => {
  const gateway = await startTestGateway()
  await besideNeighbour(gateway, async () => {
    const socket = connect(gateway.port, '127.0.0.1')
    let closed = false
    socket.on('close', () => (closed = true))
    socket.on('error', () => undefined)
    const startedAtMs = systemClock.monotonicMs()
    socket.write('GET /v1/events HTTP/1.1\r\nHost: t\r\nX-Drip: ')
    const cancel = systemClock.every(200, () => socket.write('x'))
    await until(() => closed)
    cancel()
    expect(systemClock.monotonicMs() - startedAtMs).toBeLessThan(CLOSED_WITHIN_MS + 5_000)
  })
})

test('a connection that says nothing at all is cut', async () => {
  const gateway = await startTestGateway()
  const socket = connect(gateway.port, '127.0.0.1')
  let closed = false
  socket.on('close', () => (closed = true))
  socket.resume()
  await until(() => closed)
})

test('compression is not spoken: a bomb is cut unopened, and offering it changes nothing', async () => {
  const gateway = await startTestGateway()
  await besideNeighbour(gateway, async () => {
    const client = new RawClient(gateway.port)
    client.socket.write(
      'GET /v1/events HTTP/1.1\r\nHost: t\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
        'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n' +
        'Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n' +
        'Sec-WebSocket-Protocol: playback.v1\r\n\r\n',
    )
    await until(() => client.received.includes('welcome'))
    expect(client.received.toLowerCase()).not.toContain('permessage-deflate')
    const bomb = deflateRawSync(Buffer.alloc(64 * 2 ** 20, 'x'))
    const rssBefore = process.memoryUsage().rss
    const header = frameHeader(bomb.length)
    header[0] = 0xc1
    client.socket.write(Buffer.concat([header, bomb]))
    await until(() => client.closed)
    expect(process.memoryUsage().rss - rssBefore).toBeLessThan(48 * 2 ** 20)
  })
})

test('a client that does not read costs its neighbour nothing: latency beside it and without it', async () => {
  const gateway = await startTestGateway({ config: { sendBufferMaxBytes: 327_680 } })
  const neighbour = await TestClient.open(gateway.port)
  let frame = 0
  const latencies = async (count: number, between: () => void) => {
    const taken: number[] = []
    for (let round = 0; round < count; round++) {
      between()
      const sentAtMs = systemClock.monotonicMs()
      neighbour.send(frameText(frame))
      await neighbour.untilAcked(frame)
      frame += 1
      taken.push(systemClock.monotonicMs() - sentAtMs)
    }
    return taken.toSorted((a, b) => a - b)
  }
  const alone = await latencies(200, () => undefined)
  const deaf = await RawClient.open(gateway.port)
  deaf.socket.pause()
  const pings = Buffer.concat(
    Array.from({ length: 400 }, () => Buffer.concat([frameHeader(125, 9), Buffer.alloc(125)])),
  )
  const beside = await latencies(200, () => deaf.socket.write(pings))
  const median = (sorted: readonly number[]) => sorted[sorted.length >> 1] ?? 0
  // A machine under load varies; a held-up neighbour would wait for the deaf one's time-out.
  expect(median(beside)).toBeLessThan(20 * median(alone) + 50)
  deaf.socket.destroy()
})
