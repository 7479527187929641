/**
 * `gateway/main.ts` as one process, which kills itself where it is told:
 * `node to-the-kill/main.ts <failpoint> <at which passing> [<ms later>]`. A little later than before
 * an append is while the append is on its way.
 */
import type { Failpoints } from '../../../shared/runtime/failpoints.ts'
import { readSettings, runAlone } from '../../alone.ts'

const [failpoint, passing = '1', laterMs = '0'] = process.argv.slice(2)
const kill = () => process.kill(process.pid, 'SIGKILL')
let left = Number(passing)
const failpoints: Failpoints = {
  hit(name) {
    if (name !== failpoint) return
    left -= 1
    if (left !== 0) return
    if (laterMs === '0') kill()
    else setTimeout(kill, Number(laterMs))
  },
}
await runAlone(readSettings(process.env), failpoints)
