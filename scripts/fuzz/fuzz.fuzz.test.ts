/**
 * Every parser of what comes from outside, for a few seconds each. The seed stands, so that what is red is
 * red for everyone; `npm run fuzz` takes another one each time.
 */
import { expect, test } from 'vitest'
import { reportText } from './report.ts'
import { runFuzz } from './run.ts'
import { TARGET_NAMES } from './targets.ts'

const SECONDS_EACH = 8
const SEED = 20_261_126

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
