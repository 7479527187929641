/**
 * Keeps the newest snapshot of the history. Requests share it, so a request costs no look-up of
 * the boundary; a newer run is looked for every `historyRefreshMs`, in the background while the
 * present snapshot is young enough.
 *
 * The boundary is read in a session that is opened before the one that minutes are read in. So
 * the minutes are never older than the boundary that promises them, whatever order the warehouse
 * reads its tables in: without that, a run that ends in between would leave a gap.
 */
import type { Clock } from '../../shared/runtime/clock.ts'
import { BackhaulError } from '../../shared/runtime/errors.ts'
import type { ReadSession, WarehouseReader } from '../../shared/warehouse/warehouse-reader.ts'
import { servingErrors } from '../errors.ts'
import type { ServingLimits } from '../limits.ts'
import { withinTime } from '../within-time.ts'
import { HISTORY_BEGINS, LAST_CONTROL_ROWS, newestRun, type BatchRun } from './control-rows.ts'
import { CUT_BEGINNINGS } from './minutes.ts'
import { QuerySlots } from './query-slots.ts'
import { integerOf, optionalIntegerOf, textOf } from '../../shared/warehouse/row-values.ts'
import { HistoryMinutes } from './history-minutes.ts'
import { HistorySnapshot, queryLimits } from './snapshot.ts'
import type { HistoryTelemetry } from './telemetry.ts'

export interface HistoryOptions {
  readonly warehouse: WarehouseReader
  /** Partitions of `playback.events`. */
  readonly partitions: number
  readonly paneLifeMs: number
  readonly limits: ServingLimits
  readonly clock: Clock
  readonly telemetry: HistoryTelemetry
}

export class History {
  readonly minutes: HistoryMinutes
  readonly #options: HistoryOptions
  readonly #slots: QuerySlots
  #current: HistorySnapshot | undefined
  /** Monotonic time when the control rows were last read. */
  #checkedMs: number | undefined
  #failure: { readonly error: BackhaulError; readonly atMs: number } | undefined
  /** Under way until the warehouse has answered, also when nobody waits for it any more. */
  #reading: Promise<void> | undefined
  #stopped = false

  constructor(options: HistoryOptions) {
    this.#options = options
    this.#slots = new QuerySlots(options.limits)
    this.minutes = new HistoryMinutes({
      limits: options.limits,
      clock: options.clock,
      onCache: options.telemetry.minutesAsked,
    })
  }

  /** The newest run known, for `/v1/status`. */
  get run(): BatchRun | undefined {
    return this.#current?.run
  }

  /**
   * The snapshot to answer from, held for the caller, who releases it; `undefined` while no batch
   * has completed. Throws `SERVING_HISTORY_UNAVAILABLE` when the warehouse does not answer. With
   * `wait` false it is whatever is known, and a newer one is looked for meanwhile.
   */
  async acquire(wait = true): Promise<HistorySnapshot | undefined> {
    const { clock, limits } = this.#options
    const ageMs = clock.monotonicMs() - (this.#checkedMs ?? Number.NEGATIVE_INFINITY)
    if (wait && ageMs > limits.historySnapshotMaxAgeMs) await this.#refresh()
    else if (ageMs >= limits.historyRefreshMs) void this.#refresh().catch(() => undefined)
    this.#current?.hold()
    return this.#current
  }

  /** Looks for a newer run at once: the batch has said that one ended. */
  runEnded(): void {
    void this.#refresh().catch(() => undefined)
  }

  /** Gives up a snapshot that could not be read; after a while another one is opened. */
  discard(snapshot: HistorySnapshot, cause: unknown): void {
    if (this.#current !== snapshot) return
    this.#replace(undefined)
    this.#checkedMs = undefined
    this.#failed(cause)
  }

  /** Sets the gauges to what they are now. */
  reportSizes(): void {
    const { inFlight, waiting } = this.#slots
    this.#options.telemetry.sizesChanged({ inFlight, waiting, minuteRows: this.minutes.cachedRows })
  }

  /** Lets go of the snapshot; one that is being opened is closed once it is there. */
  stop(): void {
    this.#stopped = true
    this.#replace(undefined)
  }

  /** One refresh at a time; a warehouse that has just failed is left alone for a while. */
  #refresh(): Promise<void> {
    const { clock, limits } = this.#options
    const failure = this.#failure
    if (failure !== undefined && clock.monotonicMs() - failure.atMs < limits.historyRetryMs)
      return Promise.reject(failure.error)
    this.#reading ??= this.#readNewest().finally(() => (this.#reading = undefined))
    return withinTime(this.#reading, clock, limits.historyTimeoutMs).then(
      () => {
        this.#failure = undefined
      },
      (cause: unknown) => {
        throw this.#failed(cause)
      },
    )
  }

  #failed(cause: unknown): BackhaulError {
    const error = unavailable(cause)
    this.#options.telemetry.failed({ error, isFirst: this.#failure === undefined })
    this.#failure = { error, atMs: this.#options.clock.monotonicMs() }
    return error
  }

  async #readNewest(): Promise<void> {
    const { warehouse, partitions, paneLifeMs, limits, clock, telemetry } = this.#options
    const openedMs = clock.monotonicMs()
    const rows = await inSession(warehouse, (session) =>
      session.query(LAST_CONTROL_ROWS, queryLimits(limits)),
    )
    const run = newestRun(rows, partitions, paneLifeMs)
    const current = this.#current
    const isFresh =
      current !== undefined && openedMs - current.openedMs < limits.historySnapshotLifeMs
    if (run?.run !== current?.run.run || (run !== undefined && !isFresh)) {
      const snapshot = run === undefined ? undefined : await this.#open(run, openedMs)
      if (run !== undefined) telemetry.runSeen(run)
      this.#replace(snapshot)
    }
    this.#checkedMs = openedMs
  }

  async #open(run: BatchRun, openedMs: number): Promise<HistorySnapshot> {
    const { warehouse, paneLifeMs, limits } = this.#options
    const session = await warehouse.open()
    try {
      const cuts = await session.query(CUT_BEGINNINGS, queryLimits(limits))
      const beginnings = new Map(
        cuts.map((row) => [textOf(row, 'cut') ?? '', integerOf(row, 'first_minute_ms')]),
      )
      // As with rows that were rebuilt: what spans the beginning is over after a pane's life.
      const [begins] = run.beginsLate
        ? await session.query(HISTORY_BEGINS, queryLimits(limits))
        : []
      const beginsMs = begins && optionalIntegerOf(begins, 'begins_ms')
      const wholeFromMs = beginsMs === undefined ? 0 : beginsMs + paneLifeMs
      const slots = this.#slots
      return new HistorySnapshot({ run, session, beginnings, wholeFromMs, slots, openedMs })
    } catch (error) {
      await session.close().catch(() => undefined)
      throw error
    }
  }

  #replace(snapshot: HistorySnapshot | undefined): void {
    this.#current?.release()
    this.#current = this.#stopped ? undefined : snapshot
    if (this.#stopped) snapshot?.release()
  }
}

async function inSession<Value>(
  warehouse: WarehouseReader,
  work: (session: ReadSession) => Promise<Value>,
): Promise<Value> {
  const session = await warehouse.open()
  try {
    return await work(session)
  } finally {
    await session.close().catch(() => undefined)
  }
}

/** What went wrong with the warehouse, as what it means to a reader. */
export function unavailable(cause: unknown): BackhaulError {
  const known = cause instanceof BackhaulError
  if (known && cause.code.startsWith('SERVING_HISTORY_')) return cause
  return servingErrors.create('SERVING_HISTORY_UNAVAILABLE', {
    expected: 'the warehouse to answer',
    received: known ? cause.code : 'a failure that the server’s log shows',
    cause,
  })
}
