/**
 * `npm run gateway`: the gateway on its own, its event log on Kafka. With GATEWAY_PROCESSES of 1 it
 * is this process; with more, this process is the parent of a pool and runs itself again as each
 * child. SIGTERM and SIGINT drain; SIGHUP replaces the processes of a pool one after another.
 */
import { parseArgs } from 'node:util'
import { claimPort } from '../shared/http/listen.ts'
import { systemClock as clock } from '../shared/runtime/clock.ts'
import { runMain } from '../shared/runtime/failure.ts'
import { noFailpoints } from '../shared/runtime/failpoints.ts'
import { StopStack } from '../shared/runtime/lifecycle.ts'
import { reportStart } from '../shared/runtime/process-telemetry.ts'
import { systemRandom as random } from '../shared/runtime/random.ts'
import { createTelemetryBase } from '../shared/runtime/telemetry.ts'
import { endOnSignals, openAdmin, readSettings, runAlone, type Settings } from './alone.ts'
import { servePool } from './pool/child.ts'
import { GatewayPool } from './pool/pool.ts'
import { createPoolTelemetry } from './pool/telemetry.ts'
import { GatewayService } from './service.ts'
import { addressRefused } from './start.ts'

const environment = process.env

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { child: { type: 'boolean' }, port: { type: 'string' } },
  })
  const settings = readSettings(environment)
  if (values.child === true) return await runChild(settings, Number(values.port))
  if (settings.config.processes === 1) return await runAlone(settings, noFailpoints)
  await runPool(settings)
}

async function runPool(settings: Settings): Promise<void> {
  const { config, backhaul } = settings
  const telemetry = createTelemetryBase(backhaul.logLevel)
  reportStart(telemetry, clock)
  const port = await claimPort(config, (code) => addressRefused(config, code))
  const pool = new GatewayPool({
    processes: config.processes,
    module: import.meta.filename,
    args: ['--child'],
    environment,
    port,
    drainGraceMs: config.drainGraceMs,
    registry: telemetry.registry,
    telemetry: createPoolTelemetry(telemetry),
    clock,
    random,
  })
  const stack = new StopStack()
  const admin = await openAdmin(settings, {
    unreadyCode: () => pool.unreadyCode,
    metrics: () => pool.metrics(),
  })
  stack.add('port for operators', () => admin.close())
  stack.add('pool', () => pool.stop())
  endOnSignals(settings, stack, telemetry.log)
  process.on('SIGHUP', () => void pool.restart())
  await pool.start()
}

async function runChild(settings: Settings, port: number): Promise<void> {
  const telemetry = createTelemetryBase(settings.backhaul.logLevel)
  const config = { ...settings.config, port }
  const service = new GatewayService({
    ...settings,
    config,
    telemetry,
    clock,
    random,
    failpoints: noFailpoints,
    sharesPort: true,
  })
  // A terminal signals the whole group: when to stop is the parent's to say.
  process.on('SIGINT', () => undefined)
  process.on('SIGHUP', () => undefined)
  servePool({
    channel: process,
    gateway: service,
    registry: telemetry.registry,
    clock,
    stopped: (error) => process.exit(error === undefined ? 0 : 1),
  })
  await service.start()
}

await runMain(main)
