/**
 * All roles in one process on embedded stores, and the batch in a child of its own, so that a run
 * takes neither time nor memory of those who take events. Built top to bottom, stopped in reverse:
 * players are drained first, then the processor writes what it holds, then the stores close.
 */
import { readFileSync } from 'node:fs'
import { batchConfig } from '../batch/config.ts'
import { extraTopics, gatewayConfig, relayConfig } from '../gateway/config.ts'
import { startGateway } from '../gateway/start.ts'
import {
  alertsConfig,
  foldLimitsOf,
  processorConfig,
  readAlertSettings,
} from '../processor/config.ts'
import { startProcessor } from '../processor/start.ts'
import { servingConfig } from '../serving/config.ts'
import { startServing } from '../serving/start.ts'
import { createTokenVerifier } from '../shared/auth/token-verifier.ts'
import { contentSourceOf } from '../shared/content/content-source.ts'
import { createPseudonymiser, parseKeyring } from '../shared/events/identity.ts'
import { openLmdbEventLog } from '../shared/log/lmdb-event-log.ts'
import { createSealer } from '../shared/log/reject-record.ts'
import { topicSpecs } from '../shared/log/topics.ts'
import { createErasureReader } from '../shared/objects/erasures.ts'
import type { GcsConfig } from '../shared/objects/gcs-config.ts'
import { openObjectStore, readObjectStoreSettings } from '../shared/objects/open-object-store.ts'
import { parseCut } from '../shared/qoe/cuts.ts'
import type { Clock } from '../shared/runtime/clock.ts'
import { readConfig, refuseUnknownSettings, type ConfigSpec } from '../shared/runtime/config.ts'
import { noFailpoints } from '../shared/runtime/failpoints.ts'
import { StopStack } from '../shared/runtime/lifecycle.ts'
import { reportStart } from '../shared/runtime/process-telemetry.ts'
import type { Random } from '../shared/runtime/random.ts'
import {
  backhaulConfig,
  checkEmbeddedLogBudget,
  type BackhaulConfig,
} from '../shared/runtime/settings.ts'
import { createTelemetryBase, type TelemetryBase } from '../shared/runtime/telemetry.ts'
import { openLmdbSpeedStore } from '../shared/speed/lmdb-speed-store.ts'
import { readServedView } from '../shared/views/active-view.ts'
import { readWarehouseSettings } from '../shared/warehouse/open-warehouse.ts'
import { BatchClient } from './batch-client.ts'
import { scheduleConfig } from './config.ts'
import { holdDataFolder, type DataFolder } from './data-folder.ts'
import { createStandaloneTelemetry } from './telemetry.ts'

export interface StandaloneOptions {
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly clock: Clock
  readonly random: Random
}

export interface RunningStandalone {
  readonly gatewayUrl: string
  readonly servingUrl: string
  readonly dataDir: string
  stop(): Promise<void>
}

/** Every setting that a standalone process reads, but for those of the object store and the warehouse. */
export const standaloneConfigs: readonly ConfigSpec[] = [
  backhaulConfig,
  gatewayConfig,
  relayConfig,
  processorConfig,
  alertsConfig,
  servingConfig,
  batchConfig,
  scheduleConfig,
]

/** Starts everything; throws a `BackhaulError` of one line, with what was started stopped again. */
export async function startStandalone(options: StandaloneOptions): Promise<RunningStandalone> {
  const stack = new StopStack()
  try {
    return await startAll(options, stack)
  } catch (error) {
    await stack.stop()
    throw error
  }
}

async function startAll(
  { environment, clock, random }: StandaloneOptions,
  stack: StopStack,
): Promise<RunningStandalone> {
  const settings = readSettings(environment)
  const { config, cuts, alerts, gatewaySettings, relaySettings } = settings
  const { processorSettings, servingSettings } = settings
  const telemetry = createTelemetryBase(config.logLevel)
  reportStart(telemetry, clock)

  const folder = await holdDataFolder(config.dataDir)
  stack.add('data folder', () => folder.release())
  const parts = { config, gcs: settings.gcs, folder, clock, random, telemetry }
  const stores = await openStores(parts, stack)

  await stores.log.ensureTopics(topicSpecs(config, extraTopics(gatewaySettings)))
  const { pseudonymiser, sealer } = openKeys(config, folder)
  const verifier = verifierOf(config, clock)
  const batch = new BatchClient({
    environment,
    clock,
    telemetry: createStandaloneTelemetry(telemetry),
  })
  stack.add('batch', () => batch.stop())
  const common = { ...stores, telemetry, clock, random, partitions: config.partitions }

  const processor = await startProcessor({
    ...common,
    config: processorSettings,
    failpoints: noFailpoints,
    sealer,
    cuts,
    alerts,
  })
  stack.add('processor', () => processor.stop())
  const source = contentSourceOf(config, stores.log)
  const serving = await startServing({
    ...common,
    config: servingSettings,
    verifier,
    cuts,
    view: processor.view,
    foldLimits: foldLimitsOf(processorSettings),
    activeView: () => readServedView(stores.objects),
    batch: {
      warehouse: batch,
      activity: () => batch.activity,
      onRun: (listener) => batch.onRun(listener),
    },
    ...(source === undefined ? {} : { content: { source, refreshMs: config.contentRefreshMs } }),
    erasures: createErasureReader(stores.objects, clock),
    moreMetrics: () => batch.metrics(),
  })
  stack.add('serving', () => serving.stop())
  const gateway = await startGateway({
    ...common,
    config: gatewaySettings,
    verifier,
    pseudonymiser,
    sealer,
    failpoints: noFailpoints,
    ingestKeys: config.authIngestKeys,
    relay: { config: relaySettings, spoolFolder: folder.relaySpoolFolder, objects: stores.objects },
  })
  stack.add('gateway', () => gateway.stop())
  // The log and its topics are there, and nobody waits for it.
  batch.start()

  return {
    gatewayUrl: gateway.url,
    servingUrl: serving.url,
    dataDir: folder.path,
    stop: () => stack.stop(),
  }
}

function readSettings(environment: StandaloneOptions['environment']) {
  const readFile = (path: string) => readFileSync(path, 'utf8')
  const { gcs, specs } = readObjectStoreSettings(environment, readFile)
  const { specs: ofWarehouse } = readWarehouseSettings(environment, readFile, gcs)
  refuseUnknownSettings([...standaloneConfigs, ...specs, ...ofWarehouse], environment)
  // The process of the batch reads these; what is wrong with them is said here, at once.
  readConfig(batchConfig, environment, readFile)
  readConfig(scheduleConfig, environment, readFile)
  const config = readConfig(backhaulConfig, environment, readFile)
  checkEmbeddedLogBudget(config)
  const cuts = config.cuts.map(parseCut)
  return {
    config,
    gcs,
    cuts,
    alerts: readAlertSettings(environment, cuts, readFile),
    gatewaySettings: readConfig(gatewayConfig, environment, readFile),
    relaySettings: readConfig(relayConfig, environment, readFile),
    processorSettings: readConfig(processorConfig, environment, readFile),
    servingSettings: readConfig(servingConfig, environment, readFile),
  }
}

function verifierOf(config: BackhaulConfig, clock: Clock) {
  const { authMode: mode, authSecret: secret, authJwksUrl: jwksUrl } = config
  const { authIssuer: issuer, authAudience: audience } = config
  return createTokenVerifier({ mode, secret, jwksUrl, issuer, audience }, clock)
}

interface StoreParts {
  readonly config: BackhaulConfig
  readonly gcs: GcsConfig | undefined
  readonly folder: DataFolder
  readonly clock: Clock
  readonly random: Random
  readonly telemetry: TelemetryBase
}

async function openStores(parts: StoreParts, stack: StopStack) {
  const { config, gcs, folder, clock, random, telemetry } = parts
  const log = await openLmdbEventLog({
    folder: folder.logFolder,
    mapBytes: config.logMapBytes,
    clock,
    failpoints: noFailpoints,
    telemetry,
  })
  stack.add('event log', () => log.close())
  const speed = await openLmdbSpeedStore({
    folder: folder.speedFolder,
    mapBytes: config.speedMapBytes,
    clock,
    telemetry,
  })
  stack.add('speed store', () => speed.close())
  const objects = await openObjectStore({
    gcs,
    folder: folder.objectsFolder,
    clock,
    random,
    telemetry,
  })
  stack.add('object store', () => objects.close())
  return { log, speed, objects }
}

function openKeys(config: BackhaulConfig, folder: DataFolder) {
  const keyring =
    config.pseudonymKeys === '' ? `local:${folder.secret('pseudonym-key')}` : config.pseudonymKeys
  const sealKey = config.sealKey === '' ? folder.secret('seal-key') : config.sealKey
  return {
    pseudonymiser: createPseudonymiser(parseKeyring(keyring)),
    sealer: createSealer(Buffer.from(sealKey, 'base64')),
  }
}
