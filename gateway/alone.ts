/**
 * A gateway that is a process by itself: its settings, its service, its port for operators, and its
 * end on SIGTERM or SIGINT.
 */
import { readFileSync } from 'node:fs'
import { kafkaConfig } from '../shared/log/kafka-config.ts'
import { systemClock as clock } from '../shared/runtime/clock.ts'
import { readConfig, refuseUnknownSettings } from '../shared/runtime/config.ts'
import type { Failpoints } from '../shared/runtime/failpoints.ts'
import { StopStack } from '../shared/runtime/lifecycle.ts'
import { reportStart } from '../shared/runtime/process-telemetry.ts'
import { systemRandom as random } from '../shared/runtime/random.ts'
import { backhaulConfig } from '../shared/runtime/settings.ts'
import { stopOnSignals } from '../shared/runtime/stop-signals.ts'
import { createTelemetryBase } from '../shared/runtime/telemetry.ts'
import { startAdmin } from './admin.ts'
import { gatewayConfig } from './config.ts'
import { POOL_STOP_MARGIN_MS } from './limits.ts'
import { GatewayService, type ServiceOptions } from './service.ts'

export type Settings = Pick<ServiceOptions, 'backhaul' | 'config' | 'kafka'>

const readFile = (path: string) => readFileSync(path, 'utf8')

export function readSettings(environment: NodeJS.ProcessEnv): Settings {
  refuseUnknownSettings([backhaulConfig, gatewayConfig, kafkaConfig], environment)
  return {
    backhaul: readConfig(backhaulConfig, environment, readFile),
    config: readConfig(gatewayConfig, environment, readFile),
    kafka: readConfig(kafkaConfig, environment, readFile),
  }
}

export async function runAlone(settings: Settings, failpoints: Failpoints): Promise<void> {
  const telemetry = createTelemetryBase(settings.backhaul.logLevel)
  reportStart(telemetry, clock)
  const parts = { ...settings, telemetry, clock, random, failpoints }
  const service = new GatewayService({ ...parts, sharesPort: false })
  const stack = new StopStack()
  const admin = await openAdmin(settings, {
    unreadyCode: () => service.unreadyCode,
    metrics: () => {
      service.report()
      return telemetry.registry.metrics()
    },
  })
  stack.add('port for operators', () => admin.close())
  stack.add('gateway', () => service.stop())
  endOnSignals(settings, stack, telemetry.log)
  await service.start()
}

export function openAdmin(
  { config }: Settings,
  answers: Pick<Parameters<typeof startAdmin>[0], 'unreadyCode' | 'metrics'>,
) {
  return startAdmin({ config, ...answers })
}

/** Every process may take its whole grace, one after another. */
export function endOnSignals(
  { config }: Settings,
  stack: StopStack,
  log: ReturnType<typeof createTelemetryBase>['log'],
): void {
  stopOnSignals(stack, {
    clock,
    deadlineMs: config.processes * (config.drainGraceMs + 2 * POOL_STOP_MARGIN_MS),
    announce: (signal) => log.info({ signal }, 'stopping'),
    stopped: () => log.info('stopped'),
    failed: (error) => log.error({ err: error }, 'not stopped cleanly'),
  })
}
