/**
 * The way between a process and what stands behind its ports. Every call is two steps: the request
 * takes effect, and its answer reaches the process. Between them the seed decides what goes wrong:
 * the call is refused, done in part, done but not answered, slow, or the process dies on it.
 */
import type { BackhaulError } from '../../shared/runtime/errors.ts'
import type { Random } from '../../shared/runtime/random.ts'
import type { Life } from './life.ts'
import type { Scheduler } from './scheduler.ts'

export type PortName = 'log' | 'speed' | 'objects' | 'group'

/** Shares of calls, of one port, that go wrong in each way; the rest goes well. */
export interface FaultRates {
  readonly refused: number
  /** Done in part, then refused. */
  readonly partial: number
  /** Done, then refused. */
  readonly unanswered: number
  readonly slow: number
  /** The process dies on the call, before its effect, after it or half-way. */
  readonly fatal: number
}

export const NO_FAULTS: FaultRates = { refused: 0, partial: 0, unanswered: 0, slow: 0, fatal: 0 }

export interface WireFaults {
  rates: Readonly<Record<PortName, FaultRates>>
  /** Ports that answer nothing but refusals until the given time. */
  readonly outages: Map<PortName, number>
  slowMaxMs: number
  /** Share of failpoints at which a process dies. */
  deadlyFailpoints: number
}

export interface Call<Result> {
  readonly port: PortName
  /** For the trace: the method and what tells one call from another. */
  readonly name: string
  refusal(): BackhaulError
  run(): Promise<Result>
  /** A share of the effect, where the effect can be partial. */
  runPart?(): void
}

export interface WireCounts {
  calls: number
  refused: number
  partial: number
  unanswered: number
  slow: number
  deaths: number
}

type Effect = 'none' | 'part' | 'all'

interface Fate {
  readonly effect: Effect
  readonly isAnswered: boolean
  readonly isFatal: boolean
  readonly requestMs: number
  readonly answerMs: number
}

const LATENCY_MAX_MS = 12

export class Wire {
  readonly counts: WireCounts = {
    calls: 0,
    refused: 0,
    partial: 0,
    unanswered: 0,
    slow: 0,
    deaths: 0,
  }
  readonly faults: WireFaults
  readonly #scheduler: Scheduler
  readonly #random: Random

  constructor(scheduler: Scheduler, random: Random, faults: WireFaults) {
    this.#scheduler = scheduler
    this.#random = random
    this.faults = faults
  }

  call<Result>(life: Life, call: Call<Result>): Promise<Result> {
    this.counts.calls += 1
    const fate = this.#drawFate(call)
    return new Promise((resolve, reject) => {
      const answer = (deliver: () => void) =>
        void this.#scheduler.after(fate.answerMs, `${life.name} hears ${call.name}`, () =>
          life.reach(deliver),
        )
      this.#scheduler.after(fate.requestMs, `${life.name} ${call.name} ${fate.effect}`, () => {
        // What a dead process had sent may have left it or not.
        if (life.isDead && this.#random.below(2) === 0) return
        this.#act(call, fate).then(
          (result) => answer(() => resolve(result)),
          (error: unknown) =>
            answer(() => reject(error instanceof Error ? error : new Error(String(error)))),
        )
        if (fate.isFatal) this.#die(life)
      })
    })
  }

  #act<Result>(call: Call<Result>, { effect, isAnswered }: Fate): Promise<Result> {
    if (effect === 'part') call.runPart?.()
    if (effect !== 'all') return Promise.reject(call.refusal())
    const done = call.run()
    return isAnswered ? done : done.then(() => Promise.reject(call.refusal()))
  }

  #die(life: Life): void {
    if (life.isDead) return
    this.counts.deaths += 1
    life.kill()
  }

  #drawFate({ port, runPart }: Pick<Call<unknown>, 'port' | 'runPart'>): Fate {
    const { counts, faults } = this
    const random = this.#random
    const rates = faults.rates[port]
    const plain = {
      requestMs: random.below(LATENCY_MAX_MS),
      answerMs: random.below(LATENCY_MAX_MS),
      isAnswered: true,
      isFatal: false,
      effect: 'all' as Effect,
    }
    const draw = random.next()
    let below = rates.fatal
    if (draw < below) {
      const effect = (['none', runPart ? 'part' : 'all', 'all'] as const)[random.below(3)] ?? 'all'
      return { ...plain, effect, isFatal: true }
    }
    if (
      (faults.outages.get(port) ?? 0) > this.#scheduler.nowMs ||
      draw < (below += rates.refused)
    ) {
      counts.refused += 1
      return { ...plain, effect: 'none' }
    }
    if (draw < (below += rates.partial)) {
      counts.partial += 1
      return { ...plain, effect: runPart ? 'part' : 'none' }
    }
    if (draw < (below += rates.unanswered)) {
      counts.unanswered += 1
      return { ...plain, isAnswered: false }
    }
    if (draw < below + rates.slow) {
      counts.slow += 1
      const slowMs = random.below(faults.slowMaxMs)
      return random.below(2) === 0
        ? { ...plain, requestMs: slowMs }
        : { ...plain, answerMs: slowMs }
    }
    return plain
  }
}
