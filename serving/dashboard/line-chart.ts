/** A line chart over time (uPlot) with a title, a tooltip, and dashed tails for what is not complete. */
import uPlot from './uplot.js'
import type { ChartData } from './chart-data.ts'
import { h, setText } from './dom.ts'
import { formatClock, joined, type Quantity } from './format.ts'
import { resolveColour } from './theme.ts'

export interface LineChartOptions {
  readonly title: string
  readonly format: (value: number) => Quantity
  /** The axis reaches at least this value, so that a quiet line stays quiet. */
  readonly leastMax: number
}

/** How a line looks: its colour's custom property, and whether it is drawn back or hidden. */
export interface LineStyle {
  readonly property: string
  readonly faded: boolean
  readonly dotted?: boolean
}

const HEIGHT_PX = 132
const TOOLTIP_LINES = 8

export class LineChart {
  readonly element: HTMLElement
  readonly #options: LineChartOptions
  readonly #plotBox = h('div', { class: 'plot' })
  readonly #tooltip = h('div', { class: 'tooltip', hidden: true })
  readonly #empty = h('p', { class: 'plot-empty' }, 'no data in this window')
  #plot: uPlot | undefined
  #shape = ''
  #data: ChartData = { times: [], columns: [] }
  #styles: readonly LineStyle[] = []
  #historyToMs: number | null = null

  constructor(options: LineChartOptions) {
    this.#options = options
    this.element = h(
      'section',
      { class: 'chart', 'aria-label': options.title },
      h('h3', {}, options.title),
      this.#plotBox,
      this.#empty,
      this.#tooltip,
    )
    new ResizeObserver(() => this.#resize()).observe(this.#plotBox)
  }

  /** Draws `data`; `styles` has one entry for each column. What is history is marked. */
  draw(data: ChartData, styles: readonly LineStyle[], historyToMs: number | null): void {
    this.#data = data
    this.#styles = styles
    this.#historyToMs = historyToMs
    const hasValue = data.columns.some((column) =>
      [column.complete, column.tail].some((values) => values.some((value) => value !== null)),
    )
    this.#empty.hidden = hasValue
    const shape = JSON.stringify([styles, data.columns.map(({ label }) => label)])
    if (this.#plot === undefined || shape !== this.#shape) this.#rebuild(shape)
    else this.#plot.setData(this.#aligned())
  }

  /** Builds the plot anew, e.g. with the colours of another scheme. */
  redraw(): void {
    if (this.#plot !== undefined) this.#rebuild(this.#shape)
  }

  #aligned(): uPlot.AlignedData {
    const columns = this.#data.columns.flatMap(({ complete, tail }) => [[...complete], [...tail]])
    return [[...this.#data.times], ...columns]
  }

  #rebuild(shape: string): void {
    this.#shape = shape
    this.#plot?.destroy()
    const width = this.#plotBox.clientWidth
    if (width === 0) {
      this.#plot = undefined
      return
    }
    const plot = new uPlot(this.#plotOptions(width), this.#aligned(), this.#plotBox)
    this.#plot = plot
    plot.over.addEventListener('mouseleave', () => (this.#tooltip.hidden = true))
  }

  #plotOptions(width: number): uPlot.Options {
    const { format, leastMax } = this.#options
    const ink = resolveColour('--ink-3')
    const grid = { stroke: resolveColour('--line'), width: 1 }
    const ticks = { show: false }
    const font = '11px system-ui, sans-serif'
    return {
      width,
      height: HEIGHT_PX,
      padding: [8, 20, 0, 0],
      legend: { show: false },
      cursor: {
        sync: { key: 'overview' },
        drag: { x: false, y: false },
        points: { size: 5 },
        y: false,
      },
      scales: { y: { range: (_, _min, max) => [0, Math.max(leastMax, (max ?? 0) * 1.08)] } },
      axes: [
        {
          stroke: ink,
          grid,
          ticks,
          font,
          size: 22,
          gap: 4,
          space: 64,
          values: (_, splits) => splits.map((seconds) => formatClock(seconds * 1_000).slice(0, 5)),
        },
        {
          stroke: ink,
          grid,
          ticks,
          font,
          size: 58,
          gap: 6,
          space: 34,
          values: (_, splits) =>
            splits.map((value) => (value === 0 ? '0' : axisLabel(format(value)))),
        },
      ],
      series: [{}, ...this.#styles.flatMap((style) => this.#lines(style))],
      hooks: {
        drawClear: [(plot) => this.#shadeHistory(plot)],
        setCursor: [(plot) => this.#showTooltip(plot)],
      },
    }
  }

  /** Left of the batch-complete boundary the numbers are the batch's. */
  #shadeHistory(plot: uPlot): void {
    const fromSeconds = this.#data.times[0]
    if (this.#historyToMs === null || fromSeconds === undefined) return
    if (this.#historyToMs <= fromSeconds * 1_000) return
    const { ctx, bbox } = plot
    const toPx = plot.valToPos(this.#historyToMs / 1_000, 'x', true)
    const widthPx = Math.min(toPx - bbox.left, bbox.width)
    ctx.save()
    ctx.fillStyle = resolveColour('--past')
    ctx.fillRect(bbox.left, bbox.top, widthPx, bbox.height)
    ctx.fillStyle = resolveColour('--ink-3')
    ctx.fillRect(bbox.left + widthPx - 1, bbox.top, 1, bbox.height)
    const scale = devicePixelRatio
    ctx.font = `${10 * scale}px system-ui, sans-serif`
    ctx.textAlign = 'right'
    ctx.textBaseline = 'top'
    const text = 'history'
    if (widthPx > ctx.measureText(text).width + 8 * scale)
      ctx.fillText(text, bbox.left + widthPx - 4 * scale, bbox.top + 2 * scale)
    ctx.restore()
  }

  #lines(style: LineStyle): uPlot.Series[] {
    const base: uPlot.Series = {
      stroke: resolveColour(style.property),
      width: 1.5,
      alpha: style.faded ? 0.18 : 1,
      points: { show: false },
      ...(style.dotted === true ? { dash: [2, 3] } : {}),
    }
    return [base, { ...base, alpha: style.faded ? 0.08 : 0.4, dash: [3, 4] }]
  }

  #showTooltip(plot: uPlot): void {
    const index = plot.cursor.idx
    const left = plot.cursor.left ?? -1
    const hovered = plot.over.matches(':hover')
    const time = index === null || index === undefined ? undefined : this.#data.times[index]
    if (!hovered || left < 0 || time === undefined || index === null || index === undefined) {
      this.#tooltip.hidden = true
      return
    }
    const lines = this.#data.columns
      .map((column, at) => ({
        label: column.label,
        property: this.#styles[at]?.property ?? '',
        value: column.complete[index] ?? column.tail[index] ?? null,
        complete: column.complete[index] !== null,
      }))
      .filter((line) => line.value !== null)
      .toSorted((a, b) => (b.value ?? 0) - (a.value ?? 0))
    const incomplete = lines.length > 0 && lines.every((line) => !line.complete)
    const head = h('div', { class: 'tooltip-head' }, formatClock(time * 1_000))
    if (incomplete) head.append(h('em', {}, ' still filling'))
    if (time * 1_000 < (this.#historyToMs ?? 0)) head.append(h('em', {}, ' history'))
    this.#tooltip.replaceChildren(
      head,
      ...lines.slice(0, TOOLTIP_LINES).map((line) => this.#tooltipLine(line)),
    )
    this.#tooltip.hidden = lines.length === 0
    const onLeft = left > plot.over.clientWidth / 2
    this.#tooltip.classList.toggle('tooltip-left', onLeft)
  }

  #tooltipLine(line: { label: string; property: string; value: number | null }): HTMLElement {
    const swatch = h('i', { class: 'swatch' })
    swatch.style.background = `var(${line.property})`
    const value = h('b')
    setText(value, line.value === null ? '–' : joined(this.#options.format(line.value)))
    return h('div', { class: 'tooltip-line' }, swatch, h('span', {}, line.label), value)
  }

  #resize(): void {
    const width = this.#plotBox.clientWidth
    if (width === 0) return
    if (this.#plot === undefined) this.#rebuild(this.#shape)
    else this.#plot.setSize({ width, height: HEIGHT_PX })
  }
}

/** Ticks are round numbers: `5 %`, not `5.00 %`. */
function axisLabel(quantity: Quantity): string {
  return joined({
    ...quantity,
    value: quantity.value.replace(/(\.\d*?)0+$/, '$1').replace(/\.$/, ''),
  })
}
