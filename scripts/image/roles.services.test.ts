/** The roles of the image beside one another, over a real Kafka. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { FeedServer } from '../../shared/http/testing/feed-server.ts'
import { endMainProcesses, type MainProcess } from '../../shared/http/testing/main-process.ts'
import { startKafka, type Kafka } from '../services/kafka.ts'
import { freePorts } from '../services/ports.ts'
import { sendEvent, TestImage } from './testing/test-image.ts'

const PATIENT = { timeout: 120_000, interval: 200 }
const KEY = Buffer.alloc(32, 3).toString('base64')

let kafka: Kafka
let image: TestImage
let feed: FeedServer

beforeAll(async () => {
  image = new TestImage()
  feed = await new FeedServer().ready()
  kafka = await startKafka()
})
afterAll(async () => {
  await endMainProcesses()
  await kafka.stop()
  await feed.stop()
  image.remove()
})

async function becomesReady(role: MainProcess): Promise<void> {
  const status = async () => (await role.ask('/readyz'))?.status ?? role.stderr
  await expect.poll(status, PATIENT).toBe(200)
}

test('an event of a player and one of a feed go through all roles', async () => {
  const [port = 0, gatewayAdmin = 0, relayAdmin = 0, processorAdmin = 0, servingPort = 0] =
    await freePorts(5)
  const shared = {
    BACKHAUL_LOG_LEVEL: 'warn',
    BACKHAUL_PARTITIONS: '2',
    KAFKA_BROKERS: kafka.bootstrap.join(','),
    KAFKA_REPLICATION_FACTOR: '1',
    KAFKA_MIN_INSYNC_REPLICAS: '1',
  }
  const keys = { BACKHAUL_SEAL_KEY: KEY, BACKHAUL_PSEUDONYM_KEYS: `k:${KEY}` }
  const gateway = image.start('gateway', gatewayAdmin, {
    ...shared,
    ...keys,
    GATEWAY_PORT: `${port}`,
    GATEWAY_ADMIN_PORT: `${gatewayAdmin}`,
    GATEWAY_DRAIN_DELAY_MS: '0',
    GATEWAY_DRAIN_SPREAD_MS: '100',
  })
  // It creates the topics that the others wait for.
  await becomesReady(gateway)
  const entry = { id: 'acme', mapping: 'playback.v1', urls: [feed.url], resumable: true }
  const relay = image.start('relay', relayAdmin, {
    ...shared,
    ...keys,
    RELAY_ADMIN_PORT: `${relayAdmin}`,
    RELAY_FEEDS_PATH: image.writeSetting('feeds.json', JSON.stringify({ feeds: [entry] })),
  })
  const processor = image.start('processor', processorAdmin, {
    ...shared,
    BACKHAUL_SEAL_KEY: KEY,
    PROCESSOR_ADMIN_PORT: `${processorAdmin}`,
  })
  const serving = image.start('serving', servingPort, {
    ...shared,
    SERVING_PORT: `${servingPort}`,
  })
  const roles = [relay, processor, serving]
  for (const role of roles) await becomesReady(role)

  expect(await sendEvent(port, 'of-a-player')).toBe(204)
  const at = Date.now()
  const events = [{ seq: 0, type: 'playbackRequest', at }]
  const frame = { v: 1, sentAt: at, session: { sessionId: 'of-a-feed' }, events }
  feed.publish((position) => `${JSON.stringify(position)}\n${JSON.stringify(frame)}`)
  for (const name of ['of-a-player', 'of-a-feed'])
    await expect
      .poll(async () => (await serving.ask(`/v1/sessions/${name}`))?.status, PATIENT)
      .toBe(200)

  for (const role of [gateway, ...roles]) role.signal('SIGTERM')
  for (const role of [gateway, ...roles]) expect(await role.ended, role.stderr).toBe(0)
}, 300_000)
