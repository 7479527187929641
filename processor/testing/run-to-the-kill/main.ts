/**
 * The processor's `main.ts` that kills itself where it is told:
 * `node run-to-the-kill/main.ts <failpoint> <at which passing>`.
 */
import type { Failpoints } from '../../../shared/runtime/failpoints.ts'
import { runProcessor } from '../../run.ts'

const [failpoint, passing = '1'] = process.argv.slice(2)
let left = Number(passing)
const failpoints: Failpoints = {
  hit(name) {
    if (name !== failpoint) return
    left -= 1
    if (left === 0) process.kill(process.pid, 'SIGKILL')
  },
}

await runProcessor(process.env, failpoints)
