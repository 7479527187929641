/**
 * `npm run loadtest -- steady --eps 200000 --minutes 2`: starts Kafka and the gateway, loads them by
 * k6, counts what is in Kafka by an independent reader, prints one table, and keeps JSON and a chart.
 * Exits 1 unless thresholds held and sent = acknowledged = in Kafka.
 */
import { systemClock } from '../shared/runtime/clock.ts'
import { parseLoadCommand } from './load/command-line.ts'
import { isComplete, keepReport, reportTable, secondLine } from './load/report.ts'
import { runLoad } from './load/run-load.ts'

async function main(): Promise<boolean> {
  const command = parseLoadCommand(process.argv.slice(2))
  const report = await runLoad(command, {
    said: (line) => console.log(`loadtest: ${line}`),
    second: (second) => console.log(secondLine(second)),
  })
  const kept = keepReport(report, systemClock.nowMs(), command.results)
  console.log(`\n${reportTable(report)}\n\nkept in ${kept.join(' and ')}`)
  return report.summary.passed && isComplete(report)
}

// Exits instead of being ended, so that what it started ends with it.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))
main().then(
  (passed) => {
    if (!passed) process.exitCode = 1
  },
  (error: unknown) => {
    console.error(error instanceof Error ? error.message : error)
    process.exitCode = 1
  },
)
