/** Builds the gateway top to bottom and stops it in reverse. */
import type { TemplatedApp } from 'uWebSockets.js'
import type { TokenVerifier } from '../shared/auth/token-verifier.ts'
import type { Pseudonymiser } from '../shared/events/identity.ts'
import { DEFAULT_FRAME_LIMITS } from '../shared/events/limits.ts'
import type { CorsRules } from '../shared/http/cors.ts'
import { ADDRESS_IN_USE, httpUrl, listenOrExplain, type Listening } from '../shared/http/listen.ts'
import type { EventLog } from '../shared/log/event-log.ts'
import { logErrors } from '../shared/log/log-errors.ts'
import type { Sealer } from '../shared/log/reject-record.ts'
import { TOPICS } from '../shared/log/topics.ts'
import type { Clock } from '../shared/runtime/clock.ts'
import { BackhaulError } from '../shared/runtime/errors.ts'
import type { Failpoints } from '../shared/runtime/failpoints.ts'
import { StopStack, type Running } from '../shared/runtime/lifecycle.ts'
import type { Random } from '../shared/runtime/random.ts'
import type { TelemetryBase } from '../shared/runtime/telemetry.ts'
import { Admission } from './admission.ts'
import { assertAuthenticated, IngestKeys } from './auth.ts'
import { ByteBudget } from './byte-budget.ts'
import { ClientAddresses } from './client-address.ts'
import { Clients } from './clients.ts'
import { ClockSkew } from './clock-skew.ts'
import { extraTopics, type GatewayConfig } from './config.ts'
import type { ConnectionSettings } from './connection.ts'
import { Copies, type CopiesObserver } from './copies.ts'
import { drain } from './drain.ts'
import { createEnrichment } from './enrichment.ts'
import { gatewayErrors, type GatewayErrorCode } from './errors.ts'
import type { RequestContext } from './ingest-request.ts'
import { Intake } from './intake.ts'
import type { LaneObserver } from './lane.ts'
import { Lanes, type LanesOptions } from './lanes.ts'
import { createLedgers, type Ledgers } from './ledger.ts'
import { assertGatewayLimits, PREFLIGHT_MAX_AGE_SECONDS, SWEEP_MS } from './limits.ts'
import { Rejects } from './rejects.ts'
import { rateBoundsOf } from './rate-settings.ts'
import { Rates } from './rates.ts'
import { parseRoutes } from './routes.ts'
import { createServer } from './server.ts'
import { createGatewayTelemetry, type GatewayTelemetry } from './telemetry.ts'
import { UpgradeRate } from './upgrade-rate.ts'

export interface GatewayOptions {
  readonly config: GatewayConfig
  /** Its topics exist. */
  readonly log: EventLog
  readonly telemetry: TelemetryBase
  readonly clock: Clock
  readonly random: Random
  readonly verifier: TokenVerifier
  readonly pseudonymiser: Pseudonymiser
  readonly sealer: Sealer
  readonly failpoints: Failpoints
  /** Partitions of `playback.events`. */
  readonly partitions: number
  /** Keys accepted in `/cmcd/{ingestKey}`. */
  readonly ingestKeys?: readonly string[]
  /** One of several processes at one port: a drain leaves new clients to the others. */
  readonly sharesPort?: boolean
}

export interface RunningGateway extends Running {
  readonly url: string
  readonly port: number
  /** The books: received = accepted + rejected + refused + inFlight at every moment. */
  readonly ledgers: Ledgers
  /** Why no one should be sent here now; `undefined` when ready. */
  readonly unreadyCode: GatewayErrorCode | undefined
  /** Brings the metrics up to date, as `/metrics` does before it answers. */
  report(): void
  /** Takes nobody new from now on; those who are here stay until `stop`. */
  turnAway(): void
  /** Drains, then stops listening. */
  stop(): Promise<void>
}

/**
 * Throws `GATEWAY_AUTH_REQUIRED`, `GATEWAY_PORT_IN_USE`, `GATEWAY_ADDRESS_UNAVAILABLE`,
 * `LOG_TOPIC_MISMATCH`, or what the log throws when a topic is missing.
 */
export async function startGateway(options: GatewayOptions): Promise<RunningGateway> {
  assertGatewayLimits()
  assertAuthenticated(options.config.host, options.verifier)
  const partitions = await partitionsOf(options)
  const stack = new StopStack()
  try {
    return await startParts(options, partitions, stack)
  } catch (error) {
    await stack.stop()
    throw error
  }
}

async function startParts(
  options: GatewayOptions,
  partitions: TopicPartitions,
  stack: StopStack,
): Promise<RunningGateway> {
  const { config, clock, random } = options
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
  const { connectionsMax, requestsMax } = config
  const admission = new Admission({ connectionsMax, requestsMax, budget, lanes, skew })
  const enrichment = openEnrichment(options, instanceId)
  const rejects = openRejects(options, partitions, instanceId)
  const intake = new Intake({ lanes, rejects, enrichment, budget, ledgers, clock })
  const { rates, addresses } = openRates(options)
  const clients = new Clients()
  const report = () =>
    telemetry.report({
      ledgers,
      lanes,
      contexts: enrichment.contexts.cacheSize,
      allowances: rates.remembered,
      connections: admission.connections,
      requests: admission.requests,
      inFlightBytes: budget.usedBytes,
      copyBytes: copies.usedBytes,
      clockSkewMs: skew.skewMs,
      ready: admission.unreadyCode === undefined,
    })
  const parts = { admission, intake, enrichment, rates, addresses, telemetry, clients, report }
  stack.add('sweep', startSweep(options, { lanes, copies, ...parts }))
  const server = createServer(serverOptions(options, parts))
  stack.add('server', () => void server.close())
  const listening = await listen(options, server)
  stack.add('listener', () => listening.close())
  const { drainDelayMs: delayMs, drainSpreadMs: spreadMs, drainGraceMs: graceMs } = config
  const queues = [lanes, copies]
  const timing = { clock, random, delayMs, spreadMs, graceMs }
  stack.add('clients', () => drain({ clients, admission, telemetry, queues, ...timing }))
  // Alone, it goes on answering 503 to the end; among others, the kernel sends no one here any more.
  if (options.sharesPort === true) stack.add('shared listener', () => listening.close())
  const url = httpUrl(config.host, listening.port)
  telemetry.listening(url, instanceId)
  return {
    url,
    port: listening.port,
    ledgers,
    get unreadyCode() {
      return admission.unreadyCode
    },
    report,
    turnAway: () => admission.drain(),
    stop: () => stack.stop(),
  }
}

function listen(options: GatewayOptions, server: TemplatedApp): Promise<Listening> {
  const { config, sharesPort: isShared = false } = options
  const { host, port } = config
  return listenOrExplain(server, { host, port, isShared }, (code) => addressRefused(config, code))
}

export function addressRefused({ host, port }: GatewayConfig, systemCode: string): BackhaulError {
  if (systemCode === ADDRESS_IN_USE)
    return gatewayErrors.create('GATEWAY_PORT_IN_USE', {
      expected: 'GATEWAY_HOST and GATEWAY_PORT to name a free address',
      received: `${host} and ${port}`,
    })
  return gatewayErrors.create('GATEWAY_ADDRESS_UNAVAILABLE', {
    expected: 'GATEWAY_HOST and GATEWAY_PORT to name an address of this machine',
    received: `${host} and ${port}, of which the system says ${systemCode}`,
  })
}

function openEnrichment({ config, pseudonymiser }: GatewayOptions, instanceId: string) {
  const cacheEntriesMax = config.contextCacheEntriesMax
  return createEnrichment({ pseudonymiser, cacheEntriesMax, instanceId })
}

function openRejects(
  { sealer }: GatewayOptions,
  { rejects: partitions }: TopicPartitions,
  instanceId: string,
): Rejects {
  return new Rejects({ sealer, partitions, headers: { schema: 'reject.v1', gateway: instanceId } })
}

function openRates({ config, clock, random }: GatewayOptions) {
  const { rateEntriesMax: entriesMax, trustedHops: hops, trustedNetworks: networks } = config
  return {
    rates: new Rates({ bounds: rateBoundsOf(config), entriesMax, clock, random }),
    addresses: new ClientAddresses({ hops, networks }),
  }
}

interface TopicPartitions {
  readonly rejects: number
  /** Of each topic that a route leads to. */
  readonly routed: ReadonlyMap<string, number>
}

/** Those of the events topic must be the configured ones. */
async function partitionsOf({ log, config, partitions }: GatewayOptions): Promise<TopicPartitions> {
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
  { config, log, clock, random, failpoints, partitions }: GatewayOptions,
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
  { config, log, clock, random, failpoints }: GatewayOptions,
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

interface Parts {
  readonly admission: Admission
  readonly intake: Intake
  readonly enrichment: RequestContext['enrichment']
  readonly rates: Rates
  readonly addresses: ClientAddresses
  readonly telemetry: GatewayTelemetry
  readonly clients: Clients
  report(): void
}

/** Everything that happens by time; returns what ends it. */
function startSweep(
  { clock }: GatewayOptions,
  parts: Parts & { readonly lanes: Lanes; readonly copies: Copies },
) {
  const { lanes, copies, clients, admission, telemetry, report } = parts
  let unreadyCode: string | undefined = undefined
  return clock.every(SWEEP_MS, () => {
    lanes.expire()
    copies.expire()
    clients.sweep()
    if (admission.unreadyCode !== unreadyCode) {
      unreadyCode = admission.unreadyCode
      telemetry.readinessChanged(unreadyCode)
    }
    report()
  })
}

function serverOptions(options: GatewayOptions, parts: Parts) {
  const { config, clock, random, verifier, failpoints, ingestKeys = [] } = options
  const { admission, intake, rates, telemetry, clients } = parts
  const { trustedCountryHeader, bodyTimeoutMs, slowRetryMs, frameMaxBytes } = config
  const cors: CorsRules = {
    origins: config.allowedOrigins,
    methods: ['POST', 'OPTIONS'],
    headers: ['content-type', 'authorization', 'traceparent'],
    maxAgeSeconds: PREFLIGHT_MAX_AGE_SECONDS,
  }
  const timing = { trustedCountryHeader, bodyTimeoutMs, slowRetryMs }
  const context: RequestContext = { ...parts, ...timing, clock, random, cors }
  const settings = connectionSettings(config)
  const upgradeRate = new UpgradeRate(
    { perSecond: config.upgradesPerSecondMax, burst: config.upgradesBurstMax },
    clock,
    random,
  )
  const { frameLimits } = settings
  return {
    clients,
    admission,
    cors,
    registry: options.telemetry.registry,
    report: parts.report,
    connections: {
      settings,
      intake,
      rates,
      clock,
      random,
      telemetry,
      failpoints,
      grantsCredit: () => admission.grantsCredit,
      scheduleFlush: (connection: Parameters<Clients['scheduleFlush']>[0]) =>
        clients.scheduleFlush(connection),
    },
    upgrades: { ...parts, ...timing, verifier, cors, random, upgradeRate },
    httpEvents: { context, verifier, frameLimits, frameMaxBytes },
    cmcd: {
      context,
      bodyMaxBytes: config.cmcdBodyMaxBytes,
      ingestKeys: new IngestKeys({
        keys: ingestKeys,
        offKeys: config.cmcdOffKeys,
        required: verifier.required,
      }),
    },
  }
}

function connectionSettings(config: GatewayConfig): ConnectionSettings {
  return {
    ...config,
    frameLimits: { ...DEFAULT_FRAME_LIMITS, eventsMax: config.frameEventsMax },
    credit: { frames: config.creditFrames, bytes: config.creditBytes },
  }
}
