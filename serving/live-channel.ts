/**
 * One live question and its subscribers. It remembers a hash of each bucket sent, so that an
 * update carries only what changed; the answer is rendered once for all subscribers.
 */
import { MINUTE_MS } from '../shared/qoe/aggregates.ts'
import type { Clock } from '../shared/runtime/clock.ts'
import type { LiveUpdate, QoeSeries } from './api-schemas.ts'
import type { CutFeed } from './cut-feed.ts'
import { freshnessOf } from './freshness.ts'
import type { ServingLimits } from './limits.ts'
import { bucketFacts } from './qoe.ts'
import { contentStateOf, type selectCut, type Selection } from './qoe-query.ts'
import { groupKeys, toSeries } from './series.ts'

export interface ChannelOptions {
  readonly name: string
  /** What the subscribers asked for, whichever cut answers it. */
  readonly asked: Parameters<typeof selectCut>[0]
  readonly selection: Selection
  readonly minutes: number
  readonly seriesMax: number
}

export interface ChannelMoment {
  readonly nowMs: number
  readonly toMs: number
  readonly limits: ServingLimits
  readonly paneLifeMs: number
  readonly clock: Clock
}

/** JSON of an update without its `id`, rendered when first asked for. */
export interface RenderedUpdate {
  whole(): string
  changed(): string
}

export class LiveChannel<Member> {
  readonly name: string
  readonly asked: ChannelOptions['asked']
  readonly selection: Selection
  readonly minutes: number
  readonly members = new Set<Member>()
  readonly #seriesMax: number
  /** Hash of each bucket as last rendered, by series and start. */
  #sent = new Map<string, Map<number, number>>()

  constructor(options: ChannelOptions) {
    this.name = options.name
    this.asked = options.asked
    this.selection = options.selection
    this.minutes = options.minutes
    this.#seriesMax = options.seriesMax
  }

  /** The same question to another view, with the same subscribers and nothing sent yet. */
  movedTo(selection: Selection): LiveChannel<Member> {
    const { name, asked, minutes, members } = this
    const moved = new LiveChannel<Member>({
      name,
      asked,
      selection,
      minutes,
      seriesMax: this.#seriesMax,
    })
    for (const member of members) moved.members.add(member)
    return moved
  }

  update(feed: CutFeed, moment: ChannelMoment): RenderedUpdate {
    const { selection } = this
    const range = { fromMs: moment.toMs - this.minutes * MINUTE_MS, toMs: moment.toMs }
    const facts = bucketFacts(selection, feed.facts, moment)
    const series = groupKeys(feed.window(this.minutes), selection, this.#seriesMax).map((group) =>
      toSeries(group, { ...range, stepMs: MINUTE_MS, windowMs: MINUTE_MS }, facts),
    )
    const changed = this.#takeChanges(series)
    const base: Omit<LiveUpdate, 'id' | 'full' | 'series'> = {
      ...range,
      by: [...selection.by],
      ...freshnessOf(selection.cut, feed.facts, moment.nowMs, moment.limits),
      ...contentStateOf(selection),
    }
    const whole = once(() => JSON.stringify({ full: true, ...base, series }))
    // A series came or went: a client that patches buckets would keep a stale one.
    const delta = once(() => JSON.stringify({ full: false, ...base, series: changed }))
    return { whole, changed: () => (changed === undefined ? whole() : delta()) }
  }

  /** Series reduced to changed buckets, or `undefined` when the set of series changed. */
  #takeChanges(series: readonly QoeSeries[]): QoeSeries[] | undefined {
    const before = this.#sent
    this.#sent = new Map()
    const changed: QoeSeries[] = []
    let sameSeries = series.length === before.size
    for (const one of series) {
      const name = JSON.stringify([one.key, one.other ?? false])
      const known = before.get(name)
      const hashes = new Map<number, number>()
      this.#sent.set(name, hashes)
      sameSeries &&= known !== undefined
      const buckets = one.buckets.filter((bucket) => {
        // Every bucket carries the watermark; it moves each second and is no change by itself.
        const hash = hashOf(JSON.stringify({ ...bucket, asOfMs: null }))
        hashes.set(bucket.startMs, hash)
        return known?.get(bucket.startMs) !== hash
      })
      if (buckets.length > 0) changed.push({ ...one, buckets })
    }
    return sameSeries ? changed : undefined
  }
}

function once(render: () => string): () => string {
  let text: string | undefined
  return () => (text ??= render())
}

/** 53-bit hash of a string (cyrb53): small to keep, and a collision only delays one bucket. */
function hashOf(text: string): number {
  let high = 0xdeadbeef
  let low = 0x41c6ce57
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index)
    high = Math.imul(high ^ unit, 2_654_435_761)
    low = Math.imul(low ^ unit, 1_597_334_677)
  }
  high =
    Math.imul(high ^ (high >>> 16), 2_246_822_507) ^ Math.imul(low ^ (low >>> 13), 3_266_489_909)
  low =
    Math.imul(low ^ (low >>> 16), 2_246_822_507) ^ Math.imul(high ^ (high >>> 13), 3_266_489_909)
  return 4_294_967_296 * (2_097_151 & low) + (high >>> 0)
}
