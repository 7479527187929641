/**
 * One run of the batch in a process of its own, which kills itself where it is told:
 * `node run-to-the-kill.ts <folder> <now, ms> [<failpoint> <at which passing>]`. Prints the outcome.
 */
import { ManualClock } from '../../shared/runtime/clock.ts'
import { BatchMachine } from './batch-machine.ts'
import { killAt } from './kill-at.ts'

const [folder = '', nowMs = '', failpoint, passing = '1'] = process.argv.slice(2)
const failpoints = killAt(failpoint, Number(passing))
const clock = new ManualClock(Number(nowMs))
const machine = await BatchMachine.open({ folder, clock, failpoints })
const { outcome } = await machine.batch({ failpoints }).run()
await machine.closeStores()
process.stdout.write(outcome)
