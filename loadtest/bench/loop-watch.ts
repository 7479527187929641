/**
 * How long the event loop stood still: by the wall clock, and by the main thread's own CPU time, which
 * says the same on a machine where other processes take the core away meanwhile.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { systemClock } from '../../shared/runtime/clock.ts'

const LOOK_MS = 1
const MICROS_PER_MS = 1_000
const NANOS_PER_MS = 1e6

export class LoopWatch {
  readonly #delay = monitorEventLoopDelay({ resolution: LOOK_MS })
  readonly #cancel: () => void
  #cpuMs = threadCpuMs()
  /** The most that the thread worked between two looks. */
  #longestMs = 0

  constructor() {
    this.#delay.enable()
    this.#cancel = systemClock.every(LOOK_MS, () => this.#look())
  }

  stop(): Readonly<Record<string, number>> {
    this.#look()
    this.#cancel()
    this.#delay.disable()
    return {
      'loop blocked ms at most': Math.round(this.#delay.max / NANOS_PER_MS),
      'loop blocked ms p99': Math.round(this.#delay.percentile(99) / NANOS_PER_MS),
      'by its own CPU ms at most': Math.round(this.#longestMs),
    }
  }

  #look(): void {
    const cpuMs = threadCpuMs()
    this.#longestMs = Math.max(this.#longestMs, cpuMs - this.#cpuMs)
    this.#cpuMs = cpuMs
  }
}

function threadCpuMs(): number {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / MICROS_PER_MS
}
