/**
 * Everything between what arrives and the log, whichever way it arrives: the intake with its lanes,
 * rejects, copies, books and budget. A gateway has one, and a relay in the same process shares it.
 */
import type { Pseudonymiser } from '../shared/events/identity.ts'
import type { EventLog } from '../shared/log/event-log.ts'
import { logErrors } from '../shared/log/log-errors.ts'
import type { Sealer } from '../shared/log/reject-record.ts'
import { TOPICS } from '../shared/log/topics.ts'
import type { Clock } from '../shared/runtime/clock.ts'
import { BackhaulError } from '../shared/runtime/errors.ts'
import type { Failpoints } from '../shared/runtime/failpoints.ts'
import type { StopStack } from '../shared/runtime/lifecycle.ts'
import type { Random } from '../shared/runtime/random.ts'
import type { TelemetryBase } from '../shared/runtime/telemetry.ts'
import { ByteBudget } from './byte-budget.ts'
import { ClockSkew } from './clock-skew.ts'
import { extraTopics, type GatewayConfig } from './config.ts'
import { Copies, type CopiesObserver } from './copies.ts'
import { createEnrichment, type Enrichment } from './enrichment.ts'
import { Intake } from './intake.ts'
import type { LaneObserver } from './lane.ts'
import { Lanes, type LanesOptions } from './lanes.ts'
import { createLedgers, type Ledgers } from './ledger.ts'
import { Rejects } from './rejects.ts'
import { parseRoutes } from './routes.ts'
import { createGatewayTelemetry, type GatewayStanding, type GatewayTelemetry } from './telemetry.ts'

export interface IngestOptions {
  readonly config: GatewayConfig
  /** Its topics exist. */
  readonly log: EventLog
  readonly telemetry: TelemetryBase
  readonly clock: Clock
  readonly random: Random
  readonly pseudonymiser: Pseudonymiser
  readonly sealer: Sealer
  readonly failpoints: Failpoints
  /** Partitions of `playback.events`. */
  readonly partitions: number
}

export interface Ingest {
  /** As records name it. */
  readonly instanceId: string
  readonly config: GatewayConfig
  readonly telemetry: GatewayTelemetry
  readonly ledgers: Ledgers
  readonly budget: ByteBudget
  readonly skew: ClockSkew
  readonly copies: Copies
  readonly lanes: Lanes
  readonly enrichment: Enrichment
  readonly intake: Intake
  /** As metrics show it, without what clients add. */
  readonly standing: IngestStanding
  /** Gives back what has waited too long; called every SWEEP_MS. */
  expire(): void
}

type IngestStanding = Pick<
  GatewayStanding,
  'ledgers' | 'lanes' | 'contexts' | 'inFlightBytes' | 'copyBytes' | 'clockSkewMs'
>

/** Throws `LOG_TOPIC_MISMATCH`, or what the log throws when a topic is missing. */
export async function openIngest(options: IngestOptions, stack: StopStack): Promise<Ingest> {
  const { config, clock, random } = options
  const partitions = await partitionsOf(options)
  const instanceId = `gateway-${random.uuid()}`
  const telemetry = createGatewayTelemetry(options.telemetry)
  const ledgers = createLedgers()
  const budget = new ByteBudget(config.inFlightMaxBytes)
  const skew = new ClockSkew(config.maxClockSkewMs)
  const copies = openCopies(options, partitions, telemetry)
  stack.add('copies', () => copies.stop())
  const observer = observe(telemetry, skew, copies)
  const lanes = openLanes(options, partitions, { budget, observer })
  stack.add('lanes', () => lanes.stop())
  const enrichment = openEnrichment(options, instanceId)
  const rejects = openRejects(options, partitions, instanceId)
  const intake = new Intake({ lanes, rejects, enrichment, budget, ledgers, clock })
  const parts = { telemetry, ledgers, budget, skew, copies, lanes, enrichment, intake }
  return {
    ...parts,
    instanceId,
    config,
    get standing() {
      return {
        ledgers,
        lanes,
        contexts: enrichment.contexts.cacheSize,
        inFlightBytes: budget.usedBytes,
        copyBytes: copies.usedBytes,
        clockSkewMs: skew.skewMs,
      }
    },
    expire() {
      lanes.expire()
      copies.expire()
    },
  }
}

interface TopicPartitions {
  readonly rejects: number
  /** Of each topic that a route leads to. */
  readonly routed: ReadonlyMap<string, number>
}

/** Those of the events topic must be the configured ones. */
async function partitionsOf({ log, config, partitions }: IngestOptions): Promise<TopicPartitions> {
  const events = await log.describeTopic(TOPICS.events)
  if (events.partitions !== partitions)
    throw logErrors.create('LOG_TOPIC_MISMATCH', {
      expected: `${partitions} partitions of ${TOPICS.events}`,
      received: `${events.partitions}`,
    })
  const routed = new Map<string, number>()
  for (const topic of extraTopics(config))
    routed.set(topic, (await log.describeTopic(topic)).partitions)
  const rejects = await log.describeTopic(TOPICS.rejects)
  return { rejects: rejects.partitions, routed }
}

function openLanes(
  { config, log, clock, random, failpoints, partitions }: IngestOptions,
  { rejects }: TopicPartitions,
  shared: { readonly budget: ByteBudget; readonly observer: LaneObserver },
): Lanes {
  return new Lanes({
    ...shared,
    ...laneBoundsOf(config),
    log,
    clock,
    random,
    failpoints,
    eventPartitions: partitions,
    rejectPartitions: rejects,
  })
}

function openCopies(
  { config, log, clock, random, failpoints }: IngestOptions,
  { routed }: TopicPartitions,
  observer: CopiesObserver,
): Copies {
  const { pace, bounds } = laneBoundsOf(config)
  return new Copies({
    routes: parseRoutes(config.routes),
    partitions: routed,
    maxBytes: config.copiesMaxBytes,
    pace,
    bounds,
    log,
    clock,
    random,
    failpoints,
    observer,
  })
}

function laneBoundsOf(config: GatewayConfig): Pick<LanesOptions, 'pace' | 'bounds'> {
  return {
    pace: {
      lingerMinMs: config.laneLingerMs,
      lingerMaxMs: config.laneLingerMaxMs,
      requestsPerSecond: config.appendRequestsPerSecond,
    },
    bounds: {
      maxRecords: config.laneMaxRecords,
      maxBytes: config.laneMaxBytes,
      batchMaxRecords: config.batchMaxRecords,
      batchMaxBytes: config.batchMaxBytes,
      deadlineMs: config.appendDeadlineMs,
    },
  }
}

function observe(telemetry: GatewayTelemetry, skew: ClockSkew, copies: Copies): LaneObserver {
  return {
    recordAppended: (record) => copies.consider(record),
    appended(lane, batch) {
      skew.observe(batch)
      telemetry.appended(lane, batch)
    },
    failed(lane, error, attempt) {
      const { code = 'UNKNOWN', spec } = error instanceof BackhaulError ? error : {}
      const action = spec?.retryable === false ? spec.action : undefined
      telemetry.appendFailed(lane, { code, message: String(error), attempt, action })
    },
  }
}

function openEnrichment({ config, pseudonymiser }: IngestOptions, instanceId: string) {
  const { contextCacheEntriesMax: cacheEntriesMax, traceContext } = config
  return createEnrichment({ pseudonymiser, cacheEntriesMax, instanceId, traceContext })
}

function openRejects(
  { sealer }: IngestOptions,
  { rejects: partitions }: TopicPartitions,
  instanceId: string,
): Rejects {
  return new Rejects({ sealer, partitions, headers: { schema: 'reject.v1', gateway: instanceId } })
}
