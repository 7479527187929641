/**
 * Merged minutes that do not change any more, kept in memory: bounded by rows, and by time, because
 * a repair may restate them all the same.
 */
import { LRUCache } from 'lru-cache'
import { MINUTE_MS } from '../shared/qoe/aggregates.ts'
import type { Clock } from '../shared/runtime/clock.ts'
import type { MinuteRange } from './qoe-query.ts'
import type { MergedMinute, MergedMinutes } from '../shared/speed/row-merge.ts'

export interface MinuteCacheOptions {
  readonly rowsMax: number
  readonly ttlMs: number
  readonly clock: Clock
  readonly onAsked?:
    ((counts: { readonly hits: number; readonly misses: number }) => void) | undefined
}

export interface CachedRead {
  /** What a minute is kept under: everything that its value depends on. */
  readonly nameOf: (startMs: number) => string
  /** Minutes that start before this time are kept. */
  readonly closedBeforeMs: number
  read(missing: MinuteRange): Promise<MergedMinutes>
}

const NO_KEYS: MergedMinute = new Map()

export class MinuteCache {
  readonly #minutes: LRUCache<string, MergedMinute>
  readonly #onAsked: MinuteCacheOptions['onAsked']

  constructor(options: MinuteCacheOptions) {
    this.#onAsked = options.onAsked
    this.#minutes = new LRUCache({
      maxSize: options.rowsMax,
      sizeCalculation: (minute) => minute.size + 1,
      ttl: options.ttlMs,
      // The cache takes time 0 for "has no age".
      perf: { now: () => options.clock.monotonicMs() + 1 },
      // The clock is asked at every look-up, so that a clock moved by hand counts at once.
      ttlResolution: 0,
    })
  }

  /** Rows held, and one for each minute. */
  get rows(): number {
    return this.#minutes.calculatedSize
  }

  /** Every minute of `range`; what is not known is read at once, from the first to the last such. */
  async read(range: MinuteRange, request: CachedRead): Promise<MergedMinutes> {
    const minutes = new Map<number, MergedMinute>()
    let missingFromMs: number | undefined
    let missingToMs = range.fromMs
    let misses = 0
    for (let startMs = range.fromMs; startMs < range.toMs; startMs += MINUTE_MS) {
      const known = this.#minutes.get(request.nameOf(startMs))
      if (known !== undefined) minutes.set(startMs, known)
      else {
        missingFromMs ??= startMs
        missingToMs = startMs + MINUTE_MS
        misses++
      }
    }
    this.#onAsked?.({ hits: minutes.size, misses })
    if (missingFromMs === undefined) return minutes
    const read = await request.read({ fromMs: missingFromMs, toMs: missingToMs })
    for (let startMs = missingFromMs; startMs < missingToMs; startMs += MINUTE_MS) {
      if (minutes.has(startMs)) continue
      const minute = read.get(startMs) ?? NO_KEYS
      minutes.set(startMs, minute)
      if (startMs < request.closedBeforeMs) this.#minutes.set(request.nameOf(startMs), minute)
    }
    return minutes
  }
}
