/** What is never written: who a viewer is, and from where a client came. */
import { SignJWT } from 'jose'
import { afterAll, expect, test } from 'vitest'
import { decodeReject } from '../shared/log/reject-record.ts'
import { TOPICS } from '../shared/log/topics.ts'
import { frameText } from './testing/connection-bench.ts'
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

const heartbeat = { seq: 0, type: 'heartbeat', at: 1_800_000_000_000 }

test('the token’s subject is the viewer, as a pseudonym; the raw id is never written or logged', async () => {
  const guarded = await startTestGateway({ auth: 'hs256' })
  const good = await new SignJWT({ scope: 'write', sub: 'alice@example.org' })
    .setProtectedHeader({ alg: 'HS256' })
    .setExpirationTime('1h')
    .sign(new TextEncoder().encode(SECRET))
  const client = await TestClient.open(guarded.port, [
    'playback.v1',
    `bearer.${Buffer.from(good).toString('base64url')}`,
  ])
  client.send(frameText(0, { session: { sessionId: 'viewed', viewerId: 'somebody-else' } }))
  client.send('{"session":{"viewerId":"alice@example.org"')
  await client.untilAcked(1)
  client.socket.close()
  const record = guarded.log.records(TOPICS.events).find(({ key }) => key === 'viewed')
  const text = Buffer.from(record?.value ?? []).toString()
  expect(JSON.parse(text)).toMatchObject({
    session: { viewerPseudonym: guarded.pseudonymiser.pseudonym('alice@example.org') },
  })
  for (const each of allWritten(guarded)) expect(each).not.toMatch(/alice|somebody-else/)
})

/** What records and log lines hold, but for the gateway’s own address. */
function allWritten({ log, logged, url }: TestGateway): string[] {
  const records = [TOPICS.events, TOPICS.rejects].flatMap((topic) => log.records(topic))
  return [
    ...records.map(({ key, value, headers }) =>
      JSON.stringify([key, Buffer.from(value).toString(), headers]),
    ),
    ...logged.map((line) => line.replaceAll(url, '')),
  ]
}

/** 127.0.0.1 as text, as bytes in decimal, and as the hexadecimal end of an IPv6 address. */
const CLIENT_ADDRESS =
  /127\.0\.0\.1|127,\s*"?0"?,\s*"?0"?,\s*"?1\b|7f00:?0001|7f00:1\b|203\.0\.113\.7/i

test.each([
  '"source":"127.0.0.1"',
  '::ffff:127.0.0.1',
  '[127,0,0,1]',
  '0000:0000:0000:0000:0000:ffff:7f00:0001',
  '::ffff:7f00:1',
  '7F000001',
  '203.0.113.7',
])('the client’s address would be recognised as %s', (text) => {
  expect(text).toMatch(CLIENT_ADDRESS)
})

test('the client’s address is in no record, reject or log line, whatever way it comes', async () => {
  const gateway = await startTestGateway()
  const headers = { 'x-forwarded-for': '203.0.113.7', forwarded: 'for=203.0.113.7' }
  const client = await TestClient.open(gateway.port)
  client.send(frameText(0, { events: [heartbeat, { ...heartbeat, type: 'unheard' }] }))
  client.send('hello')
  await client.untilAcked(1)
  client.send(frameText(7))
  await client.untilClosed()
  const post = (path: string, body: string) =>
    call(gateway.port, { method: 'POST', path, headers, body })
  expect((await post('/v1/events', frameText(undefined))).status).toBe(204)
  expect((await post('/v1/events', 'hello')).status).toBe(400)
  const cmcd = 'cid="c",e=t,sid="s",sn=0,st=v,ts=1800000000000,v=2\nsid="oops\n'
  expect((await post('/cmcd', cmcd)).status).toBe(204)
  expect(
    (await askUpgrade(gateway.port, { ...headers, 'sec-websocket-protocol': 'x' })).status,
  ).toBe(400)
  gateway.log.fail()
  const waiting = post('/v1/events', frameText(undefined))
  await until(() => gateway.logged.some((line) => line.includes('append failed')))
  gateway.log.heal()
  expect((await waiting).status).toBe(204)
  const rejects = gateway.log.records(TOPICS.rejects).map(({ value }) => decodeReject(value))
  expect(rejects.map(({ stage }) => stage).toSorted()).toEqual([
    'cmcd',
    'gateway',
    'gateway',
    'gateway',
  ])
  const opened = rejects.map(({ sealed }) => Buffer.from(gateway.sealer.open(sealed)).toString())
  const written = allWritten(gateway)
  expect(written.some((line) => line.includes('connection closed'))).toBe(true)
  for (const each of [...written, ...opened]) expect(each).not.toMatch(CLIENT_ADDRESS)
})
