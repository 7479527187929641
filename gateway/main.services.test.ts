/**
 * Gateways on a real broker: what is acknowledged is in Kafka, through restart and stop; and what an
 * operator can get wrong with Kafka is told with what to change.
 */
import kafkajs, { type Admin } from 'kafkajs'
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

let admin: Admin

beforeAll(async () => {
  kafka = await startKafka({
    security: { users: { alice: 'alice-secret' } },
    properties: {
      'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
      'super.users': 'User:ANONYMOUS',
    },
  })
  const logLevel = kafkajs.logLevel.NOTHING
  admin = new kafkajs.Kafka({ brokers: [...kafka.bootstrap], logLevel }).admin()
  await admin.connect()
  await createTopics(PARTITIONS)
})
afterEach(endMainProcesses)
afterAll(async () => {
  await admin.disconnect()
  await kafka.stop()
})

const PARTITIONS = 4
const EVENTS_SETTINGS = [
  { name: 'message.timestamp.type', value: 'LogAppendTime' },
  { name: 'min.insync.replicas', value: '1' },
]
const CONTENT_SETTINGS = [...EVENTS_SETTINGS, { name: 'cleanup.policy', value: 'compact' }]
const TOPIC_RESOURCE = kafkajs.ConfigResourceTypes.TOPIC
const freePort = () =>
  claimPort({ host: '127.0.0.1', port: 0 }, (code) => new Error(`no free port: ${code}`))

async function createTopics(numPartitions: number): Promise<void> {
  const topics = Object.values(TOPICS).map((topic) => ({
    topic,
    numPartitions,
    configEntries: topic === TOPICS.content ? CONTENT_SETTINGS : EVENTS_SETTINGS,
  }))
  await admin.createTopics({ topics, waitForLeaders: false })
  // A broker that does not know of a topic yet says that it has none of it.
  const names = topics.map(({ topic }) => topic)
  await until(() =>
    admin.fetchTopicMetadata({ topics: names }).then(
      ({ topics: found }) => found.every(({ partitions }) => partitions.every(isLed)),
      () => false,
    ),
  )
}

const isLed = ({ leader }: { readonly leader: number }) => leader >= 0

function startMain(port: number, environment: Readonly<Record<string, string>> = {}) {
  return freePort().then(
    (adminPort) =>
      new MainProcess(adminPort, {
        GATEWAY_PORT: `${port}`,
        BACKHAUL_PARTITIONS: `${PARTITIONS}`,
        KAFKA_BROKERS: kafka.bootstrap.join(','),
        ...environment,
      }),
  )
}

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
  const main = await startMain(port, { GATEWAY_PROCESSES: '2' })
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

const alice = (password: string) => ({
  KAFKA_BROKERS: kafka.securedBootstrap.sasl,
  KAFKA_SECURITY: 'SASL_PLAINTEXT',
  KAFKA_SASL_USER: 'alice',
  KAFKA_SASL_PASSWORD: password,
})

test.each([
  ['wrong credentials', 'LOG_CREDENTIALS_REFUSED', 'KAFKA_SASL_PASSWORD', () => alice('wrong')],
  ['a user without rights', 'LOG_NOT_AUTHORIZED', 'KAFKA_SASL_USER', () => alice('alice-secret')],
  [
    'a topic with fewer partitions',
    'LOG_TOPIC_MISMATCH',
    'BACKHAUL_PARTITIONS',
    () => ({ BACKHAUL_PARTITIONS: '8' }),
  ],
])('%s end the start with %s, which names %s', async (_what, code, setting, environment) => {
  const main = await startMain(0, { BACKHAUL_LOG_LEVEL: 'silent', ...environment() })
  expect(await main.ended).toBe(1)
  expect(main.stderr.trimEnd().split('\n')).toHaveLength(1)
  expect(main.stderr).toContain(code)
  expect(main.stderr).toContain(setting)
})

test('a record that the broker finds too large ends its connection alone, and says what to raise', async () => {
  const port = await freePort()
  const main = await startMain(port)
  await main.isReady()
  const neighbour = await sendOne(port, 'small')
  const limit = { name: 'max.message.bytes', value: '4000' }
  const configEntries = [...EVENTS_SETTINGS, limit]
  const resource = { type: TOPIC_RESOURCE, name: TOPICS.events }
  await admin.alterConfigs({ validateOnly: false, resources: [{ ...resource, configEntries }] })
  const large = await TestClient.open(port)
  const events = Array.from({ length: 800 }, (_, seq) => ({
    seq,
    type: 'heartbeat',
    at: 1_800_000_000_000 + Math.floor(Math.random() * 1e9),
  }))
  large.send(frameText(0, { session: { sessionId: 'large' }, events }))
  expect(await large.untilClosed()).toMatchObject({ code: 1011, reason: 'GATEWAY_APPEND_REFUSED' })
  expect(large.acked).toBe(-1)
  neighbour.send(frameText(1, { session: { sessionId: 'small' } }))
  await neighbour.untilAcked(1)
  await until(() => main.stderr.includes('LOG_RECORD_TOO_LARGE'))
  expect(main.stderr).toContain('raise `max.message.bytes` of the topic')
  await admin.alterConfigs({
    validateOnly: false,
    resources: [{ ...resource, configEntries: EVENTS_SETTINGS }],
  })
  expect(await keptSessions()).not.toContain('large')
})

test('a topic that is deleted and created anew with fewer partitions is told as such', async () => {
  const port = await freePort()
  const main = await startMain(port)
  await main.isReady()
  await sendOne(port, 'before')
  await admin.deleteTopics({ topics: Object.values(TOPICS) })
  await until(async () => (await admin.listTopics()).every((name) => name !== TOPICS.events))
  await createTopics(1)
  const names = Array.from({ length: 12 }, (_, index) => `anew-${index}`)
  const clients = await Promise.all(
    names.map(async (sessionId) => {
      const client = await TestClient.open(port)
      client.send(frameText(0, { session: { sessionId } }))
      return client
    }),
  )
  await until(() => clients.every(({ acked, closed }) => acked === 0 || closed !== undefined))
  const refused = clients.filter(({ closed }) => closed?.code === 1011)
  expect(refused.length).toBeGreaterThan(0)
  expect(refused.length).toBeLessThan(clients.length)
  expect(main.stderr).toContain('LOG_TOPIC_MISMATCH')
  expect(main.stderr).toContain('Set BACKHAUL_PARTITIONS')
})
