/** What the gateway reports: its metrics, and the named events that move them. */
import {
  createMetrics,
  defineMetrics,
  type Logger,
  type TelemetryBase,
} from '../shared/runtime/telemetry.ts'
import type { CopyDropReason } from './copies.ts'
import type { AppendedBatch, Lane } from './lane.ts'
import type { Lanes } from './lanes.ts'
import type { RateRefusal } from './rates.ts'
import { REFUSAL_REASONS, type Ledger, type Ledgers, type RefusalReason } from './ledger.ts'

const lane = ['topic', 'partition'] as const

const flowMetrics = defineMetrics({
  events: {
    kind: 'gauge',
    name: 'gateway_events',
    rises: true,
    help: 'Events since the start by outcome; received = accepted + rejected + refused + inFlight at every moment. What is sent again is received again.',
    labels: ['outcome'],
  },
  acceptedLate: {
    kind: 'gauge',
    name: 'gateway_accepted_after_objective_events',
    rises: true,
    help: 'Accepted events that the log had later than a second after they arrived (ACCEPT_OBJECTIVE_MS).',
  },
  unreadable: {
    kind: 'gauge',
    name: 'gateway_unreadable_frames',
    rises: true,
    help: 'Frames and CMCD lines that could not be read, by outcome; the same equation.',
    labels: ['outcome'],
  },
  refusals: {
    kind: 'gauge',
    name: 'gateway_refused_events',
    rises: true,
    help: 'Events given back to be sent again, by reason; in a pool, `processEnded` is what was in flight in a process that ended.',
    labels: ['reason'],
  },
  frames: {
    kind: 'gauge',
    name: 'gateway_frames',
    rises: true,
    help: 'Frames and bodies decoded since the start, by the way they came.',
    labels: ['transport'],
  },
  rejections: {
    kind: 'counter',
    name: 'gateway_rejections_total',
    help: 'Events, lines and frames rejected for good, by code.',
    labels: ['code'],
  },
  ackLatencyMs: {
    kind: 'histogram',
    name: 'gateway_ack_latency_ms',
    help: 'From the arrival of a frame to its acknowledgement: the oldest of each acknowledgement.',
  },
  slow: {
    kind: 'counter',
    name: 'gateway_slow_total',
    help: 'Times that a client was told to wait and send again, by reason.',
    labels: ['reason'],
  },
})

const clientMetrics = defineMetrics({
  connections: {
    kind: 'gauge',
    name: 'gateway_connections',
    help: 'WebSocket connections open (limit: GATEWAY_CONNECTIONS_MAX).',
  },
  requests: {
    kind: 'gauge',
    name: 'gateway_requests',
    help: 'HTTP requests with events being worked on (limit: GATEWAY_REQUESTS_MAX).',
  },
  closes: {
    kind: 'counter',
    name: 'gateway_closes_total',
    help: 'Connections ended, by the code of the error or `client`.',
    labels: ['code'],
  },
  answers: {
    kind: 'counter',
    name: 'gateway_answers_total',
    help: 'HTTP requests and upgrades refused, by the code of the problem.',
    labels: ['code'],
  },
  overRate: {
    kind: 'counter',
    name: 'gateway_rate_refusals_total',
    help: 'Frames and requests beyond a rate, by whose it was and its unit.',
    labels: ['scope', 'unit'],
  },
  allowances: {
    kind: 'gauge',
    name: 'gateway_rate_entries',
    help: 'Client addresses and token subjects whose use is remembered (limit: GATEWAY_RATE_ENTRIES_MAX each).',
    labels: ['scope'],
  },
  contexts: {
    kind: 'gauge',
    name: 'gateway_context_cache_entries',
    help: 'Enriched contexts kept (limit: GATEWAY_CONTEXT_CACHE_ENTRIES_MAX).',
  },
})

const logMetrics = defineMetrics({
  inFlightBytes: {
    kind: 'gauge',
    name: 'gateway_in_flight_bytes',
    help: 'Bytes of bodies being read and records not yet in the log (limit: GATEWAY_IN_FLIGHT_MAX_BYTES).',
  },
  laneRecords: {
    kind: 'gauge',
    name: 'gateway_lane_backlog_records',
    help: 'Records waiting in a lane (limit: GATEWAY_LANE_MAX_RECORDS).',
    labels: lane,
  },
  laneBytes: {
    kind: 'gauge',
    name: 'gateway_lane_backlog_bytes',
    help: 'Bytes waiting in a lane (limit: GATEWAY_LANE_MAX_BYTES).',
    labels: lane,
  },
  lingerMs: {
    kind: 'gauge',
    name: 'gateway_lane_linger_ms',
    merge: 'average',
    help: 'Time between two turns of the lanes at present (limits: GATEWAY_LANE_LINGER_MS, GATEWAY_LANE_LINGER_MAX_MS).',
  },
  appendRequests: {
    kind: 'gauge',
    name: 'gateway_append_requests',
    rises: true,
    help: 'Append requests answered since the start (aim: GATEWAY_APPEND_REQUESTS_PER_SECOND); appends that end together came back in one.',
  },
  suspectLanes: {
    kind: 'gauge',
    name: 'gateway_suspect_lanes',
    help: 'Lanes whose last append failed or was slow; they do not share requests with the others.',
  },
  copies: {
    kind: 'counter',
    name: 'gateway_copies_total',
    help: 'Records copied to the topics of GATEWAY_ROUTES.',
    labels: ['topic'],
  },
  copyDrops: {
    kind: 'counter',
    name: 'gateway_copies_dropped_total',
    help: 'Copies dropped because their topic could not keep up, by reason; `playback.events` has the record.',
    labels: ['topic', 'reason'],
  },
  copyBytes: {
    kind: 'gauge',
    name: 'gateway_copy_bytes',
    help: 'Bytes of copies not yet in their topics (limit: GATEWAY_COPIES_MAX_BYTES).',
  },
  appends: {
    kind: 'counter',
    name: 'gateway_appends_total',
    help: 'Appends that the log took.',
    labels: ['topic'],
  },
  appendedRecords: {
    kind: 'counter',
    name: 'gateway_appended_records_total',
    help: 'Records that the log took.',
    labels: ['topic'],
  },
  appendFailures: {
    kind: 'counter',
    name: 'gateway_append_failures_total',
    help: 'Appends that failed and were repeated or given up.',
    labels: ['topic', 'code'],
  },
  appendMs: {
    kind: 'histogram',
    name: 'gateway_append_ms',
    help: 'Time of an append until it is durable.',
    labels: ['topic'],
  },
  clockSkewMs: {
    kind: 'gauge',
    name: 'gateway_clock_skew_ms',
    merge: 'average',
    help: 'Difference of the gateway’s clock from the last append time, beyond the time the append took (limit: GATEWAY_MAX_CLOCK_SKEW_MS).',
  },
  ready: {
    kind: 'gauge',
    name: 'gateway_ready',
    merge: 'min',
    help: '1 while the gateway is ready for new connections, else 0.',
  },
})

export const gatewayMetrics = { ...flowMetrics, ...clientMetrics, ...logMetrics }

/** What is reported as it stands rather than as it happens. */
export interface GatewayStanding {
  readonly ledgers: Ledgers
  readonly lanes: Lanes
  readonly connections: number
  readonly requests: number
  readonly inFlightBytes: number
  readonly copyBytes: number
  readonly contexts: number
  readonly allowances: Readonly<Record<'address' | 'subject', number>>
  readonly clockSkewMs: number
  readonly ready: boolean
}

interface AppendFailure {
  readonly code: string
  readonly message: string
  /** Of the batch, from 0. */
  readonly attempt: number
  /** What an operator must do, where trying again does not help. */
  readonly action: string | undefined
}

export type GatewayTelemetry = ReturnType<typeof createGatewayTelemetry>

export function createGatewayTelemetry({ registry, log }: TelemetryBase) {
  const metrics = createMetrics(gatewayMetrics, registry)
  return { log, ...clientEvents(metrics, log), ...logEvents(metrics, log), ...standing(metrics) }
}

type Metrics = ReturnType<typeof createMetrics<typeof gatewayMetrics>>

function clientEvents(metrics: Metrics, log: Logger) {
  return {
    rejected(code: string) {
      metrics.rejections.inc({ code })
    },
    acknowledged(latencyMs: number) {
      metrics.ackLatencyMs.observe(latencyMs)
    },
    toldSlow(reason: RefusalReason, retryAfterMs: number) {
      metrics.slow.inc({ reason })
      log.debug({ reason, retryAfterMs }, 'client told to wait')
    },
    overRate({ scope, unit }: RateRefusal) {
      metrics.overRate.inc({ scope, unit })
    },
    connectionClosed(code: string) {
      metrics.closes.inc({ code })
      log.debug({ code }, 'connection closed')
    },
    defectMet(error: unknown) {
      log.error({ err: error }, 'unexpected failure')
    },
    requestRefused(code: string) {
      metrics.answers.inc({ code })
    },
  }
}

function logEvents(metrics: Metrics, log: Logger) {
  return {
    appended({ topic }: Lane, batch: AppendedBatch) {
      metrics.appends.inc({ topic })
      metrics.appendedRecords.inc({ topic }, batch.records)
      metrics.appendMs.observe({ topic }, batch.durationMs)
    },
    appendFailed({ topic, partition }: Lane, failure: AppendFailure) {
      const { code, message: err, attempt, action } = failure
      metrics.appendFailures.inc({ topic, code })
      if (attempt > 0) return
      if (action === undefined) log.warn({ topic, partition, err }, 'append failed, trying again')
      else log.error({ topic, partition, err, action }, 'append refused')
    },
    copied(topic: string) {
      metrics.copies.inc({ topic })
    },
    copyDropped(topic: string, reason: CopyDropReason) {
      metrics.copyDrops.inc({ topic, reason })
    },
    readinessChanged(code: string | undefined) {
      if (code === undefined) log.info('ready for new connections')
      else log.warn({ code }, 'not ready for new connections')
    },
    drainStarted(connections: number) {
      log.info({ connections }, 'draining')
    },
    drained(left: { connections: number; requests: number; durationMs: number }) {
      log.info(left, 'drained')
    },
    listening(url: string, instanceId: string) {
      log.info({ url, instanceId }, 'gateway listening')
    },
  }
}

function standing(metrics: Metrics) {
  const ledger = (metric: Metrics['events'], { received, accepted, ...rest }: Ledger) => {
    const { rejected, refused, inFlight } = rest
    for (const [outcome, count] of Object.entries({
      received,
      accepted,
      rejected,
      refused,
      inFlight,
    }))
      metric.set({ outcome }, count)
  }
  return {
    report(now: GatewayStanding) {
      ledger(metrics.events, now.ledgers.events)
      ledger(metrics.unreadable, now.ledgers.unreadable)
      metrics.acceptedLate.set(now.ledgers.events.acceptedLate)
      for (const [transport, count] of Object.entries(now.ledgers.frames))
        metrics.frames.set({ transport }, count)
      for (const reason of REFUSAL_REASONS)
        metrics.refusals.set({ reason }, now.ledgers.events.refusedBy[reason])
      for (const { topic, partition, backlogRecords, backlogBytes } of now.lanes.all) {
        metrics.laneRecords.set({ topic, partition }, backlogRecords)
        metrics.laneBytes.set({ topic, partition }, backlogBytes)
      }
      metrics.lingerMs.set(now.lanes.pacer.lingerMs)
      metrics.appendRequests.set(now.lanes.pacer.requests)
      metrics.suspectLanes.set(now.lanes.all.filter((each) => each.isSuspect).length)
      metrics.connections.set(now.connections)
      metrics.requests.set(now.requests)
      metrics.inFlightBytes.set(now.inFlightBytes)
      metrics.copyBytes.set(now.copyBytes)
      metrics.contexts.set(now.contexts)
      for (const [scope, count] of Object.entries(now.allowances))
        metrics.allowances.set({ scope }, count)
      metrics.clockSkewMs.set(now.clockSkewMs)
      metrics.ready.set(now.ready ? 1 : 0)
    },
  }
}
