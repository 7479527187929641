/** What serving reports: its metrics, and the named events that move them. */
import { BackhaulError } from '../shared/runtime/errors.ts'
import { createMetrics, defineMetrics, type TelemetryBase } from '../shared/runtime/telemetry.ts'

export const servingMetrics = defineMetrics({
  requests: {
    kind: 'counter',
    name: 'serving_requests_total',
    help: 'Requests answered, by route and status.',
    labels: ['route', 'status'],
  },
  requestDurationMs: {
    kind: 'histogram',
    name: 'serving_request_duration_ms',
    help: 'Time from a request to its answer.',
    labels: ['route'],
  },
  requestsInFlight: {
    kind: 'gauge',
    name: 'serving_requests_in_flight',
    help: 'Queries being worked on, also those that timed out and still wait for a store (limit: requestsInFlightMax).',
  },
  closedMinutes: {
    kind: 'counter',
    name: 'serving_closed_minute_lookups_total',
    help: 'Minutes asked for, by whether they were in the cache of closed minutes.',
    labels: ['outcome'],
  },
  closedMinuteRows: {
    kind: 'gauge',
    name: 'serving_closed_minute_rows',
    help: 'Rows in the cache of closed minutes, and one for each minute (limit: closedMinuteRowsMax).',
  },
  timelineCacheSessions: {
    kind: 'gauge',
    name: 'serving_timeline_cache_sessions',
    help: 'Labelled timelines kept for paging (limit: timelineCacheSessionsMax).',
  },
  timelineCacheEvents: {
    kind: 'gauge',
    name: 'serving_timeline_cache_events',
    help: 'Events of the timelines kept for paging; an empty timeline counts as one (limit: timelineCacheEventsMax).',
  },
  liveConnections: {
    kind: 'gauge',
    name: 'serving_live_connections',
    help: 'Live connections (limit: SERVING_LIVE_CONNECTIONS_MAX).',
  },
  liveChannels: {
    kind: 'gauge',
    name: 'serving_live_channels',
    help: 'Distinct live subscriptions (limit: liveChannelsMax).',
  },
  livePollDurationMs: {
    kind: 'histogram',
    name: 'serving_live_poll_duration_ms',
    help: 'Time of one poll for all live subscriptions.',
  },
  livePollFailures: {
    kind: 'counter',
    name: 'serving_live_poll_failures_total',
    help: 'Polls that failed, by error code.',
    labels: ['code'],
  },
  liveSkipped: {
    kind: 'counter',
    name: 'serving_live_updates_skipped_total',
    help: 'Updates not sent because the client had not read the ones before.',
  },
  liveAlerts: {
    kind: 'counter',
    name: 'serving_live_alerts_total',
    help: 'Alerts handed to live connections that want them.',
  },
  viewLookFailures: {
    kind: 'counter',
    name: 'serving_view_look_failures_total',
    help: 'Times that it could not be read which view is active; the one served last goes on.',
  },
  alertFeedFailures: {
    kind: 'counter',
    name: 'serving_alert_feed_failures_total',
    help: 'Reads of playback.alerts for the live connections that failed, by error code.',
    labels: ['code'],
  },
  liveRefused: {
    kind: 'counter',
    name: 'serving_live_refused_total',
    help: 'Live connections refused, by error code.',
    labels: ['code'],
  },
})

export type ServingTelemetry = ReturnType<typeof createServingTelemetry>

export function createServingTelemetry({ registry, log }: TelemetryBase) {
  const metrics = createMetrics(servingMetrics, registry)
  return {
    listening(facts: { readonly url: string }) {
      log.info(facts, 'serving listens')
    },
    requestEnded(facts: {
      readonly route: string
      readonly status: number
      readonly durationMs: number
    }) {
      metrics.requests.inc({ route: facts.route, status: facts.status })
      metrics.requestDurationMs.observe({ route: facts.route }, facts.durationMs)
    },
    requestFailed(facts: { readonly route: string; readonly error: unknown }) {
      log.error({ route: facts.route, err: facts.error }, 'request failed')
    },
    closedMinutesAsked(counts: { readonly hits: number; readonly misses: number }) {
      metrics.closedMinutes.inc({ outcome: 'hit' }, counts.hits)
      metrics.closedMinutes.inc({ outcome: 'miss' }, counts.misses)
    },
    sizesChanged(sizes: {
      readonly requestsInFlight: number
      readonly closedMinuteRows: number
      readonly timelineCacheSessions: number
      readonly timelineCacheEvents: number
      readonly liveConnections: number
      readonly liveChannels: number
    }) {
      metrics.requestsInFlight.set(sizes.requestsInFlight)
      metrics.closedMinuteRows.set(sizes.closedMinuteRows)
      metrics.timelineCacheSessions.set(sizes.timelineCacheSessions)
      metrics.timelineCacheEvents.set(sizes.timelineCacheEvents)
      metrics.liveConnections.set(sizes.liveConnections)
      metrics.liveChannels.set(sizes.liveChannels)
    },
    livePolled(facts: { readonly durationMs: number }) {
      metrics.livePollDurationMs.observe(facts.durationMs)
    },
    viewServed({ view, isFirst }: { readonly view: string; readonly isFirst: boolean }) {
      log.info({ view }, isFirst ? 'this view is served' : 'another view is served than before')
    },
    /** Logged once a row of failures. */
    viewLookFailed(facts: { readonly error: unknown; readonly isFirst: boolean }) {
      metrics.viewLookFailures.inc()
      if (facts.isFirst) log.warn({ err: facts.error }, 'which view is active cannot be read')
    },
    /** Logged once a row of failures; the counter tells how long it lasts. */
    livePollFailed(facts: { readonly error: unknown; readonly isFirst: boolean }) {
      const code = facts.error instanceof BackhaulError ? facts.error.code : 'SERVING_INTERNAL'
      metrics.livePollFailures.inc({ code })
      if (facts.isFirst) log.warn({ err: facts.error }, 'live polls fail')
    },
    livePollsRecovered() {
      log.info('live polls succeed again')
    },
    liveSkipped() {
      metrics.liveSkipped.inc()
    },
    liveAlertSent(connections: number) {
      metrics.liveAlerts.inc(connections)
    },
    alertFeedFailed(facts: { readonly error: unknown }) {
      const code = facts.error instanceof BackhaulError ? facts.error.code : 'SERVING_INTERNAL'
      metrics.alertFeedFailures.inc({ code })
      log.warn({ err: facts.error }, 'alerts cannot be read for live connections')
    },
    liveRefused(facts: { readonly code: string }) {
      metrics.liveRefused.inc({ code: facts.code })
    },
  }
}
