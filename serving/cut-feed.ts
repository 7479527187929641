/**
 * The newest minutes of one cut, kept for all live subscriptions to it. The newest minutes are
 * read at every refresh; older ones change rarely (late events) and are read again every
 * `liveFullReadMs`. A wide cut is read only when its rows have moved.
 */
import { MINUTE_MS } from '../shared/qoe/aggregates.ts'
import type { Cut } from '../shared/qoe/cuts.ts'
import type { PartitionProgress } from './generations.ts'
import type { ServingLimits } from './limits.ts'
import type { MinuteReader } from './minute-reader.ts'
import type { MergedMinute, MergedMinutes } from './row-merge.ts'

export interface RefreshRequest {
  readonly progress: PartitionProgress
  /** End of the newest minute. */
  readonly toMs: number
  /** Length of the longest window subscribed to. */
  readonly minutes: number
  readonly monotonicMs: number
}

type FeedLimits = Pick<ServingLimits, 'liveNewestMinutes' | 'liveFullReadMs'>

export class CutFeed {
  readonly #cut: Cut
  readonly #reader: MinuteReader
  readonly #limits: FeedLimits
  #minutes = new Map<number, MergedMinute>()
  #window = 0
  #toMs = 0
  #fullReadAtMs: number | undefined
  #signature = ''
  #asOfMs: number | undefined

  constructor(cut: Cut, reader: MinuteReader, limits: FeedLimits) {
    this.#cut = cut
    this.#reader = reader
    this.#limits = limits
  }

  async refresh(request: RefreshRequest): Promise<void> {
    const { progress, toMs, minutes, monotonicMs } = request
    const asOfMs = progress.asOfMs(this.#cut.width)
    const full =
      this.#fullReadAtMs === undefined ||
      monotonicMs - this.#fullReadAtMs >= this.#limits.liveFullReadMs ||
      minutes > this.#window ||
      progress.signature !== this.#signature
    const moved = asOfMs === undefined || asOfMs !== this.#asOfMs || toMs !== this.#toMs
    if (!full && this.#cut.width === 'wide' && !moved) return
    const fromMs = toMs - (full ? minutes : this.#limits.liveNewestMinutes) * MINUTE_MS
    const read = await this.#reader.readMinutes({ cut: this.#cut, fromMs, toMs }, progress)
    for (const startMs of this.#minutes.keys())
      if (startMs < toMs - minutes * MINUTE_MS || startMs >= fromMs) this.#minutes.delete(startMs)
    for (const [startMs, minute] of read) this.#minutes.set(startMs, minute)
    this.#window = minutes
    this.#toMs = toMs
    this.#asOfMs = asOfMs
    if (!full) return
    this.#fullReadAtMs = monotonicMs
    this.#signature = progress.signature
  }

  /** The minutes of a window that ends with the newest one. */
  window(minutes: number): MergedMinutes {
    const fromMs = this.#toMs - minutes * MINUTE_MS
    return new Map([...this.#minutes].filter(([startMs]) => startMs >= fromMs))
  }
}
