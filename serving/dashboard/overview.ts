/** The overview: big numbers, six charts, the keys of the chosen split, top contents, sessions. */
import type {
  AlertsResponse,
  QoeBucket,
  SessionListResponse,
  StatusResponse,
  TopResponse,
} from '../api-schemas.ts'
import { AlertsPanel } from './alerts-panel.ts'
import { BatchPanel } from './batch-panel.ts'
import { instantData, minuteData, type ChartData } from './chart-data.ts'
import { h } from './dom.ts'
import { emptyState } from './empty-state.ts'
import {
  formatBitrate,
  formatCount,
  formatDuration,
  formatPercent,
  type Quantity,
} from './format.ts'
import { KeyTable } from './key-table.ts'
import { LineChart, type LineStyle } from './line-chart.ts'
import type { KeySeries, LiveWindow } from './live-series.ts'
import { RecentSessions, TopContents } from './side-lists.ts'
import { onThemeChange, seriesProperty } from './theme.ts'
import { Tiles } from './tiles.ts'

interface ChartSpec {
  readonly title: string
  readonly format: (value: number) => Quantity
  readonly leastMax: number
  /** By the minute; without it the chart shows concurrent plays by the instant. */
  readonly pick?: (bucket: QoeBucket) => number | null
}

const CHARTS: readonly ChartSpec[] = [
  { title: 'Concurrent plays', format: formatCount, leastMax: 5 },
  {
    title: 'Stalled time',
    format: formatPercent,
    leastMax: 0.02,
    pick: (bucket) => bucket.stalledTimeRatio,
  },
  {
    title: 'Start-up time p95',
    format: formatDuration,
    leastMax: 2_000,
    pick: (bucket) => bucket.startupMsP95,
  },
  {
    title: 'Failures per minute',
    format: formatCount,
    leastMax: 5,
    pick: (bucket) => bucket.failures,
  },
  { title: 'Starts per minute', format: formatCount, leastMax: 5, pick: (bucket) => bucket.plays },
  {
    title: 'Average bitrate',
    format: formatBitrate,
    leastMax: 1_000,
    pick: (bucket) => bucket.averageBitrateKbps,
  },
]

/** Titles of contents that are remembered. */
const TITLES_MAX = 10_000

export class Overview {
  readonly element: HTMLElement
  readonly #tiles = new Tiles()
  readonly #charts = CHARTS.map((spec) => new LineChart(spec))
  readonly #keys: KeyTable
  readonly #alerts = new AlertsPanel()
  readonly #batch = new BatchPanel()
  readonly #top = new TopContents()
  readonly #sessions = new RecentSessions()
  readonly #content: HTMLElement
  readonly #empty = emptyState()
  readonly #hidden = new Set<string>()
  readonly #titles = new Map<string, string>()
  #hovered: string | undefined
  #knowsNoSession = false
  #splitTitle = ''
  #total: LiveWindow | undefined
  #recent: LiveWindow | undefined
  #split: LiveWindow | undefined
  /** The total over the window of the split, where that is not the tiles' half hour. */
  #overall: LiveWindow | undefined

  constructor() {
    this.#keys = new KeyTable({
      onHover: (label) => {
        if (this.#hovered === label) return
        this.#hovered = label
        this.#drawCharts()
      },
      onToggle: (label) => {
        if (!this.#hidden.delete(label)) this.#hidden.add(label)
        this.#drawSplit()
      },
    })
    this.#content = h(
      'div',
      { class: 'overview' },
      this.#tiles.element,
      h('div', { class: 'charts' }, ...this.#charts.map(({ element }) => element)),
      this.#keys.element,
      h(
        'div',
        { class: 'side' },
        this.#alerts.element,
        this.#batch.element,
        this.#top.element,
        this.#sessions.element,
      ),
    )
    this.element = h('main', { id: 'content' }, this.#empty, this.#content)
    this.#empty.hidden = true
    onThemeChange(() => {
      for (const chart of this.#charts) chart.redraw()
    })
  }

  /** `title` names the split, e.g. `By CDN`; what was shown of another split goes. */
  chooseSplit(title: string): void {
    this.#splitTitle = title
    this.#split = undefined
    this.#overall = undefined
    this.#hidden.clear()
  }

  drawTotal(total: LiveWindow): void {
    this.#total = total
    this.#drawTiles()
    this.#drawEmptyOrNot()
  }

  drawRecent(recent: LiveWindow): void {
    this.#recent = recent
    this.#drawTiles()
  }

  drawOverall(overall: LiveWindow): void {
    this.#overall = overall
    this.#drawSplit()
  }

  drawBatch(status: StatusResponse): void {
    this.#batch.draw(status)
  }

  drawAlerts(alerts: AlertsResponse): void {
    this.#alerts.draw(alerts)
  }

  drawSplitWindow(split: LiveWindow): void {
    this.#split = split
    this.#drawSplit()
  }

  drawTop(top: TopResponse): void {
    this.#top.draw(top, this.#titles)
  }

  drawSessions(response: SessionListResponse): void {
    // Aggregates know contents by id alone; sessions also carry a title.
    for (const { contentId, contentTitle } of response.sessions)
      if (contentId !== undefined && contentTitle !== undefined && this.#titles.size < TITLES_MAX)
        this.#titles.set(contentId, contentTitle)
    this.#sessions.draw(response)
    this.#knowsNoSession = response.sessions.length === 0
    this.#drawEmptyOrNot()
  }

  #drawEmptyOrNot(): void {
    const noEvents = this.#total?.series[0]?.summary.events === 0
    this.#empty.hidden = !(noEvents && this.#knowsNoSession)
    this.#content.hidden = !this.#empty.hidden
  }

  #drawTiles(): void {
    if (this.#total !== undefined && this.#recent !== undefined)
      this.#tiles.draw(this.#total, this.#recent)
  }

  #drawSplit(): void {
    const overall = (this.#overall ?? this.#total)?.series[0]?.summary
    if (this.#split === undefined || overall === undefined) return
    this.#keys.draw(this.#splitTitle, this.#split, overall, this.#hidden)
    this.#drawCharts()
  }

  #drawCharts(): void {
    const window = this.#split
    if (window === undefined) return
    const shown = window.series
      .map((series, index) => ({ series, index }))
      .filter(({ series }) => !this.#hidden.has(series.label))
    const styles = shown.map(({ series, index }) => this.#styleOf(series, index))
    const series = shown.map((one) => one.series)
    for (const [index, spec] of CHARTS.entries())
      this.#charts[index]?.draw(chartData(spec, window, series), styles, window.update.historyToMs)
  }

  #styleOf(series: KeySeries, index: number): LineStyle {
    return {
      property: seriesProperty(index, series.other),
      faded: this.#hovered !== undefined && this.#hovered !== series.label,
    }
  }
}

function chartData(spec: ChartSpec, window: LiveWindow, series: readonly KeySeries[]): ChartData {
  return spec.pick === undefined
    ? instantData(window, series, 'concurrentPlaysByInstant')
    : minuteData(window, series, spec.pick)
}
