/** Measures the steps of a batch's run, each between two failpoints, from within its process. */
import { readFileSync, writeFileSync } from 'node:fs'
import { systemClock } from '../../shared/runtime/clock.ts'
import type { FailpointName, Failpoints } from '../../shared/runtime/failpoints.ts'
import type { BatchStep, StepMeasured } from './batch-bench.ts'

/** With which failpoint each step is over; the first one begins with the cut. */
const ENDS: Readonly<Partial<Record<FailpointName, BatchStep>>> = {
  'batch.afterManifest': 'raw',
  'batch.afterFlatten': 'flatten',
  'batch.afterMerge': 'load',
  'batch.afterFacts': 'facts',
  'batch.afterQuality': 'quality',
  'batch.afterControlRows': 'close',
}
/** Makes the kernel forget the largest resident memory so far: proc(5), `clear_refs`. */
const FORGET_PEAK = '5'

/** Thrown to end a run where it is to be gone on with by another process. */
export class RunIsCutOff extends Error {
  override readonly name = 'RunIsCutOff'
}

export class StepStopwatch implements Failpoints {
  readonly steps: StepMeasured[] = []
  readonly #until: BatchStep | undefined
  #startedAtMs = 0
  #startMs = 0
  #startCpu = process.cpuUsage()

  /** Ends the run after the step, if one is named. */
  constructor(until?: BatchStep) {
    this.#until = until
    this.#start()
  }

  hit(name: FailpointName): void {
    const step = ENDS[name]
    if (step !== undefined) {
      const { user, system } = process.cpuUsage(this.#startCpu)
      this.steps.push({
        step,
        startedAtMs: this.#startedAtMs,
        wallMs: systemClock.monotonicMs() - this.#startMs,
        cpuMs: (user + system) / 1_000,
        peakMiB: statusMiB('VmHWM'),
        mappedMiB: statusMiB('RssFile'),
      })
      if (step === this.#until) throw new RunIsCutOff()
    }
    if (step !== undefined || name === 'batch.afterCut') this.#start()
  }

  #start(): void {
    writeFileSync('/proc/self/clear_refs', FORGET_PEAK)
    this.#startedAtMs = systemClock.nowMs()
    this.#startMs = systemClock.monotonicMs()
    this.#startCpu = process.cpuUsage()
  }
}

function statusMiB(field: string): number {
  const status = readFileSync('/proc/self/status', 'utf8')
  const kibibytes = new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1]
  return Math.round(Number(kibibytes) / 1_024)
}
