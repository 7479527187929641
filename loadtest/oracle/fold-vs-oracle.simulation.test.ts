import { expect, test } from 'vitest'

import { describeFinding, runSeed } from './fold-versus-oracle.ts'

const FIRST_SEED = 10_000
const SHORT_RUNS = 2_000
const LONG_RUNS = 15

test('the fold and the oracle agree on thousands of short adversarial logs', () => {
  for (let seed = FIRST_SEED; seed < FIRST_SEED + SHORT_RUNS; seed++) {
    const finding = runSeed(seed, 60)
    expect(finding && describeFinding(finding)).toBeUndefined()
  }
})

test('the fold and the oracle agree on long adversarial logs', () => {
  for (let seed = FIRST_SEED; seed < FIRST_SEED + LONG_RUNS; seed++) {
    const finding = runSeed(seed, 800)
    expect(finding && describeFinding(finding)).toBeUndefined()
  }
})
