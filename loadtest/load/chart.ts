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

export function chartPage({ command, seconds }: LoadReport): string {
  const uplot = dirname(createRequire(import.meta.url).resolve('uplot/package.json'))
  const asset = (name: string) => readFileSync(join(uplot, 'dist', name), 'utf8')
  const times = seconds.map(({ atMs }) => Math.round(atMs / 1_000))
  const charts = CHARTS.map(({ title, lines }) => ({
    title,
    series: lines.map(({ label, colour }) => ({ label, stroke: colour, width: 1.5 })),
    data: [times, ...lines.map(({ value }) => seconds.map((second) => value(second)))],
  }))
  const { options } = command
  const heading =
    `${command.name}: ${options.eventsPerSecond.toLocaleString('en-US')} events/s, ` +
    `${options.eventsPerFrame} a frame, ${options.connections} connections`
  return `<!doctype html>
<meta charset="utf-8">
<title>${heading}</title>
<style>${asset('uPlot.min.css')} body { font: 14px system-ui; margin: 2rem; max-width: 1000px }</style>
<h1>${heading}</h1>
<script>${asset('uPlot.iife.min.js')}</script>
<script>
for (const { title, series, data } of ${JSON.stringify(charts)})
  new uPlot({ title, width: 960, height: 260, series: [{}, ...series] }, data, document.body)
</script>
`
}
