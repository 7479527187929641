/** The processor processes of a run, and who starts them again when they end. */
import type { Random } from '../../shared/runtime/random.ts'
import type { Scheduler } from './scheduler.ts'
import { SimProcessor, type PartitionReport, type SimProcessorParts } from './sim-processor.ts'

const LOOK_EVERY_MS = 400
const RESTART_MAX_MS = 3_000
/** Wall clocks of processes are wrong by up to this, which must change nothing. */
const SKEW_MAX_MS = 2 * 3_600_000

export interface CrewParts extends Omit<SimProcessorParts, 'name' | 'skewMs'> {
  readonly scheduler: Scheduler
  readonly random: Random
  readonly slots: number
  /** Told, every time, of what is wrong with a process that works. */
  onFailure(name: string, failure: Error): void
  onTaskFailure(report: PartitionReport): void
}

export class Crew {
  /** Ended processes are started again. */
  isManned = true
  started = 0
  readonly #parts: CrewParts
  readonly #slots: (SimProcessor | undefined)[]

  constructor(parts: CrewParts) {
    this.#parts = parts
    this.#slots = Array.from({ length: parts.slots }, () => undefined)
  }

  begin(): void {
    for (const slot of this.#slots.keys()) this.#startSoon(slot, slot === 0 ? 1 : 8_000)
    this.#look()
  }

  at(slot: number): SimProcessor | undefined {
    return this.#slots[slot]
  }

  get living(): SimProcessor[] {
    return this.#slots.filter((one) => one !== undefined).filter((one) => !one.isGone)
  }

  reports(): PartitionReport[] {
    return this.living.flatMap((one) => [...one.reports()])
  }

  killAll(): void {
    for (const one of this.living) one.life.kill()
  }

  thawAll(): void {
    for (const one of this.living) one.life.thaw()
  }

  #startSoon(slot: number, withinMs: number): void {
    const { scheduler, random } = this.#parts
    scheduler.after(random.below(withinMs), `start in slot ${slot}`, () => this.#start(slot))
  }

  #start(slot: number): void {
    if (!this.isManned) return this.#startSoon(slot, RESTART_MAX_MS)
    this.started += 1
    const skewMs = this.#parts.random.below(2 * SKEW_MAX_MS) - SKEW_MAX_MS
    const one = new SimProcessor({ ...this.#parts, name: `P${this.started}`, skewMs })
    this.#slots[slot] = one
    one.start()
  }

  #look(): void {
    const { scheduler, onFailure, onTaskFailure } = this.#parts
    for (const [slot, one] of this.#slots.entries()) {
      if (one === undefined) continue
      if (one.failure !== undefined) onFailure(one.life.name, one.failure)
      for (const report of one.reports())
        if (report.failureCode !== undefined) onTaskFailure(report)
      if (!one.isGone || !this.isManned) continue
      this.#slots[slot] = undefined
      this.#startSoon(slot, RESTART_MAX_MS)
    }
    scheduler.after(LOOK_EVERY_MS, 'look after processes', () => this.#look())
  }
}
