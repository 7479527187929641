/**
 * Reads merged minutes of a cut. Minutes whose panes are closed in all partitions do not change
 * any more and are kept in memory, bounded by rows and by time (a repair may restate them).
 */
import { LRUCache } from 'lru-cache'
import { MINUTE_MS } from '../shared/qoe/aggregates.ts'
import type { Cut } from '../shared/qoe/cuts.ts'
import type { Clock } from '../shared/runtime/clock.ts'
import { BackhaulError } from '../shared/runtime/errors.ts'
import type { SpeedStore } from '../shared/speed/speed-store.ts'
import { servingErrors } from './errors.ts'
import { readProgress, type PartitionProgress } from './generations.ts'
import type { ServingLimits } from './limits.ts'
import type { MinuteRange } from './qoe-query.ts'
import { mergeMinuteRows, type MergedMinute, type MergedMinutes } from './row-merge.ts'

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

const NO_KEYS: MergedMinute = new Map()

export function createMinuteReader(options: MinuteReaderOptions): MinuteReader {
  const { speed, view, limits, clock } = options
  const closed = new LRUCache<string, MergedMinute>({
    maxSize: limits.closedMinuteRowsMax,
    sizeCalculation: (minute) => minute.size + 1,
    ttl: limits.closedMinuteTtlMs,
    // The cache takes time 0 for "has no age".
    perf: { now: () => clock.monotonicMs() + 1 },
    // The clock is asked at every look-up, so that a clock moved by hand counts at once.
    ttlResolution: 0,
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
      const closedBeforeMs = asOfMs === undefined ? 0 : asOfMs - options.paneLifeMs
      const nameOf = (startMs: number) => `${request.cut.id} ${startMs} ${progress.signature}`
      const minutes = new Map<number, MergedMinute>()
      let missingFromMs: number | undefined
      let missingToMs = request.fromMs
      let misses = 0
      for (let startMs = request.fromMs; startMs < request.toMs; startMs += MINUTE_MS) {
        const known = closed.get(nameOf(startMs))
        if (known !== undefined) minutes.set(startMs, known)
        else {
          missingFromMs ??= startMs
          missingToMs = startMs + MINUTE_MS
          misses++
        }
      }
      options.onCache?.({ hits: minutes.size, misses })
      if (missingFromMs === undefined) return minutes
      const missing = { ...request, fromMs: missingFromMs, toMs: missingToMs }
      const read = await readFromStore(missing, progress)
      for (let startMs = missingFromMs; startMs < missingToMs; startMs += MINUTE_MS) {
        if (minutes.has(startMs)) continue
        const minute = read.get(startMs) ?? NO_KEYS
        minutes.set(startMs, minute)
        if (startMs + MINUTE_MS < closedBeforeMs) closed.set(nameOf(startMs), minute)
      }
      return minutes
    },
    get cachedRows() {
      return closed.calculatedSize
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
