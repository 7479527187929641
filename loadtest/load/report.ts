/** What a load showed: one table on the terminal, JSON with machine and commit, and a chart. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { circumstances, isClean } from '../bench/results.ts'
import type { SecondOfLoad } from '../k6/settings.ts'
import { chartPage } from './chart.ts'
import type { LoadCommand } from './command-line.ts'
import type { LoadSummary } from './driver-process.ts'
import type { LogCount } from './log-count.ts'
import type { OutageSpan } from './outage.ts'

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
  /** When the broker was away. */
  readonly outage?: OutageSpan
  readonly seconds: readonly MeasuredSecond[]
}

/** The numbers that a load is told by. */
export interface LoadFigures {
  readonly seconds: number
  readonly eventsPerSecond: number
  readonly gatewayCores: number
  readonly eventsPerCoreSecond: number
  readonly gatewayMiB: number
  readonly brokerCores: number
}

const MIB = 2 ** 20
/** Between two lines of k6. */
const NOMINAL_MS = 1_000

/** Sent, acknowledged and in Kafka must be the same number. */
export function isComplete({ summary, inKafka }: LoadReport): boolean {
  const { eventsSent, eventsAcknowledged } = summary
  return eventsSent === eventsAcknowledged && eventsSent === inKafka.distinctEvents
}

/** Means are over the time in which something fell due. */
export function figuresOf({ summary, gatewayCpuMs, seconds }: LoadReport): LoadFigures {
  const busy = timed(seconds).filter(({ events }) => events > 0)
  const sum = (of: (second: TimedSecond) => number) =>
    busy.reduce((total, second) => total + of(second), 0)
  const lengthSeconds = Math.max(
    1,
    sum((second) => second.lengthSeconds),
  )
  const mean = (of: (second: TimedSecond) => number) =>
    sum((second) => of(second) * second.lengthSeconds) / lengthSeconds
  return {
    seconds: Math.round(lengthSeconds),
    eventsPerSecond: Math.round(sum(({ acknowledged }) => acknowledged) / lengthSeconds),
    gatewayCores: hundredths(mean(({ gatewayCores }) => gatewayCores)),
    eventsPerCoreSecond: Math.round((summary.eventsAcknowledged * 1_000) / gatewayCpuMs),
    gatewayMiB: Math.round(Math.max(0, ...seconds.map(({ gatewayBytes }) => gatewayBytes)) / MIB),
    brokerCores: hundredths(mean(({ brokerCores }) => brokerCores)),
  }
}

export type TimedSecond = MeasuredSecond & { readonly lengthSeconds: number }

/** How long each second really was: k6 says a line when it finds the time. */
export function timed(seconds: readonly MeasuredSecond[]): TimedSecond[] {
  return seconds.map((second, index) => {
    const before = seconds[index - 1]
    const lengthMs = before === undefined ? NOMINAL_MS : second.atMs - before.atMs
    return { ...second, lengthSeconds: Math.max(1, lengthMs) / 1_000 }
  })
}

export function reportTable(report: LoadReport): string {
  const { summary, inKafka } = report
  const figures = figuresOf(report)
  const rows: [string, string][] = [
    ['driven by', report.command.driver],
    ['events sent', whole(summary.eventsSent)],
    ['events acknowledged', whole(summary.eventsAcknowledged)],
    ['distinct events in Kafka', whole(inKafka.distinctEvents)],
    ['repeated in Kafka', whole(inKafka.repeatedEvents)],
    ['events/s', whole(figures.eventsPerSecond)],
    ['ack p50 / p99 / max', `${summary.ackP50Ms} / ${summary.ackP99Ms} / ${summary.ackMaxMs} ms`],
    ['gateway cores', figures.gatewayCores.toFixed(2)],
    ['gateway events/s/core', whole(figures.eventsPerCoreSecond)],
    ['gateway memory, highest', `${whole(figures.gatewayMiB)} MiB`],
    ['broker cores', figures.brokerCores.toFixed(2)],
    ['errors', whole(summary.errors)],
    ['slowed, reconnects', `${summary.slowed}, ${summary.reconnects}`],
    ['thresholds', summary.passed ? 'held' : 'EXCEEDED'],
    ['sent = acknowledged = in Kafka', isComplete(report) ? 'yes' : 'NO'],
  ]
  const width = Math.max(...rows.map(([name]) => name.length))
  return rows.map(([name, value]) => `  ${name.padEnd(width)}  ${value}`).join('\n')
}

export function secondLine(second: MeasuredSecond): string {
  const { events, acknowledged, ackP50Ms, ackP99Ms, gatewayCores } = second
  const columns = [
    `due ${events}/s`,
    `acknowledged ${acknowledged}/s`,
    `p50 ${ackP50Ms} ms`,
    `p99 ${ackP99Ms} ms`,
    `gateway ${gatewayCores.toFixed(2)} cores`,
  ]
  return columns.join('  ')
}

/** Writes JSON and chart; returns their paths. What came from a changed tree stays out of git. */
export function keepReport(report: LoadReport, nowMs: number, results?: string): string[] {
  const folder = results ?? (isClean() ? join('loadtest', 'results') : join('test-output', 'loads'))
  mkdirSync(folder, { recursive: true })
  const minute = new Date(nowMs).toISOString().slice(0, 16).replaceAll(/[-:]/g, '')
  const base = join(folder, `${minute}-${report.command.name}`)
  const { results: _results, ...asked } = report.command
  const kept = { ...circumstances(), ...report, command: asked }
  const json = `${base}.json`
  const chart = `${base}.html`
  writeFileSync(json, `${JSON.stringify(kept, undefined, 2)}\n`)
  writeFileSync(chart, chartPage(report, reportTable(report)))
  return [json, chart]
}

function whole(value: number): string {
  return Math.round(value).toLocaleString('en-US')
}

function hundredths(value: number): number {
  return Math.round(value * 100) / 100
}
