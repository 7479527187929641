/**
 * One erasure in a process of its own, which kills itself where it is told:
 * `node erase-to-the-kill.ts <folder> <now, ms> [<failpoint> <at which passing>]`. Prints the proof's
 * name.
 */
import { eraseViewer } from '../erase/erase.ts'
import { closeEraseMachine, erasePartsOf, openEraseMachine, VIEWER } from './erase-machine.ts'
import { killAt } from './kill-at.ts'

const [folder = '', nowMs = '', failpoint, passing = '1'] = process.argv.slice(2)
const failpoints = killAt(failpoint, Number(passing))
const opened = await openEraseMachine(folder, Number(nowMs), failpoints)
const { proofName } = await eraseViewer(erasePartsOf(opened, failpoints), VIEWER)
await closeEraseMachine(opened)
process.stdout.write(proofName)
