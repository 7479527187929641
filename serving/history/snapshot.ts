/**
 * The history as it stood at one moment: one run, its boundary, and one session of the warehouse.
 * Whoever answers from it holds it; it closes when it has been replaced and the last one lets go,
 * and a query that nobody waits for any more holds it too.
 */
import type { Cut } from '../../shared/qoe/cuts.ts'
import type { QueryLimits, Row, Select } from '../../shared/warehouse/warehouse.ts'
import type { ReadSession } from '../../shared/warehouse/warehouse-reader.ts'
import type { MinuteRange } from '../qoe-query.ts'
import type { ServingLimits } from '../limits.ts'
import type { BatchRun } from './control-rows.ts'
import type { QuerySlots } from './query-slots.ts'

export interface SnapshotOptions {
  readonly run: BatchRun
  readonly session: ReadSession
  /** First minute of each cut. */
  readonly beginnings: ReadonlyMap<string, number>
  /** What is older may be in the history in part; 0 when it holds all. */
  readonly wholeFromMs: number
  readonly slots: QuerySlots
  readonly openedMs: number
}

export class HistorySnapshot {
  readonly run: BatchRun
  /** Monotonic time at which it was opened. */
  readonly openedMs: number
  readonly #session: ReadSession
  readonly #beginnings: ReadonlyMap<string, number>
  readonly #wholeFromMs: number
  readonly #slots: QuerySlots
  /** The owner counts as one. */
  #holders = 1

  constructor(options: SnapshotOptions) {
    this.run = options.run
    this.openedMs = options.openedMs
    this.#session = options.session
    this.#beginnings = options.beginnings
    this.#wholeFromMs = options.wholeFromMs
    this.#slots = options.slots
  }

  /** The minutes of a cut that the history answers for; `undefined` when it has none. */
  covered(cut: Cut): MinuteRange | undefined {
    const beginsMs = this.#beginnings.get(cut.id)
    if (beginsMs === undefined) return undefined
    const fromMs = Math.max(beginsMs, this.#wholeFromMs)
    const toMs = this.run.completeToMs
    return fromMs < toMs ? { fromMs, toMs } : undefined
  }

  /** Whether the history holds minutes of `range` for other cuts and not for this one. */
  lacks(cut: Cut, range: MinuteRange): boolean {
    const beginsMs = this.#beginnings.get(cut.id) ?? this.run.completeToMs
    const anyBeginsMs = Math.min(this.run.completeToMs, ...this.#beginnings.values())
    const missingFromMs = Math.max(range.fromMs, anyBeginsMs, this.#wholeFromMs)
    return missingFromMs < Math.min(range.toMs, beginsMs)
  }

  /** Throws `SERVING_HISTORY_BUSY`, or what the warehouse throws. */
  query(select: Select, limits: QueryLimits, signal: AbortSignal): Promise<readonly Row[]> {
    return this.#slots.run(async () => {
      this.hold()
      try {
        return await this.#session.query(select, limits)
      } finally {
        this.release()
      }
    }, signal)
  }

  hold(): void {
    this.#holders++
  }

  release(): void {
    this.#holders--
    // What a session of a warehouse that is gone answers to `close` helps nobody.
    if (this.#holders === 0) this.#session.close().catch(() => undefined)
  }
}

export function queryLimits(limits: ServingLimits): QueryLimits {
  return { maxRows: limits.historyRowsPerQueryMax, timeoutMs: limits.historyTimeoutMs }
}
