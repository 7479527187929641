/** What the relay is measured by: events a core, and how long a feed is nobody's when an owner dies. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startKafka, type Kafka } from '../../scripts/services/kafka.ts'
import { freePorts } from '../../scripts/services/ports.ts'
import { FeedServer } from '../../shared/http/testing/feed-server.ts'
import { endMainProcesses, MainProcess } from '../../shared/http/testing/main-process.ts'
import { systemClock as clock } from '../../shared/runtime/clock.ts'
import { perEventClaim, runBench } from './command-proofs.ts'
import type { Claim, Proof } from './proof.ts'

const RELAY = join(import.meta.dirname, '..', '..', 'gateway', 'relay', 'main.ts')
const EVENTS = 2_000_000
const TAKEOVERS = 5
const DEADLINE_MS = 60_000
const POLL_MS = 20

const speed: Proof = {
  name: 'relay-speed',
  shows: 'a feed of 8 connections, 100 events a message, through the relay',
  minutes: 0.5,
  async run({ minutesMax }) {
    const events = minutesMax === Infinity ? EVENTS : EVENTS / 10
    const results = await runBench('relay', '100', `${events}`)
    const [result] = results
    const claim: Claim = {
      kind: 'floor',
      what: 'relay, 100 events a message',
      measured: result?.eventsPerCoreSecond ?? 0,
      unit: 'events/s/core',
      bound: { atLeast: 125_000 },
    }
    return { claims: [claim, ...results.map(perEventClaim)], details: { results } }
  },
}

const takeover: Proof = {
  name: 'relay-takeover',
  shows: 'how long a feed is not pulled when its owner or its first address dies',
  minutes: 2,
  async run({ said }) {
    const folder = mkdtempSync(join(tmpdir(), 'backhaul-relay-takeover-'))
    const kafka = await startKafka()
    try {
      const takeovers = await measureTakeovers(kafka, folder, said)
      const fallbackMs = await measureFallback(kafka, folder)
      return {
        claims: [
          slowest('from the kill of an owner to the next connection', takeovers, 10_000),
          slowest('from the end of the first address to the second', [fallbackMs], 3_000),
        ],
        details: { takeovers, fallbackMs },
      }
    } finally {
      await endMainProcesses()
      await kafka.stop()
      rmSync(folder, { recursive: true, force: true })
    }
  },
}

export const relayProofs: readonly Proof[] = [speed, takeover]

function slowest(what: string, durationsMs: readonly number[], atMost: number): Claim {
  const measured = Math.round(Math.max(...durationsMs))
  return { kind: 'floor', what, measured, unit: 'ms', bound: { atMost } }
}

/** With the settings that a relay has by itself. */
async function startRelay(kafka: Kafka, folder: string, feed: object): Promise<MainProcess> {
  const feedsPath = join(folder, 'feeds.json')
  writeFileSync(feedsPath, JSON.stringify({ feeds: [feed] }))
  const [adminPort = 0] = await freePorts(1)
  const environment = {
    BACKHAUL_DATA_DIR: folder,
    BACKHAUL_SEAL_KEY: Buffer.alloc(32, 3).toString('base64'),
    BACKHAUL_PSEUDONYM_KEYS: `k:${Buffer.alloc(32, 4).toString('base64')}`,
    BACKHAUL_PARTITIONS: '2',
    KAFKA_BROKERS: kafka.bootstrap.join(','),
    KAFKA_REPLICATION_FACTOR: '1',
    KAFKA_MIN_INSYNC_REPLICAS: '1',
    RELAY_FEEDS_PATH: feedsPath,
    RELAY_ADMIN_PORT: `${adminPort}`,
  }
  const relay = new MainProcess({ script: [RELAY], adminPort, environment })
  await until(async () => (await relay.ask('/readyz'))?.status === 200)
  return relay
}

async function measureTakeovers(kafka: Kafka, folder: string, said: (line: string) => void) {
  const server = await new FeedServer().ready()
  const feed = { id: 'takeover', mapping: 'playback.v1', urls: [server.url], resumable: true }
  let owner = await startRelay(kafka, folder, feed)
  await until(() => server.connections === 1)
  const durationsMs: number[] = []
  for (let round = 0; round < TAKEOVERS; round += 1) {
    const standby = await startRelay(kafka, folder, feed)
    const upgrades = server.upgrades.length
    const killedAtMs = clock.monotonicMs()
    owner.signal('SIGKILL')
    await until(() => server.upgrades.length > upgrades)
    durationsMs.push(clock.monotonicMs() - killedAtMs)
    said(`taken over after ${Math.round(durationsMs.at(-1) ?? 0)} ms`)
    owner = standby
  }
  await endMainProcesses()
  await server.stop()
  return durationsMs
}

async function measureFallback(kafka: Kafka, folder: string): Promise<number> {
  const [first, second] = [await new FeedServer().ready(), await new FeedServer().ready()]
  const urls = [first.url, second.url]
  await startRelay(kafka, folder, { id: 'fallback', mapping: 'playback.v1', urls })
  await until(() => first.connections === 1)
  const endedAtMs = clock.monotonicMs()
  await first.stop()
  await until(() => second.connections === 1)
  const durationMs = clock.monotonicMs() - endedAtMs
  await endMainProcesses()
  await second.stop()
  return durationMs
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadlineMs = clock.monotonicMs() + DEADLINE_MS
  while (!(await condition())) {
    if (clock.monotonicMs() > deadlineMs) throw new Error('waited in vain')
    await clock.sleep(POLL_MS)
  }
}
