/**
 * What the batch does between runs, in a process of its own, which kills itself where it is told, a backfill of
 * all days:
 * `node upkeep-to-the-kill.ts <settle-late | compact | backfill> <folder> <now, ms> [<failpoint> <at which passing>]`.
 */
import { join } from 'node:path'
import { DEFAULT_CUT_IDS, parseCut } from '../../shared/qoe/cuts.ts'
import { DEFAULT_FOLD_LIMITS } from '../../shared/qoe/fold.ts'
import { ManualClock } from '../../shared/runtime/clock.ts'
import { createTelemetryBase } from '../../shared/runtime/telemetry.ts'
import { backfill } from '../backfill.ts'
import { compact } from '../compact/compact.ts'
import { createBatchTelemetry } from '../telemetry.ts'
import { BatchMachine, configOf } from './batch-machine.ts'
import { killAt } from './kill-at.ts'

const [upkeep = '', folder = '', nowMs = '', failpoint, passing = '1'] = process.argv.slice(2)
const failpoints = killAt(failpoint, Number(passing))
const clock = new ManualClock(Number(nowMs))
const machine = await BatchMachine.open({ folder, clock })
const parts = { ...machine.ports, clock, config: configOf({}), failpoints, holder: 'test' }
if (upkeep === 'compact') await compact(parts)
else if (upkeep === 'backfill')
  await backfill(
    {
      ...parts,
      limits: DEFAULT_FOLD_LIMITS,
      cuts: DEFAULT_CUT_IDS.map(parseCut),
      telemetry: createBatchTelemetry(createTelemetryBase('silent')),
      temporaryFolder: join(folder, 'temporary'),
      signal: new AbortController().signal,
      workers: 2,
      onProgress: () => undefined,
    },
    { fromDate: '2026-01-01', toDate: '2026-12-31' },
  )
else await machine.batch({ failpoints }).run({ settleLate: true })
await machine.closeStores()
