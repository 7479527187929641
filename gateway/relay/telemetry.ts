import { createMetrics, defineMetrics, type TelemetryBase } from '../../shared/runtime/telemetry.ts'
import type { BackhaulError } from '../../shared/runtime/errors.ts'
import { shownAddress } from './feeds.ts'
import type { FeedPosition } from './mapping.ts'

const feed = ['feed'] as const

export const relayMetrics = defineMetrics({
  wanted: {
    kind: 'gauge',
    name: 'relay_connections_wanted',
    merge: 'max',
    help: 'Connections that the feed is to have, over all relays.',
    labels: feed,
  },
  owned: {
    kind: 'gauge',
    name: 'relay_connections_owned',
    help: 'Connections of the feed that this relay owns (limit: RELAY_OWNED_MAX over all feeds); those of all relays add up to the feed’s `connections`.',
    labels: feed,
  },
  open: {
    kind: 'gauge',
    name: 'relay_connections_open',
    help: 'Owned connections whose WebSocket is open.',
    labels: feed,
  },
  messages: {
    kind: 'counter',
    name: 'relay_messages_total',
    help: 'Messages that the feed sent and the relay took.',
    labels: feed,
  },
  bytes: {
    kind: 'counter',
    name: 'relay_message_bytes_total',
    help: 'Bytes of these messages.',
    labels: feed,
  },
  missing: {
    kind: 'counter',
    name: 'relay_missing_messages_total',
    help: 'Messages that the feed’s own numbers say were never received: measured loss.',
    labels: feed,
  },
  repeated: {
    kind: 'counter',
    name: 'relay_repeated_messages_total',
    help: 'Messages that the feed’s numbers show to have been taken before; they are dropped.',
    labels: feed,
  },
  rejections: {
    kind: 'counter',
    name: 'relay_rejections_total',
    help: 'Events and messages of the feed rejected for good and kept in playback.rejects, by code.',
    labels: ['feed', 'code'],
  },
  failed: {
    kind: 'counter',
    name: 'relay_failed_parts_total',
    help: 'Parts of messages that the log will never take, for instance too large for it; each is told in the relay’s log with its position.',
    labels: feed,
  },
  ends: {
    kind: 'counter',
    name: 'relay_connection_ends_total',
    help: 'Connections of the feed that ended or could not be opened, by code.',
    labels: ['feed', 'code'],
  },
  unresumed: {
    kind: 'counter',
    name: 'relay_unresumed_reconnects_total',
    help: 'Times that a feed which cannot resume was opened again: what it sent meanwhile is not known.',
    labels: feed,
  },
  unresumedMs: {
    kind: 'counter',
    name: 'relay_unresumed_ms_total',
    help: 'How long such a feed was not connected, ms.',
    labels: feed,
  },
  spooled: {
    kind: 'gauge',
    name: 'relay_spool_bytes',
    help: 'Bytes of messages on disk, over the feed’s connections (limit: RELAY_SPOOL_MAX_BYTES each).',
    labels: feed,
  },
  inFlight: {
    kind: 'gauge',
    name: 'relay_in_flight_bytes',
    help: 'Bytes of messages on their way into the log, likewise (limit: RELAY_IN_FLIGHT_MAX_BYTES each).',
    labels: feed,
  },
  sessions: {
    kind: 'gauge',
    name: 'relay_numbered_sessions',
    help: 'Sessions whose events the relay numbers, likewise (limit: RELAY_SESSIONS_MAX each).',
    labels: feed,
  },
  lagMs: {
    kind: 'gauge',
    name: 'relay_lag_ms',
    merge: 'max',
    help: 'Age of the oldest message that is not yet in the log, the largest of the feed’s connections.',
    labels: feed,
  },
  saveFailures: {
    kind: 'counter',
    name: 'relay_position_save_failures_total',
    help: 'Positions that could not be saved; they are saved again.',
    labels: feed,
  },
})

/** How a feed’s connections stand. */
export interface FeedStanding {
  readonly feed: string
  /** Connections that the feed is to have, whoever owns them. */
  readonly wanted: number
  readonly owned: number
  readonly open: number
  readonly spooledBytes: number
  readonly inFlightBytes: number
  readonly sessions: number
  readonly lagMs: number
}

export type RelayTelemetry = ReturnType<typeof createRelayTelemetry>

export function createRelayTelemetry({ registry, log }: TelemetryBase) {
  const metrics = createMetrics(relayMetrics, registry)
  return {
    took(feed: string, { bytes, missing }: { readonly bytes: number; readonly missing: number }) {
      metrics.messages.inc({ feed })
      metrics.bytes.inc({ feed }, bytes)
      if (missing === 0) return
      metrics.missing.inc({ feed }, missing)
      log.warn({ feed, missing }, 'messages of a feed are missing')
    },
    repeated(feed: string) {
      metrics.repeated.inc({ feed })
    },
    rejected(feed: string, code: string) {
      metrics.rejections.inc({ feed, code })
    },
    failed(feed: string, position: FeedPosition, error: unknown) {
      metrics.failed.inc({ feed })
      log.error({ feed, ...position, err: error }, 'the log will never take a part of a message')
    },
    tookOver(feed: string, connection: number, ownership: number) {
      log.info({ feed, connection, ownership }, 'connection taken over')
    },
    opened(feed: string, connection: number, url: string) {
      log.info({ feed, connection, url: shownAddress(url) }, 'feed connected')
    },
    ended(feed: string, connection: number, { code, message, spec }: BackhaulError) {
      metrics.ends.inc({ feed, code })
      log.warn({ feed, connection, err: message, action: spec.action }, 'feed connection ended')
    },
    unresumed(feed: string, durationMs: number) {
      metrics.unresumed.inc({ feed })
      metrics.unresumedMs.inc({ feed }, Math.round(durationMs))
    },
    saveFailed(feed: string, error: unknown) {
      metrics.saveFailures.inc({ feed })
      log.warn({ feed, err: error }, 'a position could not be saved, trying again')
    },
    takeoverFailed(feed: string, connection: number, error: unknown) {
      log.error({ feed, connection, err: error }, 'a connection could not be taken over')
    },
    report(feeds: readonly FeedStanding[]) {
      for (const { feed, wanted, owned, open, ...held } of feeds) {
        const { spooledBytes, inFlightBytes, sessions, lagMs } = held
        metrics.wanted.set({ feed }, wanted)
        metrics.owned.set({ feed }, owned)
        metrics.open.set({ feed }, open)
        metrics.spooled.set({ feed }, spooledBytes)
        metrics.inFlight.set({ feed }, inFlightBytes)
        metrics.sessions.set({ feed }, sessions)
        metrics.lagMs.set({ feed }, lagMs)
      }
    },
  }
}
