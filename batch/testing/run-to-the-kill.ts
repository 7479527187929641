/**
 * One run of the batch in a process of its own, which kills itself where it is told:
 * `node run-to-the-kill.ts <folder> <now, ms> [<failpoint> <at which passing>]`. Prints the outcome.
 */
import { ManualClock } from '../../shared/runtime/clock.ts'
import type { Failpoints } from '../../shared/runtime/failpoints.ts'
import { BatchMachine } from './batch-machine.ts'

const [folder = '', nowMs = '', failpoint, passing = '1'] = process.argv.slice(2)
let left = Number(passing)
const failpoints: Failpoints = {
  hit(name) {
    if (name !== failpoint) return
    left -= 1
    if (left === 0) process.kill(process.pid, 'SIGKILL')
  },
}
const clock = new ManualClock(Number(nowMs))
const machine = await BatchMachine.open({ folder, clock, failpoints })
const { outcome } = await machine.batch({ failpoints }).run()
await machine.closeStores()
process.stdout.write(outcome)
