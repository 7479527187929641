/** The gateway that a load is put on: `gateway/main.ts` as in production, its log on a local Kafka. */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { freePorts } from '../../scripts/services/ports.ts'
import { systemClock } from '../../shared/runtime/clock.ts'
import { VARIANTS } from '../variants/variants.ts'
import type { LoadCommand } from './command-line.ts'

export interface GatewayUnderLoad {
  /** Of `/v1/events` as a WebSocket. */
  readonly url: string
  readonly pid: number
  /** Where its inspector listens, when it was started with one. */
  readonly inspectorUrl: string | undefined
  /** SIGTERM, and its end. */
  stop(): Promise<void>
}

const MAIN = join(import.meta.dirname, '..', '..', 'gateway', 'main.ts')
const READY_DEADLINE_MS = 60_000
const STOP_DEADLINE_MS = 30_000
const POLL_MS = 100
const INSPECTOR_LINE = /Debugger listening on (ws:\S+)/
const INSPECTOR_SAYS = /^(Debugger|For help).*\n/gm
const OUTPUT_KEPT_CHARS = 10_000
/** Keys of nobody: a load has no viewers to protect. */
const KEY = Buffer.alloc(32, 7).toString('base64')

export async function startGatewayUnderLoad(
  { partitions, processes, kafkaClient, variant, options }: LoadCommand,
  brokers: readonly string[],
  nodeOptions: readonly string[] = [],
): Promise<GatewayUnderLoad> {
  const [port = 0, adminPort = 0] = await freePorts(2)
  // What is measured is the gateway, not its limits on a single client or on reconnecting ones.
  const settings = {
    BACKHAUL_LOG_LEVEL: 'warn',
    BACKHAUL_PARTITIONS: `${partitions}`,
    BACKHAUL_PSEUDONYM_KEYS: `load:${KEY}`,
    BACKHAUL_SEAL_KEY: KEY,
    KAFKA_BROKERS: brokers.join(','),
    KAFKA_CLIENT: kafkaClient,
    KAFKA_REPLICATION_FACTOR: '1',
    KAFKA_MIN_INSYNC_REPLICAS: '1',
    GATEWAY_PORT: `${port}`,
    GATEWAY_ADMIN_PORT: `${adminPort}`,
    GATEWAY_PROCESSES: `${processes}`,
    GATEWAY_CONNECTIONS_MAX: `${Math.max(20_000, options.connections)}`,
    GATEWAY_FRAMES_PER_SECOND_MAX: '100000',
    GATEWAY_FRAMES_BURST_MAX: '200000',
    GATEWAY_CONNECTION_EVENTS_PER_SECOND_MAX: '0',
    GATEWAY_CONNECTION_BYTES_PER_SECOND_MAX: '0',
    GATEWAY_UPGRADES_PER_SECOND_MAX: '10000',
    GATEWAY_UPGRADES_BURST_MAX: '20000',
  }
  const child = spawn(process.execPath, [...VARIANTS[variant], ...nodeOptions, MAIN], {
    env: { PATH: process.env['PATH'], ...settings },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  const keep = (chunk: Buffer) => (output = (output + chunk.toString()).slice(-OUTPUT_KEPT_CHARS))
  child.stdout.on('data', keep)
  child.stderr.on('data', keep)
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve))
  const end = () => child.kill('SIGKILL')
  process.once('exit', end)
  await untilReady(`http://127.0.0.1:${adminPort}/readyz`, () => {
    if (child.exitCode !== null || child.pid === undefined)
      throw new Error(`the gateway did not start:\n${output}`)
  })
  return {
    url: `ws://127.0.0.1:${port}/v1/events`,
    pid: child.pid ?? 0,
    inspectorUrl: INSPECTOR_LINE.exec(output)?.[1],
    async stop() {
      const cancel = systemClock.after(STOP_DEADLINE_MS, end)
      child.kill('SIGTERM')
      await ended
      cancel()
      process.removeListener('exit', end)
      const said = output.replaceAll(INSPECTOR_SAYS, '')
      if (said !== '') console.log(`the gateway said:\n${said}`)
    },
  }
}

async function untilReady(url: string, check: () => void): Promise<void> {
  const deadlineMs = systemClock.monotonicMs() + READY_DEADLINE_MS
  for (;;) {
    check()
    const ready = await fetch(url).then(
      ({ ok }) => ok,
      () => false,
    )
    if (ready) return
    if (systemClock.monotonicMs() > deadlineMs) throw new Error('the gateway was not ready in time')
    await systemClock.sleep(POLL_MS)
  }
}
