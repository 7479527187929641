/**
 * `npm run relay`: pulls the upstream feeds of RELAY_FEEDS_PATH into the event log on Kafka. Any number
 * run beside one another; each connection of a feed is owned by one of them. SIGTERM and SIGINT hand
 * the connections over.
 */
import { readFileSync } from 'node:fs'
import { startAdminServer } from '../../shared/http/admin-server.ts'
import { jsonAnswer, problemAnswer } from '../../shared/http/problem.ts'
import { kafkaConfig } from '../../shared/log/kafka-config.ts'
import { readObjectStoreSettings } from '../../shared/objects/open-object-store.ts'
import { systemClock as clock } from '../../shared/runtime/clock.ts'
import { readConfig, refuseUnknownSettings } from '../../shared/runtime/config.ts'
import { runMain } from '../../shared/runtime/failure.ts'
import { StopStack } from '../../shared/runtime/lifecycle.ts'
import { reportStart } from '../../shared/runtime/process-telemetry.ts'
import { systemRandom as random } from '../../shared/runtime/random.ts'
import { backhaulConfig } from '../../shared/runtime/settings.ts'
import { stopOnSignals } from '../../shared/runtime/stop-signals.ts'
import { createTelemetryBase } from '../../shared/runtime/telemetry.ts'
import { gatewayConfig } from '../config.ts'
import { relayConfig, type RelayConfig } from './config.ts'
import { relayErrors } from './errors.ts'
import { STOP_MARGIN_MS } from './limits.ts'
import { RelayService } from './service.ts'

const environment = process.env

async function main(): Promise<void> {
  const readFile = (path: string) => readFileSync(path, 'utf8')
  const { gcs, specs } = readObjectStoreSettings(environment, readFile)
  const known = [backhaulConfig, gatewayConfig, relayConfig, kafkaConfig, ...specs]
  refuseUnknownSettings(known, environment)
  const backhaul = readConfig(backhaulConfig, environment, readFile)
  const gateway = readConfig(gatewayConfig, environment, readFile)
  const config = readConfig(relayConfig, environment, readFile)
  const kafka = readConfig(kafkaConfig, environment, readFile)
  const telemetry = createTelemetryBase(backhaul.logLevel)
  reportStart(telemetry, clock)
  const settings = { backhaul, gateway, config, kafka, gcs }
  const service = new RelayService({ ...settings, telemetry, clock, random })
  const stack = new StopStack()
  const admin = await openAdmin(config, service, telemetry)
  stack.add('port for operators', () => admin.close())
  stack.add('relay', () => service.stop())
  const { log } = telemetry
  stopOnSignals(stack, {
    clock,
    deadlineMs: gateway.appendDeadlineMs + STOP_MARGIN_MS,
    announce: (signal) => log.info({ signal }, 'stopping'),
    stopped: () => log.info('stopped'),
    failed: (error) => log.error({ err: error }, 'not stopped cleanly'),
  })
  await service.start()
}

function openAdmin(
  config: RelayConfig,
  service: RelayService,
  { registry }: ReturnType<typeof createTelemetryBase>,
) {
  return startAdminServer({
    rolePrefix: 'RELAY',
    config,
    readiness() {
      const { unreadyCode } = service
      if (unreadyCode === undefined) return jsonAnswer(200, { status: 'ready' })
      return problemAnswer(relayErrors.create(unreadyCode))
    },
    metrics() {
      service.report()
      return registry.metrics()
    },
    errors: {
      pathUnknown: () => relayErrors.create('RELAY_PATH_UNKNOWN'),
      internal: () => relayErrors.create('RELAY_INTERNAL'),
      unavailable: (systemCode) =>
        relayErrors.create('RELAY_ADMIN_PORT_UNAVAILABLE', {
          expected: 'RELAY_ADMIN_HOST and RELAY_ADMIN_PORT to name a free address',
          received: `${config.adminHost} and ${config.adminPort}, of which the system says ${systemCode}`,
        }),
    },
  })
}

await runMain(main)
