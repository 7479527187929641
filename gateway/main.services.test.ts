/** A pool of gateways on a real broker: what is acknowledged is in Kafka, through restart and stop. */
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { startKafka, type Kafka } from '../scripts/services/kafka.ts'
import { claimPort } from '../shared/http/listen.ts'
import { kafkaSettings } from '../shared/kafka/testing/kafka-settings.ts'
import { openKafkaEventLog } from '../shared/log/kafka-event-log.ts'
import { TOPICS } from '../shared/log/topics.ts'
import { systemClock } from '../shared/runtime/clock.ts'
import { frameText } from './testing/connection-bench.ts'
import { endMainProcesses, MainProcess } from './testing/main-process.ts'
import { TestClient, until } from './testing/test-gateway.ts'

let kafka: Kafka

beforeAll(async () => {
  kafka = await startKafka()
})
afterEach(endMainProcesses)
afterAll(() => kafka.stop())

const PARTITIONS = 4
const freePort = () =>
  claimPort({ host: '127.0.0.1', port: 0 }, (code) => new Error(`no free port: ${code}`))

async function keptSessions(): Promise<Set<string>> {
  const config = kafkaSettings({ brokers: kafka.bootstrap })
  const log = await openKafkaEventLog({ config, clock: systemClock })
  const sessions = new Set<string>()
  for (let partition = 0; partition < PARTITIONS; partition++) {
    const { end } = await log.offsets(TOPICS.events, partition)
    for (let fromOffset = 0; fromOffset < end;) {
      const request = { fromOffset, maxRecords: 1_000, maxBytes: 2 ** 20, waitMs: 100 }
      const { records } = await log.read(TOPICS.events, partition, request)
      for (const { key } of records) sessions.add(key ?? '')
      fromOffset += records.length
    }
  }
  await log.close()
  return sessions
}

/** Sends one frame for a session and waits for its acknowledgement. */
async function sendOne(port: number, sessionId: string): Promise<TestClient> {
  const client = await TestClient.open(port)
  client.send(frameText(0, { session: { sessionId } }))
  await client.untilAcked(0)
  return client
}

test('a pool on Kafka acknowledges what Kafka has, rolls on SIGHUP and drains on SIGTERM', async () => {
  const port = await freePort()
  const main = new MainProcess(await freePort(), {
    GATEWAY_PORT: `${port}`,
    GATEWAY_PROCESSES: '2',
    BACKHAUL_PARTITIONS: `${PARTITIONS}`,
    KAFKA_BROKERS: kafka.bootstrap.join(','),
  })
  await main.isReady()
  const names = Array.from({ length: 20 }, (_, index) => `before-${index}`)
  const clients = await Promise.all(names.map((name) => sendOne(port, name)))
  main.signal('SIGHUP')
  await until(() => clients.every(({ closed }) => closed?.code === 1001))
  await main.isReady()
  const after = Array.from({ length: 20 }, (_, index) => `after-${index}`)
  await Promise.all(after.map((name) => sendOne(port, name)))
  main.signal('SIGTERM')
  expect(await main.ended).toBe(0)
  expect(await keptSessions()).toEqual(new Set([...names, ...after]))
})
