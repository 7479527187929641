/**
 * Merged minutes of the history. Whole minutes are kept in memory under the run that they were read
 * from: a late run that restates them is a new name. They are kept for a limited time besides,
 * because erasing a viewer restates them without a run.
 */
import type { Clock } from '../../shared/runtime/clock.ts'
import { BackhaulError } from '../../shared/runtime/errors.ts'
import { servingErrors } from '../errors.ts'
import type { ServingLimits } from '../limits.ts'
import { MinuteCache, type MinuteCacheOptions } from '../minute-cache.ts'
import type { MinuteRange, Selection } from '../qoe-query.ts'
import type { MergedMinutes } from '../../shared/speed/row-merge.ts'
import { withinTime } from '../within-time.ts'
import { minutesFromRows, selectMinutes } from './minutes.ts'
import { queryLimits, type HistorySnapshot } from './snapshot.ts'

export interface HistoryMinutesOptions {
  readonly limits: ServingLimits
  readonly clock: Clock
  readonly onCache?: MinuteCacheOptions['onAsked']
}

type Filter = Pick<Selection, 'cut' | 'where'>

export class HistoryMinutes {
  readonly #limits: ServingLimits
  readonly #clock: Clock
  readonly #cache: MinuteCache

  constructor({ limits, clock, onCache }: HistoryMinutesOptions) {
    this.#limits = limits
    this.#clock = clock
    this.#cache = new MinuteCache({
      rowsMax: limits.historyMinuteRowsMax,
      ttlMs: limits.closedMinuteTtlMs,
      clock,
      onAsked: onCache,
    })
  }

  get cachedRows(): number {
    return this.#cache.rows
  }

  /**
   * Minutes of a range that `snapshot` covers. Throws `SERVING_QUERY_TOO_LARGE`, `SERVING_TIMEOUT`,
   * `SERVING_HISTORY_BUSY`, or what the warehouse throws.
   */
  read(
    filter: Filter,
    range: MinuteRange,
    snapshot: HistorySnapshot,
    timeoutMs: number,
  ): Promise<MergedMinutes> {
    const query = (asked: MinuteRange) => this.#query(filter, asked, snapshot, timeoutMs)
    // What filters by content metadata alone reads all rows of the cut, and so shares them.
    if (filter.cut.dimensions.some((dimension) => filter.where.has(dimension))) return query(range)
    return this.#cache.read(range, {
      nameOf: (startMs) => `${filter.cut.id} ${startMs} ${snapshot.run.run}`,
      closedBeforeMs: snapshot.run.completeToMs,
      read: query,
    })
  }

  async #query(
    filter: Filter,
    range: MinuteRange,
    snapshot: HistorySnapshot,
    timeoutMs: number,
  ): Promise<MergedMinutes> {
    const giveUp = new AbortController()
    const limits = { ...queryLimits(this.#limits), timeoutMs }
    try {
      const rows = await withinTime(
        snapshot.query(selectMinutes(filter, range), limits, giveUp.signal),
        this.#clock,
        timeoutMs,
      )
      return await minutesFromRows(rows, filter.cut)
    } catch (error) {
      throw tooLargeOr(error, limits.maxRows)
    } finally {
      giveUp.abort()
    }
  }
}

function tooLargeOr(error: unknown, rowsMax: number): unknown {
  if (!(error instanceof BackhaulError) || error.code !== 'WAREHOUSE_QUERY_TOO_LARGE') return error
  return servingErrors.create('SERVING_QUERY_TOO_LARGE', {
    expected: `at most ${rowsMax} rows of the history`,
    received: 'more',
    cause: error,
  })
}
