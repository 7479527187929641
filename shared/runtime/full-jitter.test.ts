import { expect, it } from 'vitest'
import { fullJitterMs } from './full-jitter.ts'
import { seededRandom } from './random.ts'

it('doubles the ceiling of the delay up to the cap, and jitters over all of it', () => {
  const limits = { retryDelayMs: 100, retryDelayMaxMs: 5_000 }
  const top = { ...seededRandom(1), next: () => 0.999_999 }
  const ceilings = [0, 1, 5, 6, 2_000].map((attempt) =>
    Math.round(fullJitterMs(attempt, limits, top)),
  )
  expect(ceilings).toEqual([100, 200, 3_200, 5_000, 5_000])
  expect(fullJitterMs(3, limits, { ...top, next: () => 0 })).toBe(0)
})
