/** Five minutes of a soak, the start and the verdict included, or a little more on a slow machine. */
import { expect, test } from 'vitest'
import { soakTable } from './report.ts'
import { isKept, runSoak } from './run-soak.ts'

const MINUTES = 4.25
const EVENTS_PER_SECOND = 120
/** Whoever runs the tests may share the machine: what is judged here is that all recovers, and alone. */
const RECOVERY_MAX_MS = 240_000
const TIMEOUT_MS = 20 * 60_000
const SEED = Number(process.env['SOAK_SEED'] ?? 20_261_126)

test(
  'random faults under load break no claim of the contract',
  { timeout: TIMEOUT_MS },
  async ({ task }) => {
    const lines: string[] = []
    const said = (line: string) => {
      lines.push(line)
      console.log(line)
    }
    const report = await runSoak({
      minutes: MINUTES,
      seed: SEED,
      brokers: 1,
      eventsPerSecond: EVENTS_PER_SECOND,
      recoveryMaxMs: RECOVERY_MAX_MS,
      said,
    })
    const table = soakTable(report)
    console.log(table)
    const { faults, numbers } = report
    task.meta.told = `${faults.length} faults and ${numbers['eventsAcknowledged']} events of a soak, seed ${SEED}`
    expect(isKept(report), `${lines.join('\n')}\n${table}`).toBe(true)
  },
)
