/**
 * The load that k6 runs: one virtual user with many WebSockets, because what is prebuilt is copied
 * for every virtual user. Settings come as one JSON text in `LOAD`; each second one line of JSON
 * goes to the console, and the end's metrics are what the thresholds judge.
 */
import { Counter, Gauge } from 'k6/metrics'
import { FrameBuilder } from './frames.ts'
import { Latencies } from './latencies.ts'
import { LoadConnection } from './load-connection.ts'
import { framesDue, Sessions } from './schedule.ts'
import type { LoadSettings, SecondOfLoad } from './settings.ts'

const load = JSON.parse(__ENV['LOAD'] ?? '{}') as LoadSettings

const eventsSent = new Counter('events_sent')
const eventsAcknowledged = new Counter('events_acknowledged')
const eventsUnacknowledged = new Counter('events_unacknowledged')
const errors = new Counter('errors')
const slowed = new Counter('slowed')
const reconnects = new Counter('reconnects')
const ackQuantiles = {
  p50: new Gauge('ack_p50_ms'),
  p99: new Gauge('ack_p99_ms'),
  max: new Gauge('ack_max_ms'),
}

export const options = {
  thresholds: {
    errors: ['count==0'],
    events_unacknowledged: ['count==0'],
    ...(load.ackP99MaxMs === undefined ? {} : { ack_p99_ms: [`value<=${load.ackP99MaxMs}`] }),
  },
  scenarios: {
    load: {
      executor: 'per-vu-iterations',
      vus: 1,
      iterations: 1,
      maxDuration: `${load.secondsMax}s`,
      gracefulStop: '0s',
    },
  },
}

const PACE_MS = 5
const REPORT_MS = 1_000
/** Before the very end, so that the summary is still written. */
const GIVE_UP_BEFORE_MS = 5_000

/** What has happened so far, and the latencies of all of it and of the second under way. */
class Tally {
  readonly all = new Latencies()
  readonly second = new Latencies()
  readonly startedAtMs = Date.now()
  sent = 0
  acknowledgedFrames = 0
  errorCount = 0
  slowedCount = 0
  dropCount = 0
  #reported = { sent: 0, acknowledged: 0 }

  acknowledged(latencyMs: number): void {
    this.acknowledgedFrames += 1
    this.second.add(latencyMs)
    if (this.elapsedMs() >= load.warmUpMs) this.all.add(latencyMs)
  }

  rejected(detail: string): void {
    this.errorCount += 1
    console.error(`rejected: ${detail}`)
  }

  slowed(): void {
    this.slowedCount += 1
  }

  dropped(): void {
    this.dropCount += 1
  }

  elapsedMs(): number {
    return Date.now() - this.startedAtMs
  }

  reportSecond(): void {
    const { eventsPerFrame } = load.shape
    const line: SecondOfLoad = {
      atMs: Date.now(),
      events: (this.sent - this.#reported.sent) * eventsPerFrame,
      acknowledged: (this.acknowledgedFrames - this.#reported.acknowledged) * eventsPerFrame,
      ackP50Ms: this.second.quantileMs(0.5),
      ackP99Ms: this.second.quantileMs(0.99),
      slowed: this.slowedCount,
      reconnects: this.dropCount,
    }
    this.#reported = { sent: this.sent, acknowledged: this.acknowledgedFrames }
    this.second.clear()
    console.log(`second ${JSON.stringify(line)}`)
  }

  keep(): void {
    const { eventsPerFrame } = load.shape
    eventsSent.add(this.sent * eventsPerFrame)
    eventsAcknowledged.add(this.acknowledgedFrames * eventsPerFrame)
    eventsUnacknowledged.add((this.sent - this.acknowledgedFrames) * eventsPerFrame)
    errors.add(this.errorCount)
    slowed.add(this.slowedCount)
    reconnects.add(this.dropCount)
    ackQuantiles.p50.add(this.all.quantileMs(0.5))
    ackQuantiles.p99.add(this.all.quantileMs(0.99))
    ackQuantiles.max.add(this.all.maxMs)
  }
}

export default function run(): void {
  const tally = new Tally()
  const builder = new FrameBuilder(load.shape)
  const connections = Array.from(
    { length: load.connections },
    () => new LoadConnection(load.url, builder, tally),
  )
  const sessions = new Sessions(load.places, load.shape.framesPerSession)
  const { eventsPerFrame } = load.shape
  const total = framesDue(load.stages, eventsPerFrame, Number.MAX_SAFE_INTEGER)

  const storms = load.stormsAtMs.map((atMs) =>
    setTimeout(() => {
      for (const connection of connections) connection.breakOff()
    }, atMs),
  )
  const report = setInterval(() => tally.reportSecond(), REPORT_MS)
  const pace = setInterval(() => {
    const elapsedMs = tally.elapsedMs()
    const due = framesDue(load.stages, eventsPerFrame, elapsedMs)
    while (tally.sent < due) {
      const place = tally.sent % load.places
      connections[place % connections.length]?.offer(sessions.take(place), Date.now())
      tally.sent += 1
    }
    const isAcknowledged = tally.acknowledgedFrames === total
    const isOver = elapsedMs > load.secondsMax * 1_000 - GIVE_UP_BEFORE_MS
    if (tally.sent < total || !(isAcknowledged || isOver)) return
    clearInterval(pace)
    clearInterval(report)
    for (const storm of storms) clearTimeout(storm)
    for (const connection of connections) connection.stop()
    tally.reportSecond()
    tally.keep()
  }, PACE_MS)
}

/** The end's metrics as JSON, for the runner. */
export function handleSummary(data: { readonly metrics: object }): Record<string, string> {
  return { [load.summaryPath]: JSON.stringify(data.metrics) }
}
