import { afterAll, expect, test } from 'vitest'
import { TOPICS } from '../shared/log/topics.ts'
import { ManualClock, systemClock } from '../shared/runtime/clock.ts'
import { readConfig } from '../shared/runtime/config.ts'
import { gatewayConfig, type GatewayConfig } from './config.ts'
import { gatewayErrors } from './errors.ts'
import { assertGatewayLimits, SWEEP_MS } from './limits.ts'
import { ControlledLog } from './testing/controlled-log.ts'
import { frameText } from './testing/connection-bench.ts'
import { pass } from './testing/passing-time.ts'
import {
  askUpgrade,
  call,
  startTestGateway,
  stopTestGateways,
  TestClient,
  until,
} from './testing/test-gateway.ts'

afterAll(stopTestGateways)

test('a port in use is an error that names the setting', async () => {
  const first = await startTestGateway()
  await expect(startTestGateway({ config: { port: first.port } })).rejects.toThrow(
    new RegExp(`GATEWAY_PORT_IN_USE.*GATEWAY_PORT.*${first.port}`),
  )
  expect((await call(first.port, { path: '/healthz' })).status).toBe(200)
  await first.stop()
})

test.each([
  ['a name that is none', 'gateway..example', 0],
  ['an address of another machine', '192.0.2.1', 8_080],
])('%s as GATEWAY_HOST is not called a port in use', async (_name, host, port) => {
  await expect(startTestGateway({ config: { host, port }, auth: 'hs256' })).rejects.toThrow(
    new RegExp(`GATEWAY_ADDRESS_UNAVAILABLE.*GATEWAY_HOST.*${host} and ${port}, .*E[A-Z_]+`),
  )
})

test('an address other than loopback without authentication is refused', async () => {
  for (const host of ['0.0.0.0', '::', '192.0.2.1', 'gateway.example'])
    await expect(startTestGateway({ config: { host } })).rejects.toThrow(
      /GATEWAY_AUTH_REQUIRED.*BACKHAUL_AUTH_MODE/,
    )
  const guarded = await startTestGateway({ config: { host: '0.0.0.0' }, auth: 'hs256' })
  expect((await call(guarded.port, { path: '/healthz' })).status).toBe(200)
  await guarded.stop()
})

test('missing topics, and partitions other than configured, are refused', async () => {
  const log = new ControlledLog(systemClock)
  const bounds = { retentionMs: 1, retentionBytes: 1 }
  await log.ensureTopics([{ name: TOPICS.events, partitions: 3, ...bounds }])
  await expect(startTestGateway({ log })).rejects.toThrow(/LOG_TOPIC_MISMATCH.*2.*3/)
  const missing = new ControlledLog(systemClock)
  missing.ensureTopics = () => Promise.resolve()
  await expect(startTestGateway({ log: missing })).rejects.toThrow('LOG_TOPIC_UNKNOWN')
})

test('a gateway whose clock disagrees with the log turns unready, closes nobody, and recovers', async () => {
  const gateway = await startTestGateway({ config: { maxClockSkewMs: 1_000 } })
  const client = await TestClient.open(gateway.port)
  const ready = () => call(gateway.port, { path: '/readyz' })
  for (const [frame, skewMs] of [7_200_000, -7_200_000].entries()) {
    gateway.log.skewMs = skewMs
    client.send(frameText(frame))
    await client.untilAcked(frame)
    expect(await ready()).toMatchObject({ status: 503, json: { code: 'GATEWAY_CLOCK_SKEWED' } })
    expect((await call(gateway.port, { path: '/healthz' })).status).toBe(200)
    const { text } = await call(gateway.port, { path: '/metrics' })
    const told = Number(/gateway_clock_skew_ms (-?\d+)/.exec(text)?.[1])
    expect(Math.abs(told - skewMs)).toBeLessThan(1_000)
  }
  gateway.log.skewMs = 0
  client.send(frameText(2))
  await client.untilAcked(2)
  expect((await ready()).status).toBe(200)
  expect(client.closed).toBeUndefined()
})

test('time-outs run by the injected clock: no hello, token expired', async () => {
  const clock = new ManualClock()
  const gateway = await startTestGateway({ clock })
  const client = await TestClient.open(gateway.port)
  await pass(clock, 8_000)
  await pass(clock, SWEEP_MS)
  expect(await client.untilClosed()).toMatchObject({
    code: 4408,
    reason: expect.stringContaining('GATEWAY_HELLO_TIMEOUT'),
  })
  await gateway.stop()
})

test('the number of connections is bounded: the next is answered 503, and a slot comes back', async () => {
  const gateway = await startTestGateway({ config: { connectionsMax: 2 } })
  const clients = [await TestClient.open(gateway.port), await TestClient.open(gateway.port)]
  const answer = await askUpgrade(gateway.port)
  expect(answer).toMatchObject({ status: 503, json: { code: 'GATEWAY_CONNECTIONS_FULL' } })
  expect(Number(answer.headers['retry-after'])).toBeGreaterThanOrEqual(1)
  clients[0]?.socket.close()
  await until(async () => {
    const { text } = await call(gateway.port, { path: '/metrics' })
    return text.includes('gateway_connections 1')
  })
  await TestClient.open(gateway.port)
})

test('a page of another origin cannot open a connection', async () => {
  const gateway = await startTestGateway({ config: { allowedOrigins: ['https://a.example'] } })
  const ask = (origin: string) => askUpgrade(gateway.port, { origin })
  expect(await ask('https://b.example')).toMatchObject({
    status: 403,
    json: { code: 'GATEWAY_ORIGIN_REFUSED' },
  })
  expect((await ask('https://a.example')).status).toBe(101)
  await gateway.stop()
})

test('the defaults agree with one another, and each broken relation is named', () => {
  assertGatewayLimits()
  const defaults = readConfig(gatewayConfig, {}, () => '')
  const broken: [Partial<GatewayConfig>, string][] = [
    [{ creditBytes: 1_024 }, 'GATEWAY_CREDIT_BYTES of at least GATEWAY_FRAME_MAX_BYTES'],
    [{ laneMaxBytes: 262_144 }, 'GATEWAY_LANE_MAX_BYTES'],
    [
      { laneMaxRecords: 1_500, frameEventsMax: 1_500 },
      'GATEWAY_LANE_MAX_RECORDS of at least the larger of GATEWAY_FRAME_EVENTS_MAX (1500) and the 1000 records of a CMCD body, + 1 = 1501, received 1500',
    ],
    [
      { laneMaxRecords: 1_000, frameEventsMax: 500 },
      'GATEWAY_FRAME_EVENTS_MAX (500) and the 1000 records of a CMCD body, + 1 = 1001, received 1000',
    ],
    [{ inFlightMaxBytes: 2 ** 20 }, 'GATEWAY_IN_FLIGHT_MAX_BYTES'],
    [{ laneLingerMs: 26 }, 'GATEWAY_LANE_LINGER_MAX_MS of at least GATEWAY_LANE_LINGER_MS = 26'],
    [{ appendDeadlineMs: 50, laneLingerMaxMs: 50 }, 'GATEWAY_APPEND_DEADLINE_MS'],
    [{ idleMs: 15_000 }, 'GATEWAY_IDLE_MS of at least twice GATEWAY_HEARTBEAT_MS = 20000'],
    [
      { drainGraceMs: 7_000 },
      'GATEWAY_DRAIN_GRACE_MS of at least GATEWAY_DRAIN_DELAY_MS + GATEWAY_DRAIN_SPREAD_MS + 1750 = 7750',
    ],
    [{ pingMs: 5_000 }, 'GATEWAY_PING_MS + GATEWAY_PONG_TIMEOUT_MS of at most 9000'],
    [{ framesBurstMax: 63 }, 'GATEWAY_FRAMES_BURST_MAX of at least GATEWAY_CREDIT_FRAMES = 64'],
    [
      { addressEventsPerSecondMax: 199 },
      'GATEWAY_ADDRESS_EVENTS_PER_SECOND_MAX × GATEWAY_RATE_BURST_MS (5000) of at least the largest frame or CMCD body, 1000 events, received 199, hence 995',
    ],
    [{ connectionBytesPerSecondMax: 52_428 }, 'GATEWAY_CONNECTION_BYTES_PER_SECOND_MAX'],
    [{ trustedHops: 1, trustedNetworks: ['10.0.0.0/8'] }, 'GATEWAY_TRUSTED_HOPS'],
    [{ routes: ['type:nonsense=topic'] }, 'GATEWAY_ROUTES to hold types of events, not nonsense'],
    [{ trustedNetworks: ['10.0.0.0'] }, 'GATEWAY_TRUSTED_NETWORKS'],
  ]
  for (const [values, message] of broken)
    expect(() => gatewayConfig.check?.({ ...defaults, ...values })).toThrow(message)
})

test('no gateway takes fewer events a frame than the protocol guarantees', () => {
  const read = (text: string) =>
    readConfig(gatewayConfig, { GATEWAY_FRAME_EVENTS_MAX: text }, () => '')
  expect(read('1000').frameEventsMax).toBe(1_000)
  expect(() => read('999')).toThrow(/GATEWAY_FRAME_EVENTS_MAX.*999/)
})

test('every error says what to do, and ends a connection or answers a request in a known way', () => {
  for (const [code, spec] of Object.entries(gatewayErrors.catalogue)) {
    expect(code).toMatch(/^GATEWAY_[A-Z_]+$/)
    expect(spec.rule).not.toMatch(/\.$/)
    expect(spec.action.length).toBeGreaterThan(10)
  }
})
