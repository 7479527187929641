/** What a load showed: one table on the terminal, JSON with machine and commit, and a chart. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { circumstances } from '../bench/results.ts'
import type { SecondOfLoad } from '../k6/settings.ts'
import { chartPage } from './chart.ts'
import type { LoadCommand } from './command-line.ts'
import type { LoadSummary } from './k6-process.ts'
import type { LogCount } from './log-count.ts'

/** One second, with what the gateway and the broker used in it. */
export interface MeasuredSecond extends SecondOfLoad {
  readonly gatewayCores: number
  readonly gatewayBytes: number
  readonly brokerCores: number
}

export interface LoadReport {
  readonly command: Omit<LoadCommand, 'scenario'>
  readonly summary: LoadSummary
  readonly inKafka: LogCount
  readonly gatewayCpuMs: number
  readonly seconds: readonly MeasuredSecond[]
}

/** Sent, acknowledged and in Kafka must be the same number. */
export function isComplete({ summary, inKafka }: LoadReport): boolean {
  const { eventsSent, eventsAcknowledged } = summary
  return eventsSent === eventsAcknowledged && eventsSent === inKafka.distinctEvents
}

export function reportTable(report: LoadReport): string {
  const { summary, inKafka, gatewayCpuMs, seconds } = report
  const busy = seconds.filter(({ events }) => events > 0)
  const mean = (of: (second: MeasuredSecond) => number) =>
    busy.reduce((sum, second) => sum + of(second), 0) / Math.max(1, busy.length)
  const rows: [string, string][] = [
    ['events sent', whole(summary.eventsSent)],
    ['events acknowledged', whole(summary.eventsAcknowledged)],
    ['distinct events in Kafka', whole(inKafka.distinctEvents)],
    ['repeated in Kafka', whole(inKafka.repeatedEvents)],
    ['events/s', whole(mean(({ acknowledged }) => acknowledged))],
    ['ack p50 / p99 / max', `${summary.ackP50Ms} / ${summary.ackP99Ms} / ${summary.ackMaxMs} ms`],
    ['gateway cores', mean(({ gatewayCores }) => gatewayCores).toFixed(2)],
    ['gateway events/s/core', whole((summary.eventsAcknowledged * 1_000) / gatewayCpuMs)],
    [
      'gateway memory, highest',
      `${whole(Math.max(0, ...seconds.map(({ gatewayBytes }) => gatewayBytes)) / 2 ** 20)} MiB`,
    ],
    ['broker cores', mean(({ brokerCores }) => brokerCores).toFixed(2)],
    ['errors', whole(summary.errors)],
    ['slowed, reconnects', `${summary.slowed}, ${summary.reconnects}`],
    ['thresholds', summary.passed ? 'held' : 'EXCEEDED'],
    ['sent = acknowledged = in Kafka', isComplete(report) ? 'yes' : 'NO'],
  ]
  const width = Math.max(...rows.map(([name]) => name.length))
  return rows.map(([name, value]) => `  ${name.padEnd(width)}  ${value}`).join('\n')
}

/** Writes JSON and chart; returns their paths. */
export function keepReport(report: LoadReport, nowMs: number): string[] {
  mkdirSync(report.command.results, { recursive: true })
  const day = new Date(nowMs).toISOString().slice(0, 16).replaceAll(/[-:]/g, '')
  const base = join(report.command.results, `${day}-${report.command.name}`)
  const { results: _results, ...asked } = report.command
  const kept = { ...circumstances(), ...report, command: asked }
  const json = `${base}.json`
  const chart = `${base}.html`
  writeFileSync(json, `${JSON.stringify(kept, undefined, 2)}\n`)
  writeFileSync(chart, chartPage(report))
  return [json, chart]
}

function whole(value: number): string {
  return Math.round(value).toLocaleString('en-US')
}
