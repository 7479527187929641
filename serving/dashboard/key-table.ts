/** The keys of the chosen split, worst first: the charts' legend and the answer to "which one?". */
import type { QoeMetrics } from '../api-schemas.ts'
import { h, setText } from './dom.ts'
import { titled } from './titled.ts'
import {
  formatBitrate,
  formatClock,
  formatCount,
  formatDuration,
  formatPercent,
  formatRate,
  joined,
  type Quantity,
} from './format.ts'
import type { KeySeries, LiveWindow } from './live-series.ts'
import { badness, judge, worstFirst, type RatedMetric, type Verdict } from './ranking.ts'
import { seriesProperty } from './theme.ts'

interface Column {
  readonly label: string
  readonly hint: string
  /** What is shown, and what a click on the heading sorts by, largest first. */
  readonly value: (metrics: QoeMetrics) => number | null
  readonly format: (value: number | null) => Quantity
  readonly rated?: RatedMetric
}

const COLUMNS: readonly Column[] = [
  {
    label: 'Bad',
    hint: 'Stalled time + VSF + VPF, in percentage points: the order of the table',
    value: badness,
    format: (points) => ({ value: (points ?? 0).toFixed(1), unit: '' }),
  },
  {
    label: 'Plays',
    hint: 'Plays that began',
    value: (m) => m.plays,
    format: formatCount,
  },
  {
    label: 'Peak',
    hint: 'Most concurrent plays',
    value: (m) => m.concurrentPlays,
    format: formatCount,
  },
  {
    label: 'Start p50',
    hint: 'Median start-up time',
    value: (m) => m.startupMsP50,
    format: formatDuration,
    rated: 'startupMsP50',
  },
  {
    label: 'p95',
    hint: '95th percentile of the start-up time',
    value: (m) => m.startupMsP95,
    format: formatDuration,
    rated: 'startupMsP95',
  },
  {
    label: 'Stalled',
    hint: 'Stalled time ÷ watched time',
    value: (m) => m.stalledTimeRatio,
    format: formatPercent,
    rated: 'stalledTimeRatio',
  },
  {
    label: 'Stalls/h',
    hint: 'Stalls per playing hour',
    value: (m) => m.stallsPerPlayingHour,
    format: formatRate,
  },
  {
    label: 'VSF',
    hint: 'Video start failures ÷ attempts',
    value: (m) => m.vsfRatio,
    format: formatPercent,
    rated: 'vsfRatio',
  },
  {
    label: 'VPF',
    hint: 'Video playback failures ÷ ended plays',
    value: (m) => m.vpfRatio,
    format: formatPercent,
    rated: 'vpfRatio',
  },
  {
    label: 'EBVS',
    hint: 'Exits before the video start ÷ attempts',
    value: (m) => m.ebvsRatio,
    format: formatPercent,
    rated: 'ebvsRatio',
  },
  {
    label: 'Bitrate',
    hint: 'Average played bitrate',
    value: (m) => m.averageBitrateKbps,
    format: formatBitrate,
  },
  {
    label: 'Lost',
    hint: 'Events lost ÷ events expected',
    value: (m) => m.eventsLostRatio,
    format: formatPercent,
    rated: 'eventsLostRatio',
  },
]

/** Wide cuts are written less often than once a second: their table says how old it is. */
const SAID_WHEN_OLDER_MS = 8_000

const VERDICT_WORDS: Readonly<Record<Verdict, string>> = {
  usual: '',
  bad: 'at least twice the overall value',
  worse: 'at least four times the overall value',
}

export interface KeyTableEvents {
  readonly onHover: (label: string | undefined) => void
  readonly onToggle: (label: string) => void
}

export class KeyTable {
  readonly element: HTMLElement
  readonly #events: KeyTableEvents
  readonly #heading = h('h2')
  readonly #caption = h('p')
  readonly #body = h('tbody')
  readonly #headings: HTMLTableCellElement[]
  #sortColumn: Column | undefined
  #last:
    { series: readonly KeySeries[]; overall: QoeMetrics; hidden: ReadonlySet<string> } | undefined

  constructor(events: KeyTableEvents) {
    this.#events = events
    this.#headings = COLUMNS.map((column) =>
      h(
        'th',
        { scope: 'col', title: column.hint },
        h('button', { type: 'button', onclick: () => this.#sortBy(column) }, column.label),
      ),
    )
    this.element = h(
      'section',
      { class: 'panel keys' },
      h('header', {}, this.#heading, this.#caption),
      h(
        'div',
        { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': 'Keys, worst first' },
        h(
          'table',
          {},
          h('thead', {}, h('tr', {}, h('th', { scope: 'col' }, 'Key'), ...this.#headings)),
          this.#body,
        ),
      ),
    )
  }

  draw(
    title: string,
    { series, update }: LiveWindow,
    overall: QoeMetrics,
    hidden: ReadonlySet<string>,
  ): void {
    setText(this.#heading, title)
    const { asOfMs, nowMs } = update
    const isOld = asOfMs !== null && nowMs - asOfMs > SAID_WHEN_OLDER_MS
    const age = isOld ? `, as of ${formatClock(asOfMs)}` : ''
    const minutes = Math.round((update.toMs - update.fromMs) / 60_000)
    const length = minutes % 60 === 0 ? `${minutes / 60} hours` : `${minutes} minutes`
    setText(this.#caption, `last ${length}, worst first${age}`)
    this.#last = { series, overall, hidden }
    this.#drawRows()
  }

  #sortBy(column: Column): void {
    this.#sortColumn = this.#sortColumn === column || column.value === badness ? undefined : column
    for (const [index, heading] of this.#headings.entries()) {
      if (COLUMNS[index] === this.#sortColumn) heading.setAttribute('aria-sort', 'descending')
      else heading.removeAttribute('aria-sort')
    }
    this.#drawRows()
  }

  #drawRows(): void {
    if (this.#last === undefined) return
    const { series, overall, hidden } = this.#last
    const value = this.#sortColumn?.value
    const ranked = series
      .map((one, index) => ({ ...one, metrics: one.summary, index }))
      .toSorted((a, b) =>
        value === undefined
          ? worstFirst(a, b)
          : Number(a.other) - Number(b.other) ||
            sortable(b.metrics, value) - sortable(a.metrics, value),
      )
    // Rows are rebuilt only when something shown has changed; a focused button keeps its focus.
    const focused = document.activeElement?.getAttribute('data-key')
    const rows = ranked.map((one) => this.#row(one, overall, hidden.has(one.label)))
    if (sameText(this.#body, rows)) return
    this.#body.replaceChildren(...rows)
    if (focused !== null && focused !== undefined)
      for (const button of this.#body.querySelectorAll<HTMLElement>('[data-key]'))
        if (button.getAttribute('data-key') === focused) button.focus()
  }

  #row(
    one: KeySeries & { readonly index: number },
    overall: QoeMetrics,
    hidden: boolean,
  ): HTMLTableRowElement {
    const swatch = h('i', { class: 'swatch' })
    swatch.style.background = `var(${seriesProperty(one.index, one.other)})`
    const button = h(
      'button',
      {
        type: 'button',
        'data-key': one.label,
        'aria-pressed': hidden ? 'false' : 'true',
        title: hidden ? 'Show in the charts' : 'Hide in the charts',
        onclick: () => this.#events.onToggle(one.label),
        onfocus: () => this.#events.onHover(one.label),
        onblur: () => this.#events.onHover(undefined),
      },
      swatch,
      titled(one.label, one.title),
    )
    const few = one.summary.lowSample
    const row = h(
      'tr',
      {
        class: [hidden ? 'off' : '', few ? 'few' : ''].join(' ').trim() || undefined,
        onmouseenter: () => this.#events.onHover(one.label),
        onmouseleave: () => this.#events.onHover(undefined),
      },
      h(
        'th',
        { scope: 'row' },
        button,
        few && h('small', { title: 'Fewer than 25 attempts or plays' }, 'few'),
      ),
    )
    for (const column of COLUMNS) row.append(cell(column, one.summary, overall))
    return row
  }
}

function cell(column: Column, metrics: QoeMetrics, overall: QoeMetrics): HTMLTableCellElement {
  const verdict = column.rated ? judge(column.rated, metrics, overall) : 'usual'
  const text = joined(column.format(column.value(metrics)))
  if (verdict === 'usual') return h('td', {}, text)
  return h('td', { class: verdict, title: VERDICT_WORDS[verdict] }, text)
}

/** What is undefined comes after everything that is not. */
function sortable(metrics: QoeMetrics, value: Column['value']): number {
  return value(metrics) ?? -1
}

function sameText(body: HTMLElement, rows: readonly HTMLElement[]): boolean {
  if (body.children.length !== rows.length) return false
  return rows.every((row, index) => body.children[index]?.isEqualNode(row) === true)
}
