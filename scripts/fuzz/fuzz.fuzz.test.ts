/** Every parser of what comes from outside, for a few seconds each, from another seed in each run. */
import { expect, test } from 'vitest'
import { systemRandom } from '../../shared/runtime/random.ts'
import { reportText } from './report.ts'
import { runFuzz } from './run.ts'
import { TARGET_NAMES } from './targets.ts'

const SECONDS_EACH = 8
const SEED = systemRandom.below(2 ** 31)

for (const target of TARGET_NAMES)
  test(`${target}: whatever comes is judged, or refused by code (seed ${SEED})`, async ({
    task,
  }) => {
    const report = await runFuzz({ target, seconds: SECONDS_EACH, seed: SEED })
    expect(report.broken, report.keptAt).toBeUndefined()
    // Else the time went into anything but judging.
    expect(report.inputs).toBeGreaterThan(20)
    expect(report.verdicts).toBeGreaterThan(1)
    task.meta.told = reportText(report)
  })
