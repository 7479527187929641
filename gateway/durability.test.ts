/** The gateway on the embedded log: an acknowledgement means flushed. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { EventLog } from '../shared/log/event-log.ts'
import { openLmdbEventLog } from '../shared/log/lmdb-event-log.ts'
import { decodeRecord } from '../shared/log/record.ts'
import { TOPICS } from '../shared/log/topics.ts'
import { systemClock } from '../shared/runtime/clock.ts'
import { ArmedFailpoints } from '../shared/runtime/failpoints.ts'
import { frameText } from './testing/connection-bench.ts'
import {
  call,
  startTestGateway,
  stopTestGateways,
  TestClient,
  until,
  type TestGateway,
} from './testing/test-gateway.ts'

const failpoints = new ArmedFailpoints()
let folder: string
let log: EventLog
let gateway: TestGateway

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'backhaul-gateway-'))
  log = await openLmdbEventLog({ folder, mapBytes: 2 ** 26, clock: systemClock, failpoints })
  gateway = await startTestGateway({ log })
})

afterAll(async () => {
  await stopTestGateways()
  await log.close()
  await rm(folder, { recursive: true, force: true })
})

async function stored(sessionId: string) {
  const found = []
  for (const partition of [0, 1]) {
    const request = { fromOffset: 0, maxRecords: 10_000, maxBytes: 2 ** 24, waitMs: 0 }
    const { records } = await log.read(TOPICS.events, partition, request)
    found.push(...records.filter(({ key }) => key === sessionId))
  }
  return found
}

test('frames of many connections are read back from the log as they were sent', async () => {
  const clients = await Promise.all([0, 1, 2, 3, 4].map(() => TestClient.open(gateway.port)))
  for (const [index, client] of clients.entries())
    for (let frame = 0; frame < 40; frame++) {
      const events = [{ seq: frame, type: 'heartbeat', at: 1_800_000_000_000 + frame }]
      client.send(frameText(frame, { session: { sessionId: `lmdb-${index}` }, events }))
    }
  for (const [index, client] of clients.entries()) {
    await client.untilAcked(39)
    const records = await stored(`lmdb-${index}`)
    const seqs = records.flatMap((record) => {
      const decoded = decodeRecord(record)
      return decoded.kind === 'frame' ? decoded.events.map(({ seq }) => seq) : []
    })
    expect(seqs).toEqual(Array.from({ length: 40 }, (_, seq) => seq))
    client.socket.close()
  }
})

test('nothing is acknowledged while the commit has not returned', async () => {
  let proceed: () => void = () => undefined
  failpoints.arm('log.beforeCommit', () => new Promise<void>((resolve) => (proceed = resolve)))
  const client = await TestClient.open(gateway.port)
  client.send(frameText(0, { session: { sessionId: 'flushed' } }))
  await until(() => gateway.ledgers.events.inFlight === 1)
  const { text } = await call(gateway.port, { path: '/metrics' })
  expect(text).toContain('gateway_events{outcome="inFlight"} 1')
  expect(client.acked).toBe(-1)
  expect(await stored('flushed')).toHaveLength(0)
  failpoints.arm('log.beforeCommit', undefined)
  proceed()
  await client.untilAcked(0)
  expect(await stored('flushed')).toHaveLength(1)
  client.socket.close()
})
