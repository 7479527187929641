/** Builds the gateway top to bottom and stops it in reverse. */
import type { TemplatedApp } from 'uWebSockets.js'
import type { TokenVerifier } from '../shared/auth/token-verifier.ts'
import { DEFAULT_FRAME_LIMITS } from '../shared/events/limits.ts'
import type { CorsRules } from '../shared/http/cors.ts'
import { createListenerApp, isTlsListener } from '../shared/http/listener-tls.ts'
import { ADDRESS_IN_USE, httpUrl, listenOrExplain, type Listening } from '../shared/http/listen.ts'
import type { BackhaulError } from '../shared/runtime/errors.ts'
import { StopStack, type Running } from '../shared/runtime/lifecycle.ts'
import { Admission } from './admission.ts'
import { assertAuthenticated, IngestKeys } from './auth.ts'
import { ClientAddresses } from './client-address.ts'
import { Clients } from './clients.ts'
import type { GatewayConfig } from './config.ts'
import type { ConnectionSettings } from './connection.ts'
import { drain } from './drain.ts'
import { gatewayErrors, type GatewayErrorCode } from './errors.ts'
import { openIngest, type Ingest, type IngestOptions } from './ingest.ts'
import type { RequestContext } from './ingest-request.ts'
import type { Intake } from './intake.ts'
import type { Ledgers } from './ledger.ts'
import { assertGatewayLimits, PREFLIGHT_MAX_AGE_SECONDS, SWEEP_MS } from './limits.ts'
import { rateBoundsOf } from './rate-settings.ts'
import { Rates } from './rates.ts'
import { startRelay, type RelayOptions } from './relay/start.ts'
import { addRoutes } from './server.ts'
import type { GatewayTelemetry } from './telemetry.ts'
import { UpgradeRate } from './upgrade-rate.ts'

export interface GatewayOptions extends IngestOptions {
  readonly verifier: TokenVerifier
  /** Keys accepted in `/cmcd/{ingestKey}`. */
  readonly ingestKeys?: readonly string[]
  /** One of several processes at one port: a drain leaves new clients to the others. */
  readonly sharesPort?: boolean
  /** Feeds that are pulled as well; none without a path of their file. */
  readonly relay?: Pick<RelayOptions, 'config' | 'objects' | 'spoolFolder'>
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
 * `LOG_TOPIC_MISMATCH`, `CONFIG_INVALID` for files of TLS, or what the log throws when a topic is missing.
 */
export async function startGateway(options: GatewayOptions): Promise<RunningGateway> {
  assertGatewayLimits()
  assertAuthenticated(options.config.host, options.verifier)
  const stack = new StopStack()
  try {
    return await startParts(options, stack)
  } catch (error) {
    await stack.stop()
    throw error
  }
}

async function startParts(options: GatewayOptions, stack: StopStack): Promise<RunningGateway> {
  const { config, clock, random } = options
  const ingest = await openIngest(options, stack)
  const { telemetry, ledgers, budget, skew, copies, lanes, enrichment, intake } = ingest
  const { connectionsMax, requestsMax } = config
  const admission = new Admission({ connectionsMax, requestsMax, budget, lanes, skew })
  const { rates, addresses } = openRates(options)
  const clients = new Clients()
  const report = () =>
    telemetry.report({
      ...ingest.standing,
      allowances: rates.remembered,
      connections: admission.connections,
      requests: admission.requests,
      ready: admission.unreadyCode === undefined,
    })
  const parts = { admission, intake, enrichment, rates, addresses, telemetry, clients, report }
  stack.add('sweep', startSweep(options, { ingest, ...parts }))
  const server = createListenerApp('GATEWAY', config)
  addRoutes(server, serverOptions(options, parts))
  stack.add('server', () => void server.close())
  const listening = await listen(options, server)
  stack.add('listener', () => listening.close())
  const { drainDelayMs: delayMs, drainSpreadMs: spreadMs, drainGraceMs: graceMs } = config
  const queues = [lanes, copies]
  const timing = { clock, random, delayMs, spreadMs, graceMs }
  stack.add('clients', () => drain({ clients, admission, telemetry, queues, ...timing }))
  // Alone, it goes on answering 503 to the end; among others, the kernel sends no one here any more.
  if (options.sharesPort === true) stack.add('shared listener', () => listening.close())
  if (options.relay !== undefined && options.relay.config.feedsPath !== '') {
    const relay = await startRelay({ ...options, ...options.relay, ingest })
    stack.add('relay', () => relay.stop())
  }
  const url = httpUrl(config.host, listening.port, isTlsListener(config))
  telemetry.listening(url, ingest.instanceId)
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

function openRates({ config, clock, random }: GatewayOptions) {
  const { rateEntriesMax: entriesMax, trustedHops: hops, trustedNetworks: networks } = config
  return {
    rates: new Rates({ bounds: rateBoundsOf(config), entriesMax, clock, random }),
    addresses: new ClientAddresses({ hops, networks }),
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
function startSweep({ clock }: GatewayOptions, parts: Parts & { readonly ingest: Ingest }) {
  const { ingest, clients, admission, telemetry, report } = parts
  let unreadyCode: string | undefined = undefined
  return clock.every(SWEEP_MS, () => {
    ingest.expire()
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
