/** What comes wrong over a WebSocket: each has its code and answer, and leaves a neighbour alone. */
import { SignJWT } from 'jose'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { TOPICS } from '../shared/log/topics.ts'
import { frameText } from './testing/connection-bench.ts'
import {
  askUpgrade,
  call,
  frameHeader,
  RawClient,
  SECRET,
  startTestGateway,
  stopTestGateways,
  TestClient,
  until,
  type TestGateway,
} from './testing/test-gateway.ts'

let open: TestGateway
let guarded: TestGateway

beforeAll(async () => {
  open = await startTestGateway({ config: { frameMaxBytes: 65_536, frameEventsMax: 8 } })
  guarded = await startTestGateway({ auth: 'hs256', ingestKeys: ['key-1'] })
})

afterAll(stopTestGateways)

/** Runs `bad` beside a neighbour that sends a frame before and after it. */
async function besideNeighbour(bad: () => Promise<void>): Promise<void> {
  const neighbour = await TestClient.open(open.port)
  neighbour.send(frameText(0))
  await neighbour.untilAcked(0)
  await bad()
  neighbour.send(frameText(1))
  await neighbour.untilAcked(1)
  expect(neighbour.closed).toBeUndefined()
  expect(neighbour.messages.some(({ rejected, slow }) => rejected !== undefined || slow)).toBe(
    false,
  )
  neighbour.socket.close()
}

const AT = 1_800_000_000_000
const deep = `${'{"a":'.repeat(40)}1${'}'.repeat(40)}`

const refusedFrames: [string, string | Uint8Array, string][] = [
  ['not JSON', 'hello', 'FRAME_NOT_JSON'],
  ['cut off', frameText(0).slice(0, 40), 'FRAME_NOT_JSON'],
  ['empty', '', 'FRAME_NOT_JSON'],
  [
    'binary garbage',
    Uint8Array.from({ length: 300 }, (_, index) => (index * 89) & 255),
    'FRAME_NOT_JSON',
  ],
  [
    'invalid UTF-8',
    Buffer.concat([Buffer.from('{"v":1,"x":"'), Buffer.from([0xc3, 0x28]), Buffer.from('"}')]),
    'FRAME_NOT_JSON',
  ],
  ['not an object', '[1]', 'FRAME_NOT_OBJECT'],
  ['nested too deeply', frameText(0, { extra: JSON.parse(deep) as unknown }), 'FRAME_TOO_DEEP'],
  ['a million brackets', '['.repeat(60_000), 'FRAME_TOO_DEEP'],
  ['another protocol version', frameText(0, { v: 2 }), 'FRAME_VERSION_UNSUPPORTED'],
  ['without a number', frameText(undefined), 'FRAME_NUMBER_INVALID'],
  ['a number of the wrong type', frameText(0, { frame: '0' }), 'FRAME_NUMBER_INVALID'],
  ['without a send time', frameText(0, { sentAt: undefined }), 'FRAME_SENT_AT_INVALID'],
  ['without events', frameText(0, { events: [] }), 'FRAME_EVENTS_INVALID'],
  ['events of the wrong type', frameText(0, { events: {} }), 'FRAME_EVENTS_INVALID'],
  [
    'of too many events',
    frameText(0, { events: [1, 2, 3, 4, 5, 6, 7, 8, 9] }),
    'FRAME_TOO_MANY_EVENTS',
  ],
  ['without a session', frameText(0, { session: undefined }), 'CONTEXT_INVALID'],
  ['a context of wrong types', frameText(0, { session: { sessionId: 7 } }), 'CONTEXT_INVALID'],
]

test.each(refusedFrames)(
  'a frame that is %s is refused whole, kept, and the connection goes on',
  async (_name, data, code) => {
    await besideNeighbour(async () => {
      const kept = open.log.records(TOPICS.rejects).length
      const client = await TestClient.open(open.port)
      client.send(typeof data === 'string' ? data : Uint8Array.from(data))
      client.send(frameText(1))
      await client.untilAcked(1)
      const rejected = client.messages.flatMap((message) => message['rejected'] ?? [])
      expect(rejected).toEqual([{ frame: 0, code, detail: expect.any(String) }])
      expect(open.log.records(TOPICS.rejects)).toHaveLength(kept + 1)
      expect(client.closed).toBeUndefined()
      client.socket.close()
    })
  },
)

const heartbeat = { seq: 0, type: 'heartbeat', at: AT }
const rejectedEvents: [string, unknown, string][] = [
  ['of an unknown type', { ...heartbeat, type: 'unheard' }, 'EVENT_TYPE_UNKNOWN'],
  ['without a type', { seq: 0, at: AT }, 'EVENT_TYPE_UNKNOWN'],
  ['without a time', { seq: 0, type: 'heartbeat' }, 'EVENT_FIELD_INVALID'],
  ['without a seq', { type: 'heartbeat', at: AT }, 'EVENT_SEQ_INVALID'],
  ['with a seq beyond the limit', { ...heartbeat, seq: 1_000_001 }, 'EVENT_SEQ_INVALID'],
  ['with a field of a wrong type', { ...heartbeat, bufferMs: '3' }, 'EVENT_FIELD_INVALID'],
  ['that is no object', 7, 'EVENT_NOT_OBJECT'],
]

test.each(rejectedEvents)('an event %s is rejected alone', async (_name, event, code) => {
  await besideNeighbour(async () => {
    const client = await TestClient.open(open.port)
    client.send(frameText(0, { events: [{ ...heartbeat, seq: 5 }, event] }))
    await client.untilAcked(0)
    const rejected = client.messages.flatMap((message) => message['rejected'] ?? [])
    expect(rejected).toMatchObject([{ frame: 0, code }])
    client.socket.close()
  })
})

test.each([
  ['skipped', [0, 5]],
  ['repeated', [3, 3]],
])('%s seqs are accepted as they are', async (_name, seqs) => {
  const sessionId = `seqs-${seqs.join('-')}`
  const client = await TestClient.open(open.port)
  const events = seqs.map((seq) => ({ ...heartbeat, seq }))
  client.send(frameText(0, { session: { sessionId }, events }))
  await client.untilAcked(0)
  expect(client.messages.at(-1)).not.toHaveProperty('rejected')
  const record = open.log.records(TOPICS.events).find(({ key }) => key === sessionId)
  expect(JSON.parse(Buffer.from(record?.value ?? []).toString())).toMatchObject({ events })
  client.socket.close()
})

test('`__proto__` in a frame, a context and an event reaches nothing', async () => {
  await besideNeighbour(async () => {
    const client = await TestClient.open(open.port)
    const event = `{"seq":0,"type":"heartbeat","at":${AT},"__proto__":{"polluted":1}}`
    client.send(
      `{"v":1,"frame":0,"sentAt":${AT},"__proto__":{"polluted":1},"session":{"sessionId":"proto","__proto__":{"polluted":1},"labels":{"__proto__":"x"}},"events":[${event}]}`,
    )
    await client.untilAcked(0)
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined()
    client.socket.close()
  })
})

test('a frame over the limit closes 1009', async () => {
  await besideNeighbour(async () => {
    const over = await TestClient.open(open.port)
    over.send('x'.repeat(65_537))
    expect(await over.untilClosed()).toMatchObject({
      code: 1009,
      reason: expect.stringContaining('GATEWAY_FRAME_TOO_LARGE'),
    })
  })
})

test.each([
  ['text that is not UTF-8', [0x81, 0x82, 0, 0, 0, 0, 0xc3, 0x28], 'GATEWAY_TEXT_INVALID'],
  ['a malformed WebSocket frame', [0x83, 0x82, 0, 0, 0, 0, 1, 2], 'GATEWAY_WEBSOCKET_INVALID'],
  ['a frame far over the limit', [...frameHeader(1_000_000)], 'GATEWAY_FRAME_TOO_LARGE'],
])('%s cuts its connection, which is counted', async (_name, bytes, code) => {
  await besideNeighbour(async () => {
    const client = await RawClient.open(open.port)
    client.socket.write(Buffer.from(bytes))
    await until(() => client.closed)
    const { text } = await call(open.port, { path: '/metrics' })
    expect(text).toContain(`gateway_closes_total{code="${code}"} `)
  })
})

test.each([
  ['a frame number that repeats', [0, 0]],
  ['a frame number that skips', [0, 2]],
])('%s closes 1008', async (_name, numbers) => {
  await besideNeighbour(async () => {
    const client = await TestClient.open(open.port)
    for (const number of numbers) client.send(frameText(number))
    expect(await client.untilClosed()).toMatchObject({
      code: 1008,
      reason: expect.stringContaining('GATEWAY_FRAME_OUT_OF_SEQUENCE'),
    })
  })
})

test('a frame beyond the credit closes 1008', async () => {
  const strict = await startTestGateway({ config: { creditFrames: 2, framesBurstMax: 2 } })
  const client = await TestClient.open(strict.port)
  strict.log.hold()
  for (const frame of [0, 1, 2]) client.send(frameText(frame))
  expect(await client.untilClosed()).toMatchObject({
    code: 1008,
    reason: expect.stringContaining('GATEWAY_CREDIT_EXCEEDED'),
  })
  strict.log.release()
  await strict.stop()
})

test('another subprotocol is answered 400 and named', async () => {
  for (const offered of ['', 'playback.v2', 'playback.v2, bearer.abc']) {
    const answer = await askUpgrade(open.port, { 'sec-websocket-protocol': offered })
    expect(answer).toMatchObject({
      status: 400,
      headers: { 'content-type': 'application/problem+json' },
      json: { code: 'GATEWAY_SUBPROTOCOL_UNSUPPORTED', status: 400, title: 'Bad Request' },
    })
    expect(answer.json['detail']).toContain('playback.v1')
    expect(answer.text).not.toContain('bearer')
  }
})

test.each(['/', '/v1', '/v1/event', '/v1/events/1', '/cmcd/key/more', '/%00', '/../etc/passwd'])(
  'an unknown path %s is answered 404',
  async (path) => {
    const answer = await call(open.port, { path })
    expect(answer).toMatchObject({ status: 404, json: { code: 'GATEWAY_PATH_UNKNOWN' } })
  },
)

test.each([
  ['GET', '/v1/events', 426, 'GATEWAY_UPGRADE_REQUIRED'],
  ['PUT', '/v1/events', 405, 'GATEWAY_METHOD_NOT_ALLOWED'],
  ['GET', '/cmcd', 405, 'GATEWAY_METHOD_NOT_ALLOWED'],
  ['DELETE', '/cmcd/key', 405, 'GATEWAY_METHOD_NOT_ALLOWED'],
  ['POST', '/metrics', 405, 'GATEWAY_METHOD_NOT_ALLOWED'],
  ['POST', '/healthz', 405, 'GATEWAY_METHOD_NOT_ALLOWED'],
])('%s %s is answered %i', async (method, path, status, code) => {
  expect(await call(open.port, { method, path })).toMatchObject({ status, json: { code } })
})

async function token(claims: Record<string, unknown>, expiresIn = '1h'): Promise<string> {
  return await new SignJWT(claims)
    .setProtectedHeader({ alg: 'HS256' })
    .setExpirationTime(expiresIn)
    .sign(new TextEncoder().encode(SECRET))
}

const bearer = (value: string) => `playback.v1, bearer.${Buffer.from(value).toString('base64url')}`

test('a good token opens a connection, by subprotocol or by header', async () => {
  const good = await token({ scope: 'write' })
  const subprotocols = [`playback.v1`, `bearer.${Buffer.from(good).toString('base64url')}`]
  const client = await TestClient.open(guarded.port, subprotocols)
  expect(client.socket.protocol).toBe('playback.v1')
  client.socket.close()
  const answer = await askUpgrade(guarded.port, { authorization: `Bearer ${good}` })
  expect(answer.status).toBe(101)
})

test('bad, expired, absent and wrongly scoped tokens are answered before the upgrade', async () => {
  const expired = await token({ scope: 'write' }, '-1h')
  const reader = await token({ scope: 'read' })
  const cases = [
    [{}, 401, 'AUTH_TOKEN_MISSING'],
    [{ 'sec-websocket-protocol': bearer('not.a.token') }, 401, 'AUTH_TOKEN_INVALID'],
    [{ 'sec-websocket-protocol': 'playback.v1, bearer.%%%' }, 401, 'AUTH_TOKEN_MISSING'],
    [{ authorization: 'Bearer x' }, 401, 'AUTH_TOKEN_INVALID'],
    [{ authorization: `Bearer ${expired}` }, 401, 'AUTH_TOKEN_EXPIRED'],
    [{ authorization: `Bearer ${reader}` }, 403, 'AUTH_SCOPE_MISSING'],
  ] as const
  for (const [headers, status, code] of cases) {
    const answer = await askUpgrade(guarded.port, { ...headers })
    expect(answer.status).toBe(status)
    expect(answer.json['code']).toBe(code)
    expect(answer.text).not.toContain(expired)
  }
})

test('tokens guard POST /v1/events alike', async () => {
  const post = (headers: Readonly<Record<string, string>>) =>
    call(guarded.port, {
      method: 'POST',
      path: '/v1/events',
      headers: { 'content-type': 'application/json', ...headers },
      body: frameText(undefined),
    })
  const good = await token({ scope: 'write' })
  expect(await post({})).toMatchObject({
    status: 401,
    headers: { 'www-authenticate': 'Bearer' },
    json: { code: 'AUTH_TOKEN_MISSING' },
  })
  expect((await post({ authorization: `Bearer ${await token({ scope: 'read' })}` })).status).toBe(
    403,
  )
  expect((await post({ authorization: `Bearer ${good}` })).status).toBe(204)
})

test('the token’s subject is the viewer, as a pseudonym; the raw id is never written or logged', async () => {
  const good = await token({ scope: 'write', sub: 'alice@example.org' })
  const subprotocols = [`playback.v1`, `bearer.${Buffer.from(good).toString('base64url')}`]
  const client = await TestClient.open(guarded.port, subprotocols)
  client.send(frameText(0, { session: { sessionId: 'viewed', viewerId: 'somebody-else' } }))
  client.send('{"session":{"viewerId":"alice@example.org"')
  await client.untilAcked(1)
  client.socket.close()
  const record = guarded.log.records(TOPICS.events).find(({ key }) => key === 'viewed')
  const text = Buffer.from(record?.value ?? []).toString()
  expect(JSON.parse(text)).toMatchObject({
    session: { viewerPseudonym: guarded.pseudonymiser.pseudonym('alice@example.org') },
  })
  const written = [TOPICS.events, TOPICS.rejects]
    .flatMap((topic) => guarded.log.records(topic))
    .map(({ value }) => Buffer.from(value).toString())
  for (const each of [...written, ...guarded.logged])
    expect(each).not.toMatch(/alice|somebody-else|127\.0\.0\.1:\d+"?,"remote/)
})

test('where authentication is on, players report with an ingest key, which is never logged', async () => {
  const line = 'cid="c",e=t,sid="s",sn=0,st=v,ts=1800000000000,v=2\n'
  const post = (path: string) => call(guarded.port, { method: 'POST', path, body: line })
  expect(await post('/cmcd')).toMatchObject({
    status: 401,
    json: { code: 'GATEWAY_INGEST_KEY_REQUIRED' },
  })
  expect(await post('/cmcd/guess')).toMatchObject({
    status: 401,
    json: { code: 'GATEWAY_INGEST_KEY_UNKNOWN' },
  })
  expect((await post('/cmcd/key-1')).status).toBe(204)
  expect(guarded.logged.join('')).not.toMatch(/key-1|guess/)
})
