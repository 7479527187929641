/** One processor process of the simulation: the real `startProcessor`, with ports over the wire. */
import { createSealer } from '../../shared/log/reject-record.ts'
import type { AlertSettings, ProcessorConfig } from '../../processor/config.ts'
import { startProcessor, type RunningProcessor } from '../../processor/start.ts'
import type { Cut } from '../../shared/qoe/cuts.ts'
import { BackhaulError } from '../../shared/runtime/errors.ts'
import type { Failpoints } from '../../shared/runtime/failpoints.ts'
import { seededRandom, type Random } from '../../shared/runtime/random.ts'
import { createTelemetryBase } from '../../shared/runtime/telemetry.ts'
import { clockOf, Life } from './life.ts'
import { logPort, objectsPort, speedPort, type Backends } from './ports.ts'
import type { Scheduler } from './scheduler.ts'

export interface SimProcessorParts {
  readonly name: string
  readonly scheduler: Scheduler
  readonly backends: Backends
  readonly random: Random
  readonly config: ProcessorConfig
  readonly cuts: readonly Cut[]
  readonly partitions: number
  /** Absent in a run without alert rules. */
  readonly alerts: AlertSettings | undefined
  /** How wrong its wall clock is, ms. */
  readonly skewMs: number
}

export type PartitionReport = ReturnType<RunningProcessor['inspectPartitions']>[number]

const NEVER = new Promise<never>(() => undefined)
/** The evaluator comes by its failpoints four times a second, whatever there is to do. */
const DEATHS_OF_AN_EVALUATOR = 1 / 20
const sealer = createSealer(new Uint8Array(32).fill(9))

export class SimProcessor {
  readonly life: Life
  /** Why it did not start, or did not stop, where a supervisor would not just start it again. */
  failure: Error | undefined
  /** It has ended by itself. */
  hasEnded = false
  readonly #parts: SimProcessorParts
  #processor: RunningProcessor | undefined
  #isStopping = false

  constructor(parts: SimProcessorParts) {
    this.#parts = parts
    this.life = new Life(parts.name, parts.scheduler)
  }

  get isGone(): boolean {
    return this.hasEnded || this.life.isDead
  }

  start(): void {
    this.#start().catch((error: unknown) => this.#end(error))
  }

  stop(): void {
    if (this.#isStopping || this.isGone) return
    this.#isStopping = true
    this.#processor?.stop().then(
      () => this.#end(undefined),
      (error: unknown) => this.#end(error),
    )
  }

  reports(): readonly PartitionReport[] {
    return this.isGone ? [] : (this.#processor?.inspectPartitions() ?? [])
  }

  async #start(): Promise<void> {
    const { scheduler, backends, random, config, cuts, partitions, alerts, skewMs } = this.#parts
    const clock = clockOf(this.life, scheduler, skewMs)
    const telemetry = createTelemetryBase('silent')
    const ports = { ...backends, life: this.life, clock, telemetry }
    const processor = await startProcessor({
      config,
      log: logPort(ports),
      speed: speedPort(ports),
      objects: objectsPort(ports),
      telemetry,
      clock,
      random: seededRandom(random.below(2 ** 31)),
      failpoints: this.#failpoints(),
      sealer,
      cuts,
      partitions,
      alerts,
    })
    this.#processor = processor
    if (this.#isStopping) await processor.stop().then(() => this.#end(undefined))
  }

  /** A process that does not start, for a reason that passes, ends and is started again. */
  #end(error: unknown): void {
    this.hasEnded = true
    const passes =
      error instanceof BackhaulError && (error.spec.retryable || error.code === 'LOG_GROUP_FENCED')
    if (error instanceof Error && !passes) this.failure = error
  }

  #failpoints(): Failpoints {
    const { random, backends } = this.#parts
    const { faults, counts } = backends.wire
    return {
      hit: (name) => {
        const share = name.startsWith('alerts.') ? DEATHS_OF_AN_EVALUATOR : 1
        if (random.next() >= faults.deadlyFailpoints * share) return undefined
        counts.deaths += 1
        this.life.kill()
        return NEVER
      },
    }
  }
}
