/**
 * Reads merged minutes of a cut. Minutes whose panes are closed in all partitions do not change
 * any more and are kept in memory, bounded by rows and by time (a repair may restate them).
 */
import { MINUTE_MS } from '../shared/qoe/aggregates.ts'
import type { Cut } from '../shared/qoe/cuts.ts'
import type { Clock } from '../shared/runtime/clock.ts'
import { BackhaulError } from '../shared/runtime/errors.ts'
import type { SpeedStore } from '../shared/speed/speed-store.ts'
import { servingErrors } from './errors.ts'
import { readProgress, type PartitionProgress } from '../shared/speed/generations.ts'
import type { ServingLimits } from './limits.ts'
import { MinuteCache } from './minute-cache.ts'
import type { MinuteRange } from './qoe-query.ts'
import {
  mergeMinuteRows,
  type MergedMinute,
  type MergedMinutes,
} from '../shared/speed/row-merge.ts'

export interface MinuteReaderOptions {
  readonly speed: SpeedStore
  readonly view: string
  readonly partitions: number
  readonly paneLifeMs: number
  readonly limits: ServingLimits
  readonly clock: Clock
  readonly onCache?: (counts: { readonly hits: number; readonly misses: number }) => void
}

export interface MinuteReader {
  readProgress(): Promise<PartitionProgress>
  /** Throws `SERVING_QUERY_TOO_LARGE`, or what the store throws. */
  readMinutes(request: MinuteRequest, progress: PartitionProgress): Promise<MergedMinutes>
  /** Rows held for closed minutes. */
  readonly cachedRows: number
}

export interface MinuteRequest extends MinuteRange {
  readonly cut: Cut
  /** Only these keys; all when absent. */
  readonly keys?: readonly string[]
}

export function createMinuteReader(options: MinuteReaderOptions): MinuteReader {
  const { speed, view, limits, clock } = options
  const closed = new MinuteCache({
    rowsMax: limits.closedMinuteRowsMax,
    ttlMs: limits.closedMinuteTtlMs,
    clock,
    onAsked: options.onCache,
  })

  async function readFromStore(
    request: MinuteRequest,
    progress: PartitionProgress,
  ): Promise<Map<number, MergedMinute>> {
    const rows = await speed
      .readMinutes({
        view,
        cut: request.cut.id,
        fromMs: request.fromMs,
        toMs: request.toMs,
        limit: limits.rowsPerQueryMax,
        ...(request.keys === undefined ? {} : { keys: request.keys }),
      })
      .catch((error: unknown) => {
        throw tooLargeOr(error, limits.rowsPerQueryMax)
      })
    return mergeMinuteRows(rows, request.cut.width, progress)
  }

  return {
    async readProgress() {
      return readProgress(await speed.readPartitions(view), options.partitions, options.paneLifeMs)
    },
    async readMinutes(request, progress) {
      if (request.keys !== undefined) return readFromStore(request, progress)
      const asOfMs = progress.asOfMs(request.cut.width)
      return closed.read(request, {
        nameOf: (startMs) => `${request.cut.id} ${startMs} ${progress.signature}`,
        closedBeforeMs: asOfMs === undefined ? 0 : asOfMs - options.paneLifeMs - MINUTE_MS,
        read: (missing) => readFromStore({ ...request, ...missing }, progress),
      })
    },
    get cachedRows() {
      return closed.rows
    },
  }
}

function tooLargeOr(error: unknown, rowsMax: number): unknown {
  if (!(error instanceof BackhaulError) || error.code !== 'SPEED_QUERY_TOO_LARGE') return error
  return servingErrors.create('SERVING_QUERY_TOO_LARGE', {
    expected: `at most ${rowsMax} rows`,
    received: 'more',
    cause: error,
  })
}
