/** Routed copies: outside the acknowledgement, bounded, counted. */
import { afterAll, expect, test } from 'vitest'
import { logErrors } from '../shared/log/log-errors.ts'
import { TOPICS } from '../shared/log/topics.ts'
import { parseRoutes, Router } from './routes.ts'
import { frameText } from './testing/connection-bench.ts'
import {
  call,
  startTestGateway,
  stopTestGateways,
  TestClient,
  until,
  type TestGateway,
} from './testing/test-gateway.ts'

afterAll(stopTestGateways)

const fail = { seq: 1, type: 'playbackFail', at: 1, code: 'E1' }
const beat = { seq: 0, type: 'heartbeat', at: 1, note: 'playbackFail' }
const ROUTES = ['type:playbackFail=failures', 'content:movie-1=movie-1', 'type:warning=failures']

async function metric({ port }: TestGateway, pattern: RegExp): Promise<number> {
  const { text } = await call(port, { path: '/metrics' })
  return Number(pattern.exec(text)?.[1] ?? 0)
}

test('records are copied whole, with their keys, to every topic a route leads to', async () => {
  const gateway = await startTestGateway({ config: { routes: ROUTES } })
  const client = await TestClient.open(gateway.port)
  const frames = [
    { session: { sessionId: 'plain' }, events: [beat] },
    { session: { sessionId: 'failed' }, events: [beat, fail] },
    { session: { sessionId: 'movie', contentId: 'movie-1' }, events: [beat] },
    { session: { sessionId: 'both', contentId: 'movie-1' }, events: [fail] },
    { session: { sessionId: 'other', contentId: 'movie-11' }, events: [beat] },
  ]
  for (const [frame, fields] of frames.entries()) client.send(frameText(frame, fields))
  await client.untilAcked(frames.length - 1)
  const keys = (topic: string) => gateway.log.records(topic).map(({ key }) => key)
  const distinct = (topic: string) => new Set(keys(topic))
  await until(() => keys('failures').length + keys('movie-1').length === 4)
  expect(distinct('failures')).toEqual(new Set(['both', 'failed']))
  expect(distinct('movie-1')).toEqual(new Set(['both', 'movie']))
  expect(keys(TOPICS.events)).toHaveLength(frames.length)
  const original = gateway.log.records(TOPICS.events).find(({ key }) => key === 'failed')
  const copy = gateway.log.records('failures').find(({ key }) => key === 'failed')
  expect(copy).toMatchObject({ value: original?.value, headers: original?.headers })
  expect(await metric(gateway, /gateway_copies_total\{topic="failures"\} (\d+)/)).toBe(2)
})

test('a topic that stands still holds nobody up: its copies reach their bound and are dropped', async () => {
  const gateway = await startTestGateway({
    config: {
      routes: ['type:playbackFail=failures'],
      copiesMaxBytes: 2 ** 20,
      appendDeadlineMs: 400,
    },
  })
  gateway.log.hold('failures')
  const client = await TestClient.open(gateway.port)
  const events = [{ ...fail, note: 'x'.repeat(100_000) }]
  for (let frame = 0; frame < 30; frame++) {
    client.send(frameText(frame, { events }))
    await client.untilAcked(frame)
    expect(await metric(gateway, /gateway_copy_bytes (\d+)/)).toBeLessThanOrEqual(2 ** 20)
  }
  const dropped = (reason: string) =>
    metric(
      gateway,
      new RegExp(`gateway_copies_dropped_total\\{topic="failures",reason="${reason}"\\} (\\d+)`),
    )
  await until(async () => (await dropped('full')) > 0)
  await until(async () => (await dropped('deadline')) > 0)
  expect((await call(gateway.port, { path: '/readyz' })).status).toBe(200)
  expect(client.messages.some(({ slow }) => slow)).toBe(false)
  gateway.log.release()
  await until(async () => {
    const copied = await metric(gateway, /gateway_copies_total\{topic="failures"\} (\d+)/)
    return copied + (await dropped('full')) + (await dropped('deadline')) === 30
  })
})

test('what a topic refuses for good is dropped alone', async () => {
  const gateway = await startTestGateway({ config: { routes: ['type:playbackFail=failures'] } })
  gateway.log.failWith((_records, topic) =>
    topic === 'failures' ? logErrors.create('LOG_RECORD_TOO_LARGE') : undefined,
  )
  const client = await TestClient.open(gateway.port)
  client.send(frameText(0, { events: [fail] }))
  await client.untilAcked(0)
  await until(async () => (await metric(gateway, /topic="failures",reason="append"\} (\d+)/)) === 1)
})

test.each([
  ['playbackFail=x', 'routes such as'],
  ['type:nonsense=x', 'types of events'],
  ['type:playbackFail=playback.events', 'topics other than our own'],
  ['content:a=b c', 'routes such as'],
])('%s is no route', (text, message) => {
  expect(() => parseRoutes([text])).toThrow(message)
})

test('a content is compared as it is, whatever characters it has', () => {
  const router = new Router(parseRoutes(['content:ä"b\\=c']))
  const value = (contentId: string) =>
    Buffer.from(JSON.stringify({ session: { contentId }, events: [] }))
  expect(router.topicsOf(value('ä"b\\'))).toEqual(['c'])
  expect(router.topicsOf(value('ä"b'))).toEqual([])
})
