/**
 * What the batch does between runs, in a process of its own, which kills itself where it is told:
 * `node upkeep-to-the-kill.ts <settle-late | compact> <folder> <now, ms> [<failpoint> <at which passing>]`.
 */
import { ManualClock } from '../../shared/runtime/clock.ts'
import { compact } from '../compact/compact.ts'
import { BatchMachine, configOf } from './batch-machine.ts'
import { killAt } from './kill-at.ts'

const [upkeep = '', folder = '', nowMs = '', failpoint, passing = '1'] = process.argv.slice(2)
const failpoints = killAt(failpoint, Number(passing))
const clock = new ManualClock(Number(nowMs))
const machine = await BatchMachine.open({ folder, clock })
if (upkeep === 'compact')
  await compact({ ...machine.ports, clock, config: configOf({}), failpoints, holder: 'test' })
else await machine.batch({ failpoints }).run({ settleLate: true })
await machine.closeStores()
