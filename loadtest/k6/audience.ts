/**
 * The audience that a load is: its connections, its sessions and their pace by the wall clock. The
 * same whoever drives it, k6 or the plain sender beside it.
 */
import { FrameBuilder } from './frames.ts'
import { Latencies } from './latencies.ts'
import { LoadConnection, type OpenLoadSocket } from './load-connection.ts'
import { framesDue, Sessions } from './schedule.ts'
import type { LoadSettings, SecondOfLoad } from './settings.ts'

/** What a driver brings. */
export interface LoadDriver {
  readonly open: OpenLoadSocket
  second(line: SecondOfLoad): void
  rejected(detail: string): void
  /** All frames are acknowledged, or there is no time left for them. */
  over(totals: LoadTotals): void
}

export interface LoadTotals {
  readonly eventsSent: number
  readonly eventsAcknowledged: number
  readonly errors: number
  readonly slowed: number
  readonly reconnects: number
  readonly ackP50Ms: number
  readonly ackP99Ms: number
  readonly ackMaxMs: number
}

const PACE_MS = 5
const REPORT_MS = 1_000
/** Before the very end, so that the summary is still written. */
const GIVE_UP_BEFORE_MS = 5_000

/** What has happened so far, and the latencies of all of it and of the second under way. */
class Tally {
  readonly all = new Latencies()
  readonly inSecond = new Latencies()
  readonly startedAtMs = Date.now()
  readonly #load: LoadSettings
  readonly #driver: LoadDriver
  sent = 0
  acknowledgedFrames = 0
  errorCount = 0
  slowedCount = 0
  dropCount = 0
  #reported = { sent: 0, acknowledged: 0 }

  constructor(load: LoadSettings, driver: LoadDriver) {
    this.#load = load
    this.#driver = driver
  }

  acknowledged(latencyMs: number): void {
    this.acknowledgedFrames += 1
    this.inSecond.add(latencyMs)
    if (this.elapsedMs() >= this.#load.warmUpMs) this.all.add(latencyMs)
  }

  rejected(detail: string): void {
    this.errorCount += 1
    this.#driver.rejected(detail)
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
    const { eventsPerFrame } = this.#load.shape
    this.#driver.second({
      atMs: Date.now(),
      events: (this.sent - this.#reported.sent) * eventsPerFrame,
      acknowledged: (this.acknowledgedFrames - this.#reported.acknowledged) * eventsPerFrame,
      ackP50Ms: this.inSecond.quantileMs(0.5),
      ackP99Ms: this.inSecond.quantileMs(0.99),
      slowed: this.slowedCount,
      reconnects: this.dropCount,
    })
    this.#reported = { sent: this.sent, acknowledged: this.acknowledgedFrames }
    this.inSecond.clear()
  }

  totals(): LoadTotals {
    const { eventsPerFrame } = this.#load.shape
    return {
      eventsSent: this.sent * eventsPerFrame,
      eventsAcknowledged: this.acknowledgedFrames * eventsPerFrame,
      errors: this.errorCount,
      slowed: this.slowedCount,
      reconnects: this.dropCount,
      ackP50Ms: this.all.quantileMs(0.5),
      ackP99Ms: this.all.quantileMs(0.99),
      ackMaxMs: this.all.maxMs,
    }
  }
}

export function runAudience(load: LoadSettings, driver: LoadDriver): void {
  const tally = new Tally(load, driver)
  const builder = new FrameBuilder(load.shape)
  const target = { url: load.url, open: driver.open }
  const connections = Array.from(
    { length: load.connections },
    () => new LoadConnection(target, builder, tally),
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
    driver.over(tally.totals())
  }, PACE_MS)
}
