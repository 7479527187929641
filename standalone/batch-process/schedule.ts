/**
 * When the batch runs: at whole multiples of its period (UTC), so that a restart neither shifts nor
 * repeats a run, and at once when the last multiple was missed. A run that failed is tried again
 * after pauses without chance in them, and then waits for its turn; one that left records behind is followed by
 * another at once.
 */
import type { Clock } from '../../shared/runtime/clock.ts'
import { BackhaulError } from '../../shared/runtime/errors.ts'
import type { BatchActivity, BatchFailure } from '../../shared/warehouse/batch-activity.ts'
import { standaloneErrors } from '../errors.ts'
import { BATCH_FIRST_RUN_MS, BATCH_RETRIES_MAX, BATCH_RETRY_FIRST_MS } from '../limits.ts'

export interface RunResult {
  /** Whether there were more records than one run takes. */
  readonly isCutShort: boolean
  /** Why a partition was left out, if one was. */
  readonly problem: { readonly code: string; readonly detail: string } | undefined
}

export interface ScheduleOptions {
  /** 0: never. */
  readonly everyMs: number
  readonly clock: Clock
  run(signal: AbortSignal): Promise<RunResult>
  /** Called after every change of `activity`. */
  onChange(change: { readonly runEnded: boolean }): void
}

export type ScheduleActivity = Omit<BatchActivity, 'reconcile'>

export class BatchSchedule {
  readonly #options: ScheduleOptions
  readonly #stopping = new AbortController()
  #running: Promise<void> | undefined
  #nextRunAtMs: number | undefined
  #failure: BatchFailure | undefined
  #failures = 0
  #cancel: () => void = () => undefined

  constructor(options: ScheduleOptions) {
    this.#options = options
  }

  get activity(): ScheduleActivity {
    return {
      isRunning: this.#running !== undefined,
      nextRunAtMs: this.#running === undefined ? this.#nextRunAtMs : undefined,
      failure: this.#failure,
    }
  }

  /** `lastStartedAtMs` = when the newest complete run began, if there is one. */
  start(lastStartedAtMs: number | undefined): void {
    const { everyMs, clock } = this.#options
    if (everyMs === 0) return
    const nowMs = clock.nowMs()
    if (lastStartedAtMs === undefined)
      this.#planAt(Math.min(nowMs + BATCH_FIRST_RUN_MS, this.#nextTurnMs()))
    else if (lastStartedAtMs < this.#nextTurnMs() - everyMs) this.#planAt(nowMs)
    else this.#planAt(this.#nextTurnMs())
  }

  /** Ends a run at its next step; the next one goes on with it. */
  async stop(): Promise<void> {
    this.#stopping.abort()
    this.#cancel()
    await this.#running
  }

  #nextTurnMs(): number {
    const { everyMs, clock } = this.#options
    return (Math.floor(clock.nowMs() / everyMs) + 1) * everyMs
  }

  #planAt(atMs: number): void {
    const { clock } = this.#options
    this.#nextRunAtMs = atMs
    this.#cancel = clock.after(Math.max(0, atMs - clock.nowMs()), () => {
      this.#running = this.#run().finally(() => {
        this.#running = undefined
        if (!this.#stopping.signal.aborted) this.#options.onChange({ runEnded: true })
      })
      this.#options.onChange({ runEnded: false })
    })
  }

  async #run(): Promise<void> {
    const { clock } = this.#options
    try {
      const { isCutShort, problem } = await this.#options.run(this.#stopping.signal)
      this.#failures = 0
      this.#failure = problem && { ...problem, atMs: clock.nowMs() }
      if (!this.#stopping.signal.aborted)
        this.#planAt(isCutShort ? clock.nowMs() : this.#nextTurnMs())
    } catch (error) {
      if (this.#stopping.signal.aborted) return
      const known =
        error instanceof BackhaulError
          ? error
          : standaloneErrors.create('STANDALONE_BATCH_FAILED', { cause: error })
      this.#failure = { code: known.code, detail: known.message, atMs: clock.nowMs() }
      // Trying again helps only against what passes by itself.
      this.#planAt(known.spec.retryable ? this.#retryAtMs() : this.#nextTurnMs())
    }
  }

  #retryAtMs(): number {
    const turnMs = this.#nextTurnMs()
    if (this.#failures === BATCH_RETRIES_MAX) {
      this.#failures = 0
      return turnMs
    }
    const pauseMs = BATCH_RETRY_FIRST_MS * 2 ** this.#failures++
    return Math.min(turnMs, this.#options.clock.nowMs() + pauseMs)
  }
}
