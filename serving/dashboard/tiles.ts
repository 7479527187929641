/** The big numbers: the last five minutes, their half hour as a small line, and how they differ. */
import type { QoeBucket, QoeMetrics } from '../api-schemas.ts'
import { instantData, latestComplete } from './chart-data.ts'
import { h, setText } from './dom.ts'
import {
  formatBitrate,
  formatCount,
  formatDuration,
  formatPercent,
  formatRate,
  joined,
  type Quantity,
} from './format.ts'
import type { LiveWindow } from './live-series.ts'
import { Sparkline } from './sparkline.ts'

interface TileSpec {
  readonly label: string
  readonly hint: string
  readonly value: (moment: Moment) => Quantity
  readonly second: (moment: Moment) => string
  /** The number behind `value`, now and over the half hour, for the comparison. */
  readonly compared?: (metrics: QoeMetrics) => number | null
  readonly spark: (bucket: QoeBucket) => number | null
  readonly sparkLeastMax: number
}

interface Moment {
  /** The last five minutes. */
  readonly now: QoeMetrics
  readonly halfHour: QoeMetrics
  readonly window: LiveWindow
  readonly minutesNow: number
}

const both = (metrics: QoeMetrics) =>
  metrics.vsfRatio === null && metrics.vpfRatio === null
    ? null
    : (metrics.vsfRatio ?? 0) + (metrics.vpfRatio ?? 0)

const TILES: readonly TileSpec[] = [
  {
    label: 'Concurrent plays',
    hint: 'Plays started and not ended, at the newest complete 10 s instant',
    value: ({ window }) =>
      formatCount(latestComplete(instantData(window, window.series, 'concurrentPlaysByInstant'))),
    second: ({ window }) => {
      const viewers = latestComplete(
        instantData(window, window.series, 'concurrentViewersByInstant'),
      )
      return `${joined(formatCount(viewers))} watching`
    },
    spark: (bucket) => (bucket.concurrencyComplete ? bucket.concurrentPlays : null),
    sparkLeastMax: 1,
  },
  {
    label: 'Starts',
    hint: 'Plays that began, per minute, over the last five minutes; distinct viewers of the half hour',
    value: ({ now, minutesNow }) => ({ ...formatRate(now.plays / minutesNow), unit: '/min' }),
    second: ({ halfHour }) =>
      `${joined(formatCount(halfHour.distinctViewers))} viewers/30\u202fmin`,
    spark: (bucket) => bucket.plays,
    sparkLeastMax: 1,
  },
  {
    label: 'Start-up p50',
    hint: 'Median time from the request to the first picture',
    value: ({ now }) => formatDuration(now.startupMsP50),
    second: ({ now }) => `p95 ${joined(formatDuration(now.startupMsP95))}`,
    compared: (metrics) => metrics.startupMsP50,
    spark: (bucket) => bucket.startupMsP50,
    sparkLeastMax: 1_000,
  },
  {
    label: 'Stalled time',
    hint: 'Stalled time ÷ watched time',
    value: ({ now }) => formatPercent(now.stalledTimeRatio),
    second: ({ now }) => `${joined(formatRate(now.stallsPerPlayingHour))} stalls/h`,
    compared: (metrics) => metrics.stalledTimeRatio,
    spark: (bucket) => bucket.stalledTimeRatio,
    sparkLeastMax: 0.01,
  },
  {
    label: 'Failures',
    hint: 'Failed starts ÷ attempts (VSF), failed plays ÷ ended plays (VPF)',
    value: ({ now }) => formatPercent(now.vsfRatio),
    second: ({ now }) => `VSF · VPF ${joined(formatPercent(now.vpfRatio))}`,
    compared: (metrics) => metrics.vsfRatio,
    spark: both,
    sparkLeastMax: 0.02,
  },
  {
    label: 'Early exits',
    hint: 'Exits before the video start (EBVS) ÷ attempts',
    value: ({ now }) => formatPercent(now.ebvsRatio),
    second: ({ now }) => `EBVS · ${joined(formatCount(now.ebvsLong))} after ≥ 1 s`,
    compared: (metrics) => metrics.ebvsRatio,
    spark: (bucket) => bucket.ebvsRatio,
    sparkLeastMax: 0.05,
  },
  {
    label: 'Bitrate',
    hint: 'Bits played ÷ media time with a known bitrate',
    value: ({ now }) => formatBitrate(now.averageBitrateKbps),
    second: ({ now }) => `${joined(formatRate(now.playingHours))} h played`,
    compared: (metrics) => metrics.averageBitrateKbps,
    spark: (bucket) => bucket.averageBitrateKbps,
    sparkLeastMax: 1_000,
  },
  {
    label: 'Events lost',
    hint: 'Events that never arrived ÷ events expected, over the half hour; counted at a session’s close',
    value: ({ halfHour }) => formatPercent(halfHour.eventsLostRatio),
    second: ({ halfHour }) =>
      `${joined(formatCount(halfHour.duplicates))} dup · ${joined(formatCount(halfHour.late))} late`,
    spark: (bucket) => bucket.eventsLostRatio,
    sparkLeastMax: 0.001,
  },
]

export class Tiles {
  readonly element = h('div', { class: 'tiles' })
  readonly #tiles = TILES.map((spec) => new Tile(spec))

  constructor() {
    this.element.append(...this.#tiles.map(({ element }) => element))
  }

  /** `window` is the half hour of the total, `recent` its last five minutes. */
  draw(window: LiveWindow, recent: LiveWindow): void {
    const halfHour = window.series[0]?.summary
    const now = recent.series[0]?.summary
    if (halfHour === undefined || now === undefined) return
    const reachedMs = recent.update.asOfMs ?? recent.update.toMs
    const minutesNow = Math.max(1, (reachedMs - recent.update.fromMs) / 60_000)
    for (const tile of this.#tiles) tile.draw({ now, halfHour, window, minutesNow })
  }
}

class Tile {
  readonly element: HTMLElement
  readonly #spec: TileSpec
  readonly #value = h('span', { class: 'tile-value' }, '–')
  readonly #unit = h('span', { class: 'tile-unit' })
  readonly #second = h('span', { class: 'tile-second' })
  readonly #delta = h('span', {
    class: 'tile-delta',
    title: 'The last 5 minutes against the last 30',
  })
  readonly #spark = new Sparkline()

  constructor(spec: TileSpec) {
    this.#spec = spec
    this.element = h(
      'section',
      { class: 'tile', title: spec.hint },
      h('div', { class: 'tile-head' }, h('h3', {}, spec.label), this.#delta),
      h('p', { class: 'tile-number' }, this.#value, this.#unit),
      this.#second,
      this.#spark.element,
    )
  }

  draw(moment: Moment): void {
    const quantity = this.#spec.value(moment)
    setText(this.#value, quantity.value)
    setText(this.#unit, quantity.unit)
    setText(this.#second, this.#spec.second(moment))
    const { compared } = this.#spec
    setText(
      this.#delta,
      compared && !moment.now.lowSample
        ? comparison(compared(moment.now), compared(moment.halfHour))
        : '',
    )
    const buckets = moment.window.series[0]?.buckets ?? []
    const asOfMs = moment.window.update.asOfMs ?? 0
    const complete = buckets.filter((bucket) => bucket.startMs + 60_000 <= asOfMs)
    this.#spark.draw(complete.map(this.#spec.spark), this.#spec.sparkLeastMax)
  }
}

/** `▲ 12 %` against the half hour; nothing for a difference too small to mean anything. */
function comparison(now: number | null, usual: number | null): string {
  if (now === null || usual === null || usual === 0) return ''
  const change = now / usual - 1
  if (Math.abs(change) < 0.1) return '≈ 30 min'
  const percent = Math.round(Math.abs(change) * 100)
  const amount = change >= 1 ? `×${(change + 1).toFixed(1)}` : `${percent}\u202f%`
  return `${change > 0 ? '▲' : '▼'} ${amount}`
}
