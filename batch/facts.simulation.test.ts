import { expect, test } from 'vitest'

import { DEFAULT_FOLD_LIMITS } from '../shared/qoe/fold.ts'
import { seededRandom } from '../shared/runtime/random.ts'
import { BORDER_BITS_MAX, borderLog } from './testing/border-log.ts'
import { DEFECTS } from './testing/facts-defects.ts'
import { checkCuts, checkDefects, checkGroup } from './testing/facts-suites.ts'
import { adversarialGroups } from './testing/facts-versus-oracle.ts'

const TIMEOUT_MS = 600_000

test(
  'SQL and the oracle agree on hundreds of short adversarial logs',
  async () => {
    for (const group of adversarialGroups({ from: 20_000, to: 20_600 }, 60)) {
      expect(await checkGroup(group)).toEqual([])
    }
  },
  TIMEOUT_MS,
)

test(
  'SQL and the oracle agree on long adversarial logs',
  async () => {
    for (const group of adversarialGroups({ from: 30_000, to: 30_018 }, 500)) {
      expect(await checkGroup(group)).toEqual([])
    }
  },
  TIMEOUT_MS,
)

test(
  'start-up times on every border get the bucket they should',
  async () => {
    const limits = { ...DEFAULT_FOLD_LIMITS, allowedLatenessMs: 1e9 }
    const logs = [{ partition: 0, records: borderLog(BORDER_BITS_MAX) }]
    expect(await checkGroup({ limits, logs })).toEqual([])
  },
  TIMEOUT_MS,
)

test(
  'the tables do not depend on where the runs are cut',
  async () => {
    const random = seededRandom(40_000)
    for (const group of adversarialGroups({ from: 40_000, to: 40_090 }, 60)) {
      expect(await checkCuts(group, { random, runs: 2 + random.below(3) })).toEqual([])
    }
  },
  TIMEOUT_MS,
)

test(
  'every seeded defect in the SQL shows',
  async () => {
    let unseen = DEFECTS
    for (const group of adversarialGroups({ from: 50_000, to: 50_200 }, 60)) {
      const checked = await checkDefects(group, unseen)
      const seen = checked.filter(({ differences }) => differences.length > 0)
      unseen = unseen.filter((defect) => !seen.some(({ name }) => name === defect.name))
    }
    expect(unseen).toEqual([])
  },
  TIMEOUT_MS,
)
