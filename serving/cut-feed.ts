/**
 * The newest minutes of one cut, kept for all live subscriptions to it. The newest minutes are
 * read at every refresh; older ones change rarely (late events) and are read again every
 * `liveFullReadMs`. A wide cut is read only when its rows have moved.
 */
import { MINUTE_MS } from '../shared/qoe/aggregates.ts'
import type { Cut } from '../shared/qoe/cuts.ts'
import { readMinutes, type Moment, type Reading, type ReadingContext } from './reading.ts'
import type { MergedMinute, MergedMinutes } from '../shared/speed/row-merge.ts'

export interface RefreshRequest {
  readonly moment: Moment
  /** End of the newest minute. */
  readonly toMs: number
  /** Length of the longest window subscribed to. */
  readonly minutes: number
  readonly monotonicMs: number
}

export type FeedFacts = Omit<Reading, 'minutes'>

const NOTHING_READ: Reading = {
  minutes: new Map(),
  sidesOf: ({ toMs }) => [{ source: 'speed', toMs, asOfMs: undefined }],
  asOfMs: undefined,
  isLive: true,
  historyToMs: undefined,
  degraded: [],
}

export class CutFeed {
  readonly #cut: Cut
  readonly #context: ReadingContext
  #minutes = new Map<number, MergedMinute>()
  #window = 0
  #toMs = 0
  #fullReadAtMs: number | undefined
  #signature = ''
  #asOfMs: number | undefined
  #reading = NOTHING_READ

  constructor(cut: Cut, context: ReadingContext) {
    this.#cut = cut
    this.#context = context
  }

  async refresh(request: RefreshRequest): Promise<void> {
    const { moment, toMs, minutes, monotonicMs } = request
    const { liveFullReadMs, liveNewestMinutes } = this.#context.limits
    const progress = await moment.progress()
    const asOfMs = progress.asOfMs(this.#cut.width)
    const full =
      this.#fullReadAtMs === undefined ||
      monotonicMs - this.#fullReadAtMs >= liveFullReadMs ||
      minutes > this.#window ||
      progress.signature !== this.#signature
    const moved = asOfMs === undefined || asOfMs !== this.#asOfMs || toMs !== this.#toMs
    if (!full && this.#cut.width === 'wide' && !moved) return
    const fromMs = toMs - (full ? minutes : liveNewestMinutes) * MINUTE_MS
    const selection = { cut: this.#cut, by: [], where: new Map() }
    const range = { fromMs, toMs, stepMs: MINUTE_MS }
    const reading = await readMinutes(selection, range, moment, this.#context)
    for (const startMs of this.#minutes.keys())
      if (startMs < toMs - minutes * MINUTE_MS || startMs >= fromMs) this.#minutes.delete(startMs)
    for (const [startMs, minute] of reading.minutes) this.#minutes.set(startMs, minute)
    this.#window = minutes
    this.#toMs = toMs
    this.#asOfMs = asOfMs
    if (!full) {
      // What is older stays as the last whole read found it, with the boundary it saw.
      this.#reading = { ...this.#reading, asOfMs: reading.asOfMs }
      return
    }
    this.#reading = reading
    this.#fullReadAtMs = monotonicMs
    this.#signature = progress.signature
  }

  /** What the last whole read says of its buckets; the watermark is that of the last read. */
  get facts(): FeedFacts {
    const { asOfMs, historyToMs, degraded, sidesOf } = this.#reading
    return {
      asOfMs,
      isLive: true,
      historyToMs,
      degraded,
      sidesOf: (range) =>
        sidesOf(range).map((side) => (side.source === 'speed' ? { ...side, asOfMs } : side)),
    }
  }

  /** The minutes of a window that ends with the newest one. */
  window(minutes: number): MergedMinutes {
    const fromMs = this.#toMs - minutes * MINUTE_MS
    return new Map([...this.#minutes].filter(([startMs]) => startMs >= fromMs))
  }
}
