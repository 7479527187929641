/** A load as a page of its own: three charts over time, drawn by uPlot, which the page carries with it. */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import type { LoadReport, MeasuredSecond } from './report.ts'

interface Line {
  readonly label: string
  readonly colour: string
  value(second: MeasuredSecond): number
}

const CHARTS: readonly { readonly title: string; readonly lines: readonly Line[] }[] = [
  {
    title: 'Events a second',
    lines: [
      { label: 'due', colour: '#94a3b8', value: ({ events }) => events },
      { label: 'acknowledged', colour: '#0f766e', value: ({ acknowledged }) => acknowledged },
    ],
  },
  {
    title: 'Acknowledgement latency, ms',
    lines: [
      { label: 'p50', colour: '#0369a1', value: ({ ackP50Ms }) => ackP50Ms },
      { label: 'p99', colour: '#b91c1c', value: ({ ackP99Ms }) => ackP99Ms },
    ],
  },
  {
    title: 'Cores, and gateway memory in GiB',
    lines: [
      { label: 'gateway cores', colour: '#7c3aed', value: ({ gatewayCores }) => gatewayCores },
      { label: 'broker cores', colour: '#a16207', value: ({ brokerCores }) => brokerCores },
      { label: 'GiB', colour: '#475569', value: ({ gatewayBytes }) => gatewayBytes / 2 ** 30 },
    ],
  },
]

/** Where the broker was away is shaded; the table says in numbers what the charts draw. */
export function chartPage({ command, outage, seconds }: LoadReport, table: string): string {
  const uplot = dirname(createRequire(import.meta.url).resolve('uplot/package.json'))
  const asset = (name: string) => readFileSync(join(uplot, 'dist', name), 'utf8')
  // The first line tells of the load's first second.
  const startMs = (seconds[0]?.atMs ?? 0) - 1_000
  const elapsed = (atMs: number) => Math.round((atMs - startMs) / 100) / 10
  const times = seconds.map(({ atMs }) => elapsed(atMs))
  const charts = CHARTS.map(({ title, lines }) => ({
    title,
    series: lines.map(({ label, colour }) => ({ label, stroke: colour, width: 1.5 })),
    data: [times, ...lines.map(({ value }) => seconds.map((second) => value(second)))],
  }))
  const away = outage === undefined ? [] : [elapsed(outage.fromMs), elapsed(outage.toMs)]
  const { options } = command
  const heading =
    `${command.name}: ${options.eventsPerSecond.toLocaleString('en-US')} events/s, ` +
    `${options.eventsPerFrame} a frame, ${options.connections} connections`
  return `<!doctype html>
<meta charset="utf-8">
<title>${heading}</title>
<style>${asset('uPlot.min.css')}
body { font: 14px system-ui; margin: 2rem auto; max-width: 1000px }
h1 { font-size: 1.4rem }
.uplot { margin-top: 2rem }
</style>
<h1>${heading}</h1>
<pre>${table}</pre>
<script>${asset('uPlot.iife.min.js')}</script>
<script>
const away = ${JSON.stringify(away)}
const shade = (chart) => {
  if (away.length === 0) return
  const [from, to] = away.map((second) => chart.valToPos(second, 'x', true))
  chart.ctx.fillStyle = '#fee2e2'
  chart.ctx.fillRect(from, chart.bbox.top, to - from, chart.bbox.height)
}
for (const { title, series, data } of ${JSON.stringify(charts)})
  new uPlot({
    title, width: 1000, height: 260,
    scales: { x: { time: false }, y: { range: (_, low, high) => [0, high > 0 ? high * 1.05 : 1] } },
    axes: [{ label: 'seconds', labelSize: 20 }, { size: 80 }],
    series: [{ label: 'second' }, ...series.map((line) => ({ ...line, points: { show: false } }))],
    cursor: { sync: { key: 'load' } },
    hooks: { drawClear: [shade] },
  }, data, document.body)
</script>
`
}
