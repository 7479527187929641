/**
 * Two relays beside one another on a real Kafka: the owner of a feed is killed, put to sleep, and
 * stopped, while the feed goes on. Every event of the feed is then in the log, under one identity.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest'
import { startKafka, type Kafka } from '../../scripts/services/kafka.ts'
import { STORE_PASSWORD, writeKeyStore } from '../../scripts/services/key-store.ts'
import { freePorts } from '../../scripts/services/ports.ts'
import { endMainProcesses, MainProcess } from '../../shared/http/testing/main-process.ts'
import { kafkaSettings } from '../../shared/kafka/testing/kafka-settings.ts'
import { openKafkaEventLog } from '../../shared/log/kafka-event-log.ts'
import { TOPICS } from '../../shared/log/topics.ts'
import { systemClock as clock } from '../../shared/runtime/clock.ts'
import { FeedServer } from '../../shared/http/testing/feed-server.ts'
import { startTestRelay, stopTestRelays } from './testing/test-relay.ts'

const MAIN = join(import.meta.dirname, 'main.ts')
const PARTITIONS = 2
const CONNECTIONS = 2
const PUBLISH_MS = 10
const SESSIONS = 7
const PATIENT = { timeout: 90_000, interval: 100 }
const AT_MS = 1_790_000_000_000

vi.setConfig({ testTimeout: 300_000 })

let kafka: Kafka
const folder = mkdtempSync(join(tmpdir(), 'backhaul-relays-'))

beforeAll(async () => {
  kafka = await startKafka()
})
afterEach(async () => {
  await endMainProcesses()
  await stopTestRelays()
})
afterAll(async () => {
  await kafka.stop()
  rmSync(folder, { recursive: true, force: true })
})

class Relay extends MainProcess {
  /** Of a feed’s connections, those that it owns. */
  async owned(): Promise<number> {
    const { text = '' } = (await this.ask('/metrics')) ?? {}
    const values = [...text.matchAll(/^relay_connections_owned\{[^}]*\} (\d+)$/gm)]
    return values.reduce((sum, [, value]) => sum + Number(value), 0)
  }
}

async function startRelay(feedsPath: string): Promise<Relay> {
  const [adminPort = 0] = await freePorts(1)
  const relay = new Relay({
    script: [MAIN],
    adminPort,
    environment: {
      BACKHAUL_DATA_DIR: folder,
      BACKHAUL_SEAL_KEY: Buffer.alloc(32, 3).toString('base64'),
      BACKHAUL_PSEUDONYM_KEYS: `k:${Buffer.alloc(32, 4).toString('base64')}`,
      BACKHAUL_PARTITIONS: `${PARTITIONS}`,
      KAFKA_BROKERS: kafka.bootstrap.join(','),
      KAFKA_REPLICATION_FACTOR: '1',
      KAFKA_MIN_INSYNC_REPLICAS: '1',
      RELAY_FEEDS_PATH: feedsPath,
      RELAY_ADMIN_PORT: `${adminPort}`,
      RELAY_LEASE_MS: '2000',
      RELAY_TAKEOVER_POLL_MS: '200',
    },
  })
  await expect.poll(async () => (await relay.ask('/readyz'))?.status, PATIENT).toBe(200)
  return relay
}

/** A feed without numbers that goes on until it is stopped. */
class GoingFeed {
  readonly server: FeedServer
  published = 0
  readonly #cancel: () => void

  constructor(server: FeedServer) {
    this.server = server
    this.#cancel = clock.every(PUBLISH_MS, () => this.#publish())
  }

  stop(): void {
    this.#cancel()
  }

  #publish(): void {
    for (let connection = 0; connection < CONNECTIONS; connection += 1) {
      const number = this.published
      const session = `c${connection}-${number % SESSIONS}-${Math.floor(number / 200)}`
      const what = number < SESSIONS ? 'open' : 'alive'
      this.server.publish(
        ({ cursor }) =>
          JSON.stringify({
            position: cursor,
            number: Number(cursor),
            events: [{ session, at: AT_MS + number, what, asset: `${number}` }],
          }),
        connection,
      )
    }
    this.published += 1
  }
}

interface Found {
  readonly sourceSession: string
  readonly identity: string
  /** What the feed said: each of its events names another. */
  readonly said: string
}

async function eventsInLog(): Promise<Found[]> {
  const log = await openKafkaEventLog({
    config: kafkaSettings({ brokers: kafka.bootstrap }),
    clock,
  })
  const found: Found[] = []
  for (let partition = 0; partition < PARTITIONS; partition += 1) {
    const { end } = await log.offsets(TOPICS.events, partition)
    for (let fromOffset = 0; fromOffset < end;) {
      const request = { fromOffset, maxRecords: 1_000, maxBytes: 2 ** 20, waitMs: 100 }
      const { records } = await log.read(TOPICS.events, partition, request)
      for (const { value } of records) found.push(...eventsOf(value))
      fromOffset += records.length
    }
  }
  await log.close()
  return found
}

function eventsOf(value: Uint8Array): Found[] {
  const { session, events } = JSON.parse(Buffer.from(value).toString()) as {
    session: { sessionId: string; contentId: string; labels: { sourceSession: string } }
    events: { seq: number }[]
  }
  const { sessionId, contentId, labels } = session
  const { sourceSession } = labels
  return events.map(({ seq }) => ({
    sourceSession,
    identity: `${sessionId}/${seq}`,
    said: `${sourceSession}: ${contentId}`,
  }))
}

test('through a kill, a sleep and a stop of its owner no event of a feed is missing or doubled', async () => {
  const feed = new GoingFeed(await new FeedServer().ready())
  const feedsPath = join(folder, 'feeds.json')
  const { url } = feed.server
  const entry = { id: 'acme', mapping: 'json-array', urls: [url], resumable: true }
  const feeds = [{ ...entry, numbersGoOn: true, connections: CONNECTIONS }]
  writeFileSync(feedsPath, JSON.stringify({ feeds }))
  const first = await startRelay(feedsPath)
  await expect.poll(() => first.owned(), PATIENT).toBe(CONNECTIONS)
  const second = await startRelay(feedsPath)
  const goesOn = async () => {
    const before = feed.server.heard.length
    await expect.poll(() => feed.server.heard.length, PATIENT).toBeGreaterThan(before + 3)
  }
  await goesOn()
  expect(await second.owned()).toBe(0)

  first.signal('SIGKILL')
  await expect.poll(() => second.owned(), PATIENT).toBe(CONNECTIONS)
  await goesOn()

  const third = await startRelay(feedsPath)
  second.signal('SIGSTOP')
  await expect.poll(() => third.owned(), PATIENT).toBe(CONNECTIONS)
  second.signal('SIGCONT')
  await expect.poll(() => second.owned(), PATIENT).toBe(0)
  await goesOn()

  third.signal('SIGTERM')
  expect(await third.ended).toBe(0)
  await expect.poll(() => second.owned(), PATIENT).toBe(CONNECTIONS)
  await goesOn()
  feed.stop()
  const total = feed.published * CONNECTIONS
  const said = async () => new Set((await eventsInLog()).map((event) => event.said)).size
  await expect.poll(said, PATIENT).toBe(total)
  const events = await eventsInLog()
  // One identity for each thing that was said, whoever wrote it, and however often.
  expect(new Set(events.map(({ identity }) => identity)).size).toBe(total)
  expect(new Set(events.map(({ identity, said }) => `${identity} ${said}`)).size).toBe(total)
  await feed.server.stop()
})

test('a certificate that nobody vouches for is refused, and taken when its authority is named', async () => {
  const { certificate, storePath } = writeKeyStore(join(folder, 'tls'))
  const pfx = readFileSync(storePath)
  const server = await new FeedServer({ tls: { pfx, passphrase: STORE_PASSWORD } }).ready()
  const feed = { id: 'tls', mapping: 'playback.v1', urls: [server.url] }
  const refused = await startTestRelay({ feeds: [feed] })
  await expect
    .poll(() => refused.metric('relay_connection_ends_total', 'RELAY_FEED_CERTIFICATE_INVALID'))
    .toBeGreaterThan(0)
  expect(server.upgrades).toEqual([])
  const caPath = join(folder, 'ca.pem')
  writeFileSync(caPath, certificate)
  await startTestRelay({ feeds: [{ ...feed, caPath }] })
  await expect.poll(() => server.connections).toBe(1)
  await server.stop()
})
