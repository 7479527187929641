/**
 * One load from start to verdict: Kafka and the gateway are started, a driver loads them, and what is in
 * Kafka afterwards is counted by a reader that shares nothing with the product.
 */
import { startKafka, type Kafka } from '../../scripts/services/kafka.ts'
import { TOPICS } from '../../shared/log/topics.ts'
import { systemClock } from '../../shared/runtime/clock.ts'
import { systemRandom } from '../../shared/runtime/random.ts'
import type { LoadSettings } from '../k6/settings.ts'
import type { LoadCommand } from './command-line.ts'
import { startGatewayUnderLoad, type GatewayUnderLoad } from './gateway-under-load.ts'
import { prepareDriver, runDriver } from './driver-process.ts'
import { countEvents, type LoggedFrame } from './log-count.ts'
import { Meter } from './meter.ts'
import { scheduleOutage } from './outage.ts'
import { usageOf } from './process-usage.ts'
import type { LoadReport, MeasuredSecond } from './report.ts'

/** Who looks on while a load runs. */
export interface LoadWatch {
  /** Options of Node for the gateway's process. */
  readonly nodeOptions?: readonly string[]
  said?(line: string): void
  /** What to start behind the log once the gateway has made its topics. */
  downstream?(brokers: readonly string[]): Promise<Downstream>
  /** The gateway is ready and the load begins. */
  started?(gateway: GatewayUnderLoad): void
  second?(second: MeasuredSecond): void
}

/** What works behind the log while a load runs, and is measured with it. */
export interface Downstream {
  /** The last frame of the load was sent, and answered if it ever is. */
  loadEnded(): void
  /** Resolves when all that was sent is worked off, or nothing moves any more. */
  settle(eventsSent: number): Promise<void>
  /** Each record of the load, as it is read back, in order of its partition. */
  logged(frame: LoggedFrame): void
  stop(): Promise<void>
}

/** A session sends a frame this often at the full rate. */
const FRAME_SPAN_MS = 10_000
const FRAMES_PER_SESSION = 12
/** With one event a frame, sessions that send every 10 s would be more than any audience. */
const PLACES_MAX = 40_000
/** Of a load of ordinary length; a quarter of a short one. */
const WARM_UP_MS = 15_000
const TAIL_SECONDS = 60

export async function runLoad(command: LoadCommand, watch: LoadWatch = {}): Promise<LoadReport> {
  const driver = prepareDriver(command.driver)
  watch.said?.(`starting Kafka and ${command.processes} gateway process(es)`)
  const kafka = await startKafka({ profile: 'load' })
  try {
    const { nodeOptions } = watch
    const gateway = await startGatewayUnderLoad(command, kafka.bootstrap, nodeOptions)
    try {
      const downstream = await watch.downstream?.(kafka.bootstrap)
      try {
        return await load({ command, watch, driver, kafka, gateway, downstream })
      } finally {
        await downstream?.stop()
      }
    } finally {
      await gateway.stop()
    }
  } finally {
    await kafka.stop()
  }
}

interface Running {
  readonly command: LoadCommand
  readonly watch: LoadWatch
  readonly driver: ReturnType<typeof prepareDriver>
  readonly kafka: Kafka
  readonly gateway: GatewayUnderLoad
  readonly downstream: Downstream | undefined
}

async function load(running: Running): Promise<LoadReport> {
  const { command, watch, driver, kafka, gateway, downstream } = running
  const settings = loadSettings(command, gateway.url)
  const seconds: MeasuredSecond[] = []
  const meter = new Meter(gateway.pid, kafka.broker(1))
  const startCpuMs = usageOf(gateway.pid).cpuMs
  watch.started?.(gateway)
  const outage = scheduleOutage(command.scenario.brokerOutage?.(command.options), kafka.broker(1))
  const summary = await runDriver(driver, settings, (second) => {
    const measured = { ...second, ...meter.second() }
    seconds.push(measured)
    watch.second?.(measured)
  })
  await outage.over()
  const gatewayCpuMs = usageOf(gateway.pid).cpuMs - startCpuMs
  downstream?.loadEnded()
  await downstream?.settle(summary.eventsSent)
  watch.said?.('counting what is in Kafka')
  const prefix = sessionPrefix(settings)
  const inKafka = await countEvents(kafka.bootstrap, TOPICS.events, prefix, (frame) =>
    downstream?.logged(frame),
  )
  const { scenario: _scenario, ...asked } = command
  const { span } = outage
  return {
    command: asked,
    summary,
    inKafka,
    gatewayCpuMs,
    ...(span === undefined ? {} : { outage: span }),
    seconds,
  }
}

function loadSettings(command: LoadCommand, url: string): Omit<LoadSettings, 'summaryPath'> {
  const { scenario, options } = command
  const { eventsPerSecond, eventsPerFrame } = options
  const stages = scenario.stages(options)
  const framesPerSecond = eventsPerSecond / eventsPerFrame
  const places = Math.ceil((framesPerSecond * FRAME_SPAN_MS) / 1_000)
  const usedPlaces = Math.min(PLACES_MAX, places)
  const frameSpanMs = Math.round((usedPlaces / framesPerSecond) * 1_000)
  const ackP99MaxMs = scenario.ackP99MaxMs?.(options)
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
    warmUpMs: Math.min(WARM_UP_MS, seconds * 250),
    secondsMax: Math.ceil(seconds) + (scenario.tailSeconds ?? TAIL_SECONDS),
    stormsAtMs: scenario.stormsAtMs?.(options) ?? [],
    ...(ackP99MaxMs === undefined ? {} : { ackP99MaxMs }),
  }
}

function sessionPrefix({ shape }: Pick<LoadSettings, 'shape'>): string {
  return `k6-${shape.runId}-`
}
