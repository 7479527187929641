/**
 * `npm run loadtest -- steady --eps 200000 --minutes 2`: starts Kafka and the gateway, loads them by
 * k6, counts what is in Kafka by an independent reader, prints one table, and keeps JSON and a chart
 * in `loadtest/results/`. Exits 1 unless thresholds held and sent = acknowledged = in Kafka.
 */
import { prepareK6 } from '../scripts/services/k6.ts'
import { startKafka, type Kafka } from '../scripts/services/kafka.ts'
import { TOPICS } from '../shared/log/topics.ts'
import { systemClock } from '../shared/runtime/clock.ts'
import { systemRandom } from '../shared/runtime/random.ts'
import type { GatewayOnKafka } from './gateway-on-kafka.ts'
import type { LoadSettings } from './k6/settings.ts'
import { parseLoadCommand, type LoadCommand } from './load/command-line.ts'
import { startGatewayUnderLoad } from './load/gateway-under-load.ts'
import { runK6 } from './load/k6-process.ts'
import { countEvents } from './load/log-count.ts'
import { usageOf } from './load/process-usage.ts'
import { isComplete, keepReport, reportTable, type MeasuredSecond } from './load/report.ts'

/** A session sends a frame this often at the full rate. */
const FRAME_SPAN_MS = 10_000
const FRAMES_PER_SESSION = 12
/** With one event a frame, sessions that send every 10 s would be more than any audience. */
const PLACES_MAX = 40_000
const WARM_UP_MS = 15_000
/** Time for what is still on its way after the last frame fell due. */
const TAIL_SECONDS = 60

async function main(): Promise<boolean> {
  const command = parseLoadCommand(process.argv.slice(2))
  const k6 = prepareK6()
  console.log(`loadtest: starting Kafka and ${command.processes} gateway process(es)`)
  const kafka = await startKafka({ profile: 'load' })
  try {
    const gateway = await startGatewayUnderLoad(command, kafka.bootstrap)
    try {
      return await load(command, { k6, kafka, gateway })
    } finally {
      await gateway.stop()
      if (gateway.output !== '') console.log(`the gateway said:\n${gateway.output}`)
    }
  } finally {
    await kafka.stop()
  }
}

interface Running {
  readonly k6: string
  readonly kafka: Kafka
  readonly gateway: GatewayOnKafka
}

async function load(command: LoadCommand, { k6, kafka, gateway }: Running): Promise<boolean> {
  const settings = loadSettings(command, gateway.url)
  const seconds: MeasuredSecond[] = []
  const meter = new Meter(gateway.pid, kafka.broker(1).pid ?? 0)
  const startCpuMs = usageOf(gateway.pid).cpuMs
  const cancelPause = pauseBroker(command, kafka)
  const summary = await runK6(k6, settings, (second) => {
    const measured = { ...second, ...meter.second() }
    seconds.push(measured)
    progress(measured)
  })
  cancelPause()
  const gatewayCpuMs = usageOf(gateway.pid).cpuMs - startCpuMs
  console.log('loadtest: counting what is in Kafka')
  const prefix = sessionPrefix(settings)
  const inKafka = await countEvents(kafka.bootstrap, TOPICS.events, prefix)
  const { scenario: _scenario, ...asked } = command
  const report = { command: asked, summary, inKafka, gatewayCpuMs, seconds }
  const kept = keepReport(report, systemClock.nowMs())
  console.log(`\n${reportTable(report)}\n\nkept in ${kept.join(' and ')}`)
  return summary.passed && isComplete(report)
}

function loadSettings(command: LoadCommand, url: string): Omit<LoadSettings, 'summaryPath'> {
  const { scenario, options } = command
  const { eventsPerSecond, eventsPerFrame } = options
  const stages = scenario.stages(options)
  const framesPerSecond = eventsPerSecond / eventsPerFrame
  const places = Math.ceil((framesPerSecond * FRAME_SPAN_MS) / 1_000)
  const usedPlaces = Math.min(PLACES_MAX, places)
  const frameSpanMs = Math.round((usedPlaces / framesPerSecond) * 1_000)
  const seconds = stages.reduce((sum, stage) => sum + stage.seconds, 0)
  return {
    url,
    connections: options.connections,
    shape: {
      runId: systemRandom
        .below(36 ** 6)
        .toString(36)
        .padStart(6, '0'),
      eventsPerFrame,
      framesPerSession: FRAMES_PER_SESSION,
      frameSpanMs,
      deviceStartMs: systemClock.nowMs(),
    },
    stages,
    places: usedPlaces,
    warmUpMs: WARM_UP_MS,
    secondsMax: Math.ceil(seconds) + TAIL_SECONDS,
    stormsAtMs: scenario.stormsAtMs?.(options) ?? [],
    ...(scenario.ackP99MaxMs === undefined ? {} : { ackP99MaxMs: scenario.ackP99MaxMs }),
  }
}

function sessionPrefix({ shape }: Pick<LoadSettings, 'shape'>): string {
  return `k6-${shape.runId}-`
}

/** Stops the broker for the scenario's time; returns what cancels it and lets the broker go on. */
function pauseBroker({ scenario, options }: LoadCommand, kafka: Kafka): () => void {
  const pause = scenario.brokerPause?.(options)
  if (pause === undefined) return () => undefined
  const broker = kafka.broker(1)
  const cancels = [
    systemClock.after(pause.fromMs, () => broker.pause()),
    systemClock.after(pause.fromMs + pause.forMs, () => broker.continue()),
  ]
  return () => {
    for (const cancel of cancels) cancel()
    broker.continue()
  }
}

/** What gateway and broker used since the last look. */
class Meter {
  readonly #gatewayPid: number
  readonly #brokerPid: number
  #lastAtMs = systemClock.monotonicMs()
  #gatewayCpuMs: number
  #brokerCpuMs: number

  constructor(gatewayPid: number, brokerPid: number) {
    this.#gatewayPid = gatewayPid
    this.#brokerPid = brokerPid
    this.#gatewayCpuMs = usageOf(gatewayPid).cpuMs
    this.#brokerCpuMs = usageOf(brokerPid).cpuMs
  }

  second(): Pick<MeasuredSecond, 'gatewayCores' | 'gatewayBytes' | 'brokerCores'> {
    const nowMs = systemClock.monotonicMs()
    const gateway = usageOf(this.#gatewayPid)
    const brokerCpuMs = usageOf(this.#brokerPid).cpuMs
    const elapsedMs = Math.max(1, nowMs - this.#lastAtMs)
    const measured = {
      gatewayCores: (gateway.cpuMs - this.#gatewayCpuMs) / elapsedMs,
      gatewayBytes: gateway.residentBytes,
      brokerCores: (brokerCpuMs - this.#brokerCpuMs) / elapsedMs,
    }
    this.#lastAtMs = nowMs
    this.#gatewayCpuMs = gateway.cpuMs
    this.#brokerCpuMs = brokerCpuMs
    return measured
  }
}

function progress(second: MeasuredSecond): void {
  const { events, acknowledged, ackP50Ms, ackP99Ms, gatewayCores } = second
  const columns = [
    `due ${events}/s`,
    `acknowledged ${acknowledged}/s`,
    `p50 ${ackP50Ms} ms`,
    `p99 ${ackP99Ms} ms`,
    `gateway ${gatewayCores.toFixed(2)} cores`,
  ]
  console.log(columns.join('  '))
}

main().then(
  (passed) => {
    if (!passed) process.exitCode = 1
  },
  (error: unknown) => {
    console.error(error instanceof Error ? error.message : error)
    process.exitCode = 1
  },
)
