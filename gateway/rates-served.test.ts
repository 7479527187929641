/** Rates over real sockets: whose they are, how they are answered, what is counted. */
import { SignJWT } from 'jose'
import { afterAll, expect, test } from 'vitest'
import { frameText, isBalanced } from './testing/connection-bench.ts'
import {
  askUpgrade,
  call,
  SECRET,
  startTestGateway,
  stopTestGateways,
  TestClient,
  until,
  type TestGateway,
} from './testing/test-gateway.ts'

afterAll(stopTestGateways)

const EVENTS = 1_000
const events = Array.from({ length: EVENTS }, (_, seq) => ({ seq, type: 'heartbeat', at: 1 }))
/** One largest frame uses up all there is, and hours pass before there is another. */
const tight = { rateBurstMs: 600_000, frameEventsMax: EVENTS }
const onePerMs = Math.ceil(EVENTS / 600)

const post = ({ port }: TestGateway, headers: Readonly<Record<string, string>> = {}) =>
  call(port, {
    method: 'POST',
    path: '/v1/events',
    headers,
    body: frameText(undefined, { events }),
  })

test('behind trusted proxies each client address has its own rate; beyond it HTTP answers 429', async () => {
  const gateway = await startTestGateway({
    config: { ...tight, addressEventsPerSecondMax: onePerMs, trustedNetworks: ['127.0.0.0/8'] },
  })
  const from = (client: string) => post(gateway, { 'x-forwarded-for': `6.6.6.6, ${client}` })
  expect((await from('1.1.1.1')).status).toBe(204)
  const refused = await from('1.1.1.1')
  expect(refused).toMatchObject({ status: 429, json: { code: 'GATEWAY_RATE_LIMITED' } })
  expect(Number(refused.headers['retry-after'])).toBeGreaterThanOrEqual(1)
  expect((await from('2.2.2.2')).status).toBe(204)
  const line = 'cid="c",e=t,sid="s",sn=0,st=v,ts=1800000000000,v=2\n'
  const cmcd = (client: string) =>
    call(gateway.port, {
      method: 'POST',
      path: '/cmcd',
      headers: { 'x-forwarded-for': client },
      body: line.repeat(300),
    })
  expect(await cmcd('1.1.1.1')).toMatchObject({ status: 429 })
  expect((await cmcd('3.3.3.3')).status).toBe(204)
  expect(gateway.ledgers.events.refusedBy.rate).toBe(EVENTS + 300)
  expect(isBalanced(gateway.ledgers.events)).toBe(true)
  const { text } = await call(gateway.port, { path: '/metrics' })
  expect(text).toContain('gateway_rate_refusals_total{scope="address",unit="events"} 2')
  expect(text).toContain('gateway_rate_entries{scope="address"} 3')
  expect(gateway.logged.join('')).not.toMatch(/1\.1\.1\.1|2\.2\.2\.2|127\.0\.0\.1:\d+,/)
})

test('without a trusted proxy the header changes nothing: all clients of a peer share its rate', async () => {
  const gateway = await startTestGateway({
    config: { ...tight, addressEventsPerSecondMax: onePerMs },
  })
  const client = await TestClient.open(gateway.port)
  client.send(frameText(0, { events }))
  await client.untilAcked(0)
  expect((await post(gateway, { 'x-forwarded-for': '1.1.1.1' })).status).toBe(429)
  client.send(frameText(1, { events }))
  await until(() => client.messages.some(({ slow }) => slow?.resendFrom === 1))
  expect(client.closed).toBeUndefined()
})

test('a token’s subject has one rate over all its connections and requests', async () => {
  const gateway = await startTestGateway({
    auth: 'hs256',
    config: { ...tight, subjectEventsPerSecondMax: onePerMs },
  })
  const authorization = async (subject: string) => {
    const token = await new SignJWT({ scope: 'write', sub: subject })
      .setProtectedHeader({ alg: 'HS256' })
      .setExpirationTime('1h')
      .sign(new TextEncoder().encode(SECRET))
    return { authorization: `Bearer ${token}` }
  }
  expect((await post(gateway, await authorization('relay-1'))).status).toBe(204)
  expect((await post(gateway, await authorization('relay-1'))).status).toBe(429)
  expect((await post(gateway, await authorization('relay-2'))).status).toBe(204)
})

test('upgrades beyond their rate are answered 503 before anything is verified', async () => {
  const gateway = await startTestGateway({
    auth: 'hs256',
    config: { upgradesPerSecondMax: 1, upgradesBurstMax: 5 },
  })
  const answers = []
  for (let each = 0; each < 12; each++) answers.push(await askUpgrade(gateway.port))
  const refused = answers.filter(({ status }) => status === 503)
  expect(refused.length).toBeGreaterThanOrEqual(5)
  for (const { json, headers } of refused) {
    expect(json['code']).toBe('GATEWAY_UPGRADES_LIMITED')
    expect(Number(headers['retry-after'])).toBeGreaterThanOrEqual(1)
  }
  // The others were looked at: they carry no token.
  const looked = answers.filter(({ status }) => status === 401)
  expect(looked.length + refused.length).toBe(12)
  expect((await call(gateway.port, { path: '/healthz' })).status).toBe(200)
})
