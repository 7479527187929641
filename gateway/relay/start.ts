/** Builds the relay over an ingest that is open, and stops it: every connection is handed over. */
import { readFileSync } from 'node:fs'
import type { ObjectStore } from '../../shared/objects/object-store.ts'
import type { Clock } from '../../shared/runtime/clock.ts'
import type { Running } from '../../shared/runtime/lifecycle.ts'
import type { Random } from '../../shared/runtime/random.ts'
import type { TelemetryBase } from '../../shared/runtime/telemetry.ts'
import type { Ingest } from '../ingest.ts'
import type { RelayConfig } from './config.ts'
import { relayErrors } from './errors.ts'
import { FeedConnection } from './feed-connection.ts'
import { readFeeds } from './feeds.ts'
import { assertRelayLimits } from './limits.ts'
import { loadMapping } from './mappings/load.ts'
import { createRelayTelemetry, type FeedStanding } from './telemetry.ts'

export interface RelayOptions {
  readonly config: RelayConfig
  readonly ingest: Ingest
  /** Where leases and positions are; relays beside one another share it. */
  readonly objects: ObjectStore
  /** A folder of this machine. */
  readonly spoolFolder: string
  readonly telemetry: TelemetryBase
  readonly clock: Clock
  readonly random: Random
}

/** How often the metrics of feeds are brought up to date. */
const REPORT_MS = 1_000

/**
 * Throws `RELAY_FEEDS_REQUIRED`, `RELAY_FEEDS_INVALID`, `RELAY_SECRET_UNREADABLE` or
 * `RELAY_MAPPING_INVALID`. What is wrong with a feed itself shows in its metrics and its log.
 */
export async function startRelay(options: RelayOptions): Promise<Running> {
  assertRelayLimits()
  const { config, clock, random } = options
  const feeds = await loadFeeds(config)
  const telemetry = createRelayTelemetry(options.telemetry)
  const slots = slotsOf(config.ownedMax)
  const holder = `relay-${random.uuid()}`
  const connections = feeds.flatMap(({ feed, mapping }) =>
    Array.from(
      { length: feed.connections },
      (_, connection) =>
        new FeedConnection({ ...options, feed, connection, mapping, holder, telemetry, slots }),
    ),
  )
  const report = () => telemetry.report(feeds.map(({ feed }) => standingOf(feed.id, connections)))
  const cancelReports = clock.every(REPORT_MS, report)
  return {
    async stop() {
      await Promise.all(connections.map((connection) => connection.stop()))
      cancelReports()
    },
  }
}

/** What the file names, with the mappings. Throws as `startRelay` does. */
export async function loadFeeds({ feedsPath }: RelayConfig) {
  if (feedsPath === '') throw relayErrors.create('RELAY_FEEDS_REQUIRED')
  const feeds = readFeeds(feedsPath, (path) => readFileSync(path, 'utf8'))
  return Promise.all(
    feeds.map(async (feed) => ({ feed, mapping: await loadMapping(feed.mapping) })),
  )
}

function slotsOf(max: number) {
  let taken = 0
  return {
    take() {
      if (taken >= max) return false
      taken += 1
      return true
    },
    give() {
      taken -= 1
    },
  }
}

function standingOf(feed: string, connections: readonly FeedConnection[]): FeedStanding {
  const held = { spooledBytes: 0, inFlightBytes: 0, sessions: 0, lagMs: 0 }
  const sum = { wanted: 0, owned: 0, open: 0, ...held }
  for (const connection of connections) {
    const { standing } = connection
    if (connection.feedId !== feed) continue
    sum.wanted += 1
    if (standing === undefined) continue
    sum.owned += 1
    sum.open += standing.isOpen ? 1 : 0
    sum.spooledBytes += standing.spooledBytes
    sum.inFlightBytes += standing.inFlightBytes
    sum.sessions += standing.sessions
    sum.lagMs = Math.max(sum.lagMs, standing.lagMs)
  }
  return { feed, ...sum }
}
