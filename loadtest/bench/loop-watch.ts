/**
 * How long the event loop stood still: by the wall clock, and by the main thread's own CPU time, which
 * says the same on a machine where other processes take the core away meanwhile. What the garbage
 * collector had of it is told apart: that is mended by making less garbage, the rest by slices.
 */
import { monitorEventLoopDelay, PerformanceObserver } from 'node:perf_hooks'
import { systemClock } from '../../shared/runtime/clock.ts'

const LOOK_MS = 1
const MICROS_PER_MS = 1_000
const NANOS_PER_MS = 1e6
/** Shorter stretches are not asked what they were. */
const STRETCH_KEPT_MS = 2
/** Pauses of the collector are told a little later. */
const PAUSES_TOLD_AFTER_MS = 20

export const LONGEST_BY_CPU = 'by its own CPU ms at most'

interface Span {
  readonly startMs: number
  readonly endMs: number
}

/** Work between two looks. */
interface Stretch extends Span {
  readonly cpuMs: number
}

export class LoopWatch {
  readonly #delay = monitorEventLoopDelay({ resolution: LOOK_MS })
  readonly #cancel: () => void
  readonly #stretches: Stretch[] = []
  readonly #pauses: Span[] = []
  readonly #collector = new PerformanceObserver((list) => {
    for (const { startTime, duration } of list.getEntries())
      this.#pauses.push({ startMs: startTime, endMs: startTime + duration })
  })
  #cpuMs = threadCpuMs()
  #lookedMs = systemClock.monotonicMs()
  #longestMs = 0

  constructor() {
    this.#delay.enable()
    this.#collector.observe({ entryTypes: ['gc'] })
    this.#cancel = systemClock.every(LOOK_MS, () => this.#look())
  }

  async stop(): Promise<Readonly<Record<string, number>>> {
    this.#look()
    this.#cancel()
    this.#delay.disable()
    await systemClock.sleep(PAUSES_TOLD_AFTER_MS)
    this.#collector.disconnect()
    const uncollected = this.#stretches.map((stretch) => stretch.cpuMs - this.#pausedMs(stretch))
    const pauses = this.#pauses.map(({ startMs, endMs }) => endMs - startMs)
    return {
      'loop blocked ms at most': Math.round(this.#delay.max / NANOS_PER_MS),
      'loop blocked ms p99': Math.round(this.#delay.percentile(99) / NANOS_PER_MS),
      [LONGEST_BY_CPU]: tenths(this.#longestMs),
      'without the collector ms at most': tenths(Math.max(0, ...uncollected)),
      'pause of the collector ms at most': tenths(Math.max(0, ...pauses)),
    }
  }

  #look(): void {
    const cpuMs = threadCpuMs()
    const endMs = systemClock.monotonicMs()
    const workedMs = cpuMs - this.#cpuMs
    if (workedMs >= STRETCH_KEPT_MS)
      this.#stretches.push({ startMs: this.#lookedMs, endMs, cpuMs: workedMs })
    this.#longestMs = Math.max(this.#longestMs, workedMs)
    this.#cpuMs = cpuMs
    this.#lookedMs = endMs
  }

  /** Of the stretch, what the collector paused it for; by the wall clock, for it has no other. */
  #pausedMs(stretch: Stretch): number {
    return this.#pauses.reduce((sum, { startMs, endMs }) => {
      const start = Math.max(startMs, stretch.startMs)
      return sum + Math.max(0, Math.min(endMs, stretch.endMs) - start)
    }, 0)
  }
}

function tenths(ms: number): number {
  return Math.round(ms * 10) / 10
}

function threadCpuMs(): number {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / MICROS_PER_MS
}
