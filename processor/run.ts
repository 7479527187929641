/** A processor's process from its settings to its end: what every `main.ts` of one does. */
import { readFileSync } from 'node:fs'
import { kafkaConfig } from '../shared/log/kafka-config.ts'
import { readObjectStoreSettings } from '../shared/objects/open-object-store.ts'
import { parseCut } from '../shared/qoe/cuts.ts'
import { systemClock as clock } from '../shared/runtime/clock.ts'
import { readConfig, refuseUnknownSettings, type ConfigSpec } from '../shared/runtime/config.ts'
import { runMain } from '../shared/runtime/failure.ts'
import type { Failpoints } from '../shared/runtime/failpoints.ts'
import { reportStart } from '../shared/runtime/process-telemetry.ts'
import { systemRandom as random } from '../shared/runtime/random.ts'
import { backhaulConfig } from '../shared/runtime/settings.ts'
import { stopOnSignals } from '../shared/runtime/stop-signals.ts'
import { createTelemetryBase } from '../shared/runtime/telemetry.ts'
import { cassandraConfig } from '../shared/speed/cassandra-config.ts'
import { alertsConfig, processorConfig, readAlertSettings, speedStoreConfig } from './config.ts'
import { STOP_MARGIN_MS } from './limits.ts'
import { ProcessorService } from './service.ts'

const KNOWN: readonly ConfigSpec[] = [
  backhaulConfig,
  processorConfig,
  speedStoreConfig,
  alertsConfig,
  kafkaConfig,
]

/** Rows of many sessions go over a network: they are written less often than into a folder. */
const OWN_DEFAULTS = { PROCESSOR_SESSION_ROW_INTERVAL_MS: '30000' }

type Environment = Readonly<Record<string, string | undefined>>

/** Runs until a signal ends it; what keeps it from starting is one line, and exit 1. */
export async function runProcessor(
  environment: Environment,
  failpoints: Failpoints,
): Promise<void> {
  await runMain(() => start(environment, failpoints))
}

async function start(environment: Environment, failpoints: Failpoints): Promise<void> {
  const settings = readSettings(environment)
  const { backhaul, config } = settings
  const telemetry = createTelemetryBase(backhaul.logLevel)
  reportStart(telemetry, clock)
  const service = new ProcessorService({ ...settings, telemetry, clock, random, failpoints })
  const { log } = telemetry
  stopOnSignals(service, {
    clock,
    deadlineMs: config.stopGraceMs + STOP_MARGIN_MS,
    announce: (signal) => log.info({ signal }, 'stopping'),
    stopped: () => log.info('stopped'),
    failed: (error) => log.error({ err: error }, 'not stopped cleanly'),
  })
  await service.start()
}

/** Those of Cassandra are read, and what is wrong with them said, only where rows go there; so with GCS. */
function readSettings(environment: Environment) {
  const readFile = (path: string) => readFileSync(path, 'utf8')
  const { speedStore } = readConfig(speedStoreConfig, environment, readFile)
  const usesCassandra = speedStore === 'cassandra'
  const { gcs, specs } = readObjectStoreSettings(environment, readFile)
  const known = [...KNOWN, ...specs, ...(usesCassandra ? [cassandraConfig] : [])]
  refuseUnknownSettings(known, environment)
  const backhaul = readConfig(backhaulConfig, environment, readFile)
  return {
    backhaul,
    config: readConfig(processorConfig, { ...OWN_DEFAULTS, ...environment }, readFile),
    kafka: readConfig(kafkaConfig, environment, readFile),
    cassandra: usesCassandra ? readConfig(cassandraConfig, environment, readFile) : undefined,
    gcs,
    alerts: readAlertSettings(environment, backhaul.cuts.map(parseCut), readFile),
  }
}
