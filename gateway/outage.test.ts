/** The log down, a client that does not read, a drain: over real sockets. */
import { afterAll, expect, test } from 'vitest'
import { TOPICS } from '../shared/log/topics.ts'
import { logErrors } from '../shared/log/log-errors.ts'
import { ManualClock } from '../shared/runtime/clock.ts'
import { DRAIN_POLL_MS, LEAVE_MARGIN_MS } from './limits.ts'
import { frameText, isBalanced } from './testing/connection-bench.ts'
import {
  askUpgrade,
  call,
  frameHeader,
  RawClient,
  startTestGateway,
  stopTestGateways,
  TestClient,
  until,
  type TestGateway,
} from './testing/test-gateway.ts'
import { pass } from './testing/passing-time.ts'

afterAll(stopTestGateways)

const isReady = async ({ port }: TestGateway) =>
  (await call(port, { path: '/readyz' })).status === 200

const inFlightBytes = async ({ port }: TestGateway) => {
  const { text } = await call(port, { path: '/metrics' })
  return Number(/gateway_in_flight_bytes (\d+)/.exec(text)?.[1])
}

/** A client of the protocol in miniature: sends within credit, again after `slow`. */
class Sender {
  readonly client: TestClient
  next = 0
  slowCount = 0
  #edge = 63
  #seen = 0
  readonly #target: number

  constructor(client: TestClient, frames: number) {
    this.client = client
    this.#target = frames
    client.socket.addEventListener('message', () => this.#listen())
    this.#pump()
  }

  #listen(): void {
    const { messages } = this.client
    for (; this.#seen < messages.length; this.#seen++) {
      const { ack, creditFrames, slow } = messages[this.#seen] ?? {}
      if (ack !== undefined) this.#edge = Math.max(this.#edge, ack + Number(creditFrames))
      if (slow === undefined) continue
      this.slowCount += 1
      this.next = Math.min(this.next, slow.resendFrom)
      setTimeout(() => this.#pump(), slow.retryAfterMs)
      this.#seen += 1
      return
    }
    this.#pump()
  }

  #pump(): void {
    while (this.next <= this.#edge && this.next < this.#target) {
      const at = 1_800_000_000_000
      const events = [{ seq: this.next, type: 'heartbeat', at }]
      this.client.send(frameText(this.next++, { session: { sessionId: 'sender' }, events }))
    }
  }
}

test.each([
  ['unavailable', () => logErrors.create('LOG_UNAVAILABLE')],
  ['full', () => logErrors.create('LOG_FULL')],
])(
  'with the log %s nothing is acknowledged, memory is bounded, upgrades get 503, and all resumes alone',
  async (_name, failure) => {
    const gateway = await startTestGateway({ config: { appendDeadlineMs: 150 } })
    const sender = new Sender(await TestClient.open(gateway.port), 300)
    await sender.client.untilAcked(100)
    gateway.log.failWith(failure)
    await until(() => sender.slowCount >= 2)
    const { acked } = sender.client
    expect(await isReady(gateway)).toBe(false)
    expect((await call(gateway.port, { path: '/healthz' })).status).toBe(200)
    expect(await askUpgrade(gateway.port)).toMatchObject({
      status: 503,
      json: { code: 'GATEWAY_LOG_UNAVAILABLE' },
      headers: { 'retry-after': expect.any(String) },
    })
    expect(await inFlightBytes(gateway)).toBeLessThan(64 * 1_000)
    expect(sender.client.acked).toBe(acked)
    expect(gateway.log.records(TOPICS.events).length).toBeGreaterThanOrEqual(acked + 1)
    gateway.log.heal()
    await sender.client.untilAcked(299)
    expect(sender.client.closed).toBeUndefined()
    const seqs = new Set(
      gateway.log
        .values(TOPICS.events)
        .flatMap(({ events }) => (events as { seq: number }[]).map(({ seq }) => seq)),
    )
    expect(seqs.size).toBe(300)
    expect(isBalanced(gateway.ledgers.events)).toBe(true)
    expect(await isReady(gateway)).toBe(true)
    await TestClient.open(gateway.port)
  },
)

test('with the log silent the credit edge stops, then the client is told to wait', async () => {
  const gateway = await startTestGateway({ config: { appendDeadlineMs: 300 } })
  const sender = new Sender(await TestClient.open(gateway.port), 200)
  gateway.log.hold()
  const first = sender.client.acked
  await until(() => sender.slowCount > 0)
  expect(sender.client.acked - first).toBeLessThan(64)
  expect(gateway.ledgers.events.received).toBeLessThan(200)
  gateway.log.release()
  await sender.client.untilAcked(199)
  expect(isBalanced(gateway.ledgers.events)).toBe(true)
})

test('while the process is short of memory new connections get 503, and credit stands still', async () => {
  const gateway = await startTestGateway({
    config: { inFlightMaxBytes: 2 ** 20, laneMaxBytes: 2 ** 20, contextCacheEntriesMax: 2 },
  })
  const client = await TestClient.open(gateway.port)
  gateway.log.hold()
  const events = [{ seq: 0, type: 'heartbeat', at: 1, padding: 'x'.repeat(205_000) }]
  for (let frame = 0; frame < 4; frame++)
    client.send(frameText(frame, { session: { sessionId: `large-${frame}` }, events }))
  await until(() => gateway.ledgers.events.inFlight === 4)
  expect(await askUpgrade(gateway.port)).toMatchObject({
    status: 503,
    json: { code: 'GATEWAY_BUSY' },
  })
  const { text } = await call(gateway.port, { path: '/metrics' })
  expect(text).toContain('gateway_context_cache_entries 2')
  gateway.log.release()
  await client.untilAcked(3)
  expect((await askUpgrade(gateway.port)).status).toBe(101)
})

test('a client that does not read is closed, and a neighbour is not held up', async () => {
  const gateway = await startTestGateway({ config: { sendBufferMaxBytes: 327_680 } })
  const deaf = await RawClient.open(gateway.port)
  deaf.socket.pause()
  const neighbour = await TestClient.open(gateway.port)
  // Every ping is answered, which fills the kernel's buffers and then the gateway's.
  const pings = Buffer.concat(
    Array.from({ length: 8_000 }, () => Buffer.concat([frameHeader(125, 9), Buffer.alloc(125)])),
  )
  let frame = 0
  await until(async () => {
    deaf.socket.write(pings)
    deaf.send(Buffer.from(frameText(frame)))
    neighbour.send(frameText(frame))
    await neighbour.untilAcked(frame)
    frame += 1
    const { text } = await call(gateway.port, { path: '/metrics' })
    return text.includes('gateway_closes_total{code="GATEWAY_CLIENT_TOO_SLOW"} 1')
  })
  expect(frame).toBeGreaterThan(1)
  expect(neighbour.closed).toBeUndefined()
  deaf.socket.destroy()
})

test('a drain turns unready at once, says goaway, acknowledges what is in flight and closes 1001', async () => {
  const clock = new ManualClock()
  const gateway = await startTestGateway({
    clock,
    config: { drainDelayMs: 100, drainSpreadMs: 200, drainGraceMs: 5_000 },
  })
  const clients = await Promise.all([0, 1, 2, 3].map(() => TestClient.open(gateway.port)))
  gateway.log.hold()
  for (const client of clients) client.send(frameText(0))
  await until(() => gateway.ledgers.events.inFlight === 4)
  const stopped = gateway.stop()
  const draining = { status: 503, json: { code: 'GATEWAY_DRAINING' } }
  expect(await call(gateway.port, { path: '/readyz' })).toMatchObject(draining)
  expect(await askUpgrade(gateway.port)).toMatchObject(draining)
  await pass(clock, 90)
  expect(clients.every(({ messages }) => messages.every(({ goaway }) => !goaway))).toBe(true)
  await pass(clock, 10 + 200 + DRAIN_POLL_MS)
  await until(() => clients.every(({ messages }) => messages.some(({ goaway }) => goaway)))
  const delays = clients.map(({ messages }) => {
    const { goaway } = messages.find((message) => 'goaway' in message) ?? {}
    return (goaway as { reconnectAfterMs: number }).reconnectAfterMs
  })
  expect(new Set(delays).size).toBeGreaterThan(1)
  for (const delay of delays) expect(delay).toBeLessThanOrEqual(200)
  // Frames still come in until a client's moment is there; after it they are not taken.
  clients[0]?.send(frameText(1))
  await until(() => gateway.ledgers.events.inFlight === 5)
  await pass(clock, 200 + LEAVE_MARGIN_MS + 2 * DRAIN_POLL_MS)
  clients[0]?.send(frameText(2))
  expect((await call(gateway.port, { path: '/healthz' })).status).toBe(200)
  expect(clients.map(({ acked, closed }) => [acked, closed])).toEqual(
    clients.map(() => [-1, undefined]),
  )
  gateway.log.release()
  await until(async () => {
    await pass(clock, DRAIN_POLL_MS)
    return clients.every(({ closed }) => closed !== undefined)
  })
  for (const { closed } of clients)
    expect(closed).toEqual({ code: 1001, reason: 'GATEWAY_DRAINING' })
  expect(clients.map(({ acked }) => acked)).toEqual([1, 0, 0, 0])
  await pass(clock, 2 * DRAIN_POLL_MS)
  await stopped
  expect(gateway.ledgers.events).toMatchObject({ received: 5, accepted: 5, inFlight: 0 })
  await expect(call(gateway.port, { path: '/healthz' })).rejects.toThrow('ECONNREFUSED')
})

test('a drain of many asks them to go evenly over its spread, so that no storm follows', async () => {
  const clock = new ManualClock()
  const gateway = await startTestGateway({
    clock,
    config: { drainSpreadMs: 3_000, drainGraceMs: 6_000 },
  })
  const clients = await Promise.all(
    Array.from({ length: 200 }, () => TestClient.open(gateway.port)),
  )
  const stopped = gateway.stop()
  const comeBackAtMs: number[] = []
  const seen = new Set<TestClient>()
  for (let tenth = 0; tenth <= 30; tenth++) {
    await pass(clock, 100)
    // What was said has to come over the sockets before time goes on.
    await until(async () => {
      await call(gateway.port, { path: '/healthz' })
      return clients.filter(({ messages }) => messages.length > 1).length >= 4 * (tenth - 1)
    })
    for (const client of clients) {
      const goaway = client.messages.find((message) => 'goaway' in message)?.['goaway']
      if (goaway === undefined || seen.has(client)) continue
      seen.add(client)
      comeBackAtMs.push(tenth * 100 + (goaway as { reconnectAfterMs: number }).reconnectAfterMs)
    }
  }
  await until(async () => {
    await pass(clock, 100)
    return clients.every(({ closed }) => closed?.code === 1001)
  })
  await pass(clock, 100)
  await stopped
  const byTenth = Array.from(
    { length: 41 },
    (_, tenth) => comeBackAtMs.filter((atMs) => Math.floor(atMs / 100) === tenth).length,
  )
  // 200 over four seconds: the fullest tenth of a second stays far below a storm.
  expect(Math.max(...byTenth)).toBeLessThanOrEqual(15)
  expect(byTenth.reduce((sum, count) => sum + count)).toBe(200)
})

test('a drain ends with the grace even when the log is silent: nothing is acknowledged', async () => {
  const clock = new ManualClock()
  const gateway = await startTestGateway({ clock, config: { drainGraceMs: 1_800 } })
  const client = await TestClient.open(gateway.port)
  gateway.log.hold()
  client.send(frameText(0))
  await until(() => gateway.ledgers.events.inFlight === 1)
  let stopped = false
  const stopping = gateway.stop().then(() => (stopped = true))
  await pass(clock, 1_790)
  expect(stopped).toBe(false)
  await pass(clock, 10 + 2 * DRAIN_POLL_MS)
  await stopping
  expect(await client.untilClosed()).toMatchObject({ code: 1001 })
  expect(client.acked).toBe(-1)
  gateway.log.release()
})
