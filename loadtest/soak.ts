/**
 * `npm run soak [-- --minutes N --seed N --brokers 1|3 --eps N]`: random faults under load, all of the
 * product as processes on a real Kafka and Cassandra, and one verdict by an oracle. Prints the schedule, a
 * line a fault and one table, and writes JSON into `test-output/soak`; the exit code is 1 unless every
 * claim of the contract holds. The seed repeats the order of the faults and their lengths.
 */
import { systemClock } from '../shared/runtime/clock.ts'
import { systemRandom } from '../shared/runtime/random.ts'
import { parseSoakCommand, USAGE } from './soak/command-line.ts'
import { soakTable, writeSoakReport } from './soak/report.ts'
import { isKept, runSoak } from './soak/run-soak.ts'

async function main(): Promise<boolean> {
  const command = parseSoakCommand(process.argv.slice(2), systemRandom.below(2 ** 31))
  const startMs = systemClock.monotonicMs()
  const said = (line: string) => {
    const seconds = Math.round((systemClock.monotonicMs() - startMs) / 1_000)
    console.log(`${`${seconds}`.padStart(5)}  ${line}`)
  }
  const report = await runSoak({ ...command, said })
  console.log(`\n${soakTable(report)}\nwritten to ${writeSoakReport(report)}`)
  return isKept(report)
}

// Exits instead of being ended, so that what it started ends with it.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))
/** By `process.exit`: a loop in which watchers of what the run ended are left is never cleaned up by Node. */
main().then(
  (kept) => process.exit(kept ? 0 : 1),
  (error: unknown) => {
    if (error instanceof TypeError) console.error(`${error.message}\n${USAGE}`)
    else console.error(error)
    process.exit(1)
  },
)
