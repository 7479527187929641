/** Each bound of the process shows in its metric as it is reached, and goes no further. */
import { connect } from 'node:net'
import { afterAll, expect, test } from 'vitest'
import { TOPICS } from '../shared/log/topics.ts'
import { frameText } from './testing/connection-bench.ts'
import {
  askUpgrade,
  call,
  startTestGateway,
  stopTestGateways,
  TestClient,
  until,
  type TestGateway,
} from './testing/test-gateway.ts'

afterAll(stopTestGateways)

/** The largest value of a gauge over its labels. */
async function gauge({ port }: TestGateway, name: string): Promise<number> {
  const { text } = await call(port, { path: '/metrics' })
  const samples = text.matchAll(new RegExp(`^${name}(?:\\{.*\\})? (\\S+)$`, 'gm'))
  return Math.max(...[...samples].map(([, value]) => Number(value)))
}

test('the backlog of a lane reaches GATEWAY_LANE_MAX_RECORDS and stays there', async () => {
  const gateway = await startTestGateway({ config: { laneMaxRecords: 1_001 } })
  gateway.log.hold(TOPICS.rejects)
  // Each event that is no object is a record of its own in the one reject lane of the session.
  const post = (events: number) =>
    call(gateway.port, {
      method: 'POST',
      path: '/v1/events',
      body: frameText(undefined, { events: Array.from({ length: events }, () => 1) }),
    })
  const backlogIs = (records: number) =>
    until(async () => (await gauge(gateway, 'gateway_lane_backlog_records')) === records)
  const underWay = post(1)
  await until(() => gateway.log.heldAppends === 1)
  const waiting = [post(1_000)]
  await backlogIs(1_000)
  waiting.push(post(1))
  await backlogIs(1_001)
  expect(await post(1)).toMatchObject({ status: 429, json: { code: 'GATEWAY_OVERLOADED' } })
  expect(await gauge(gateway, 'gateway_lane_backlog_records')).toBe(1_001)
  gateway.log.release()
  const answers = await Promise.all([underWay, ...waiting])
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 200])
  expect(await gauge(gateway, 'gateway_lane_backlog_records')).toBe(0)
})

test('the bytes in flight reach GATEWAY_IN_FLIGHT_MAX_BYTES and stay there', async () => {
  const maxBytes = 2 ** 20
  const halfBytes = maxBytes / 2
  const gateway = await startTestGateway({
    config: {
      inFlightMaxBytes: maxBytes,
      laneMaxBytes: maxBytes,
      batchMaxBytes: halfBytes,
      frameMaxBytes: halfBytes,
    },
  })
  // A body takes its room when it is announced.
  const sockets = [0, 1].map(() => {
    const socket = connect(gateway.port, '127.0.0.1')
    socket.write(`POST /v1/events HTTP/1.1\r\nHost: t\r\nContent-Length: ${halfBytes}\r\n\r\n{`)
    return socket
  })
  await until(async () => (await gauge(gateway, 'gateway_in_flight_bytes')) === maxBytes)
  const refused = await call(gateway.port, { method: 'POST', path: '/v1/events', body: '{' })
  expect(refused).toMatchObject({ status: 429, json: { code: 'GATEWAY_OVERLOADED' } })
  expect(await gauge(gateway, 'gateway_in_flight_bytes')).toBe(maxBytes)
  for (const socket of sockets) socket.destroy()
  await until(async () => (await gauge(gateway, 'gateway_in_flight_bytes')) === 0)
})

test('the connections reach GATEWAY_CONNECTIONS_MAX and stay there', async () => {
  const gateway = await startTestGateway({ config: { connectionsMax: 3 } })
  const clients = await Promise.all([0, 1, 2].map(() => TestClient.open(gateway.port)))
  expect(await gauge(gateway, 'gateway_connections')).toBe(3)
  expect(await askUpgrade(gateway.port)).toMatchObject({
    status: 503,
    json: { code: 'GATEWAY_CONNECTIONS_FULL' },
  })
  expect(await gauge(gateway, 'gateway_connections')).toBe(3)
  for (const { socket } of clients) socket.close()
  await until(async () => (await gauge(gateway, 'gateway_connections')) === 0)
})

test('the requests worked on reach GATEWAY_REQUESTS_MAX and stay there', async () => {
  const gateway = await startTestGateway({ config: { requestsMax: 2 } })
  gateway.log.hold()
  const post = () =>
    call(gateway.port, { method: 'POST', path: '/v1/events', body: frameText(undefined) })
  const waiting = [post(), post()]
  await until(async () => (await gauge(gateway, 'gateway_requests')) === 2)
  expect(await post()).toMatchObject({ status: 429, json: { code: 'GATEWAY_REQUESTS_FULL' } })
  expect(await gauge(gateway, 'gateway_requests')).toBe(2)
  gateway.log.release()
  expect((await Promise.all(waiting)).map(({ status }) => status)).toEqual([204, 204])
  expect(await gauge(gateway, 'gateway_requests')).toBe(0)
})
