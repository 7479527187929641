/** What comes wrong over a WebSocket: each has its code and answer, and leaves a neighbour alone. */
import { SignJWT } from 'jose'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { decodeRecord } from '../shared/log/record.ts'
import { TOPICS } from '../shared/log/topics.ts'
import { assert } from '../shared/runtime/errors.ts'
import { frameText } from './testing/connection-bench.ts'
import { besideNeighbour } from './testing/neighbour.ts'
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
  open = await startTestGateway({ config: { frameMaxBytes: 65_536 } })
  guarded = await startTestGateway({ auth: 'hs256', ingestKeys: ['key-1'] })
})

afterAll(stopTestGateways)

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
    frameText(0, { events: Array.from({ length: 1_001 }, () => 1) }),
    'FRAME_TOO_MANY_EVENTS',
  ],
  ['without a session', frameText(0, { session: undefined }), 'CONTEXT_INVALID'],
  ['a context of wrong types', frameText(0, { session: { sessionId: 7 } }), 'CONTEXT_INVALID'],
]

test.each(refusedFrames)(
  'a frame that is %s is refused whole, kept, and the connection goes on',
  async (_name, data, code) => {
    await besideNeighbour(open, async () => {
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
  await besideNeighbour(open, async () => {
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
])('%s seqs are accepted and reach the log as they are', async (_name, seqs) => {
  await besideNeighbour(open, async () => {
    const sessionId = `seqs-${seqs.join('-')}`
    const client = await TestClient.open(open.port)
    const events = seqs.map((seq) => ({ ...heartbeat, seq }))
    client.send(frameText(0, { session: { sessionId }, events }))
    // The same events once more, as a client that was cut off sends them.
    client.send(frameText(1, { session: { sessionId }, events }))
    await client.untilAcked(1)
    for (const message of client.messages) expect(message).not.toHaveProperty('rejected')
    const kept = open.log.records(TOPICS.events).filter(({ key }) => key === sessionId)
    expect(kept.map(decodeRecord)).toMatchObject([
      { kind: 'frame', events },
      { kind: 'frame', events },
    ])
    client.socket.close()
  })
})

test('`__proto__` in a frame, a context and an event reaches nothing', async () => {
  await besideNeighbour(open, async () => {
    const client = await TestClient.open(open.port)
    const event = `{"seq":0,"type":"heartbeat","at":${AT},"__proto__":{"polluted":1}}`
    client.send(
      `{"v":1,"frame":0,"sentAt":${AT},"__proto__":{"polluted":1},"session":{"sessionId":"proto","__proto__":{"polluted":1},"labels":{"__proto__":"x"}},"events":[${event}]}`,
    )
    await client.untilAcked(0)
    expect(client.messages.at(-1)).toMatchObject({ ack: 0 })
    expect(client.messages.at(-1)).not.toHaveProperty('rejected')
    const kept = open.log.records(TOPICS.events).filter(({ key }) => key === 'proto')
    const [decoded, ...more] = kept.map(decodeRecord)
    assert(decoded?.kind === 'frame', 'the record is a frame')
    expect(more).toEqual([])
    expect(decoded.context).toStrictEqual({ sessionId: 'proto', labels: {} })
    expect(decoded.events).toStrictEqual([heartbeat])
    const parts = [decoded.context, decoded.context.labels, ...decoded.events, {}]
    for (const each of parts) {
      expect(each).not.toHaveProperty('polluted')
      expect(Object.getPrototypeOf(each)).toBe(Object.prototype)
    }
    client.socket.close()
  })
})

test('a frame over the limit closes 1009', async () => {
  await besideNeighbour(open, async () => {
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
  await besideNeighbour(open, async () => {
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
  await besideNeighbour(open, async () => {
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
  await besideNeighbour(strict, async () => {
    const client = await TestClient.open(strict.port)
    strict.log.hold()
    for (const frame of [0, 1, 2]) client.send(frameText(frame))
    expect(await client.untilClosed()).toMatchObject({
      code: 1008,
      reason: expect.stringContaining('GATEWAY_CREDIT_EXCEEDED'),
    })
    strict.log.release()
  })
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

const subprotocols = (value: string) => [
  'playback.v1',
  `bearer.${Buffer.from(value).toString('base64url')}`,
]

const bearer = (value: string) => subprotocols(value).join(', ')

test('a good token opens a connection, by subprotocol or by header', async () => {
  const good = await token({ scope: 'write' })
  const client = await TestClient.open(guarded.port, subprotocols(good))
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
  const besideWriter = subprotocols(await token({ scope: 'write' }))
  await besideNeighbour(
    guarded,
    async () => {
      for (const [headers, status, code] of cases) {
        const answer = await askUpgrade(guarded.port, { ...headers })
        expect(answer.status).toBe(status)
        expect(answer.json['code']).toBe(code)
        expect(answer.text).not.toContain(expired)
      }
    },
    besideWriter,
  )
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
