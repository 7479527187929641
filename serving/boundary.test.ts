import { describe, expect, it } from 'vitest'
import { splitAtBoundary } from './boundary.ts'

const range = { fromMs: 600_000, toMs: 1_200_000 }

describe('the batch-complete boundary', () => {
  it('does not exist before the first batch: all is live', () => {
    expect(splitAtBoundary(range, 60_000, undefined)).toEqual({ history: undefined, speed: range })
  })

  it('splits a range; what is before comes from history', () => {
    expect(splitAtBoundary(range, 60_000, 900_000)).toEqual({
      history: { fromMs: 600_000, toMs: 900_000 },
      speed: { fromMs: 900_000, toMs: 1_200_000 },
    })
  })

  it('never cuts a bucket in two: one that is not wholly history is live', () => {
    expect(splitAtBoundary(range, 300_000, 1_000_000)).toEqual({
      history: { fromMs: 600_000, toMs: 900_000 },
      speed: { fromMs: 900_000, toMs: 1_200_000 },
    })
  })

  it('leaves the whole range to one side when it lies outside', () => {
    expect(splitAtBoundary(range, 60_000, 0)).toEqual({ history: undefined, speed: range })
    expect(splitAtBoundary(range, 60_000, 9_000_000)).toEqual({ history: range, speed: undefined })
  })
})
