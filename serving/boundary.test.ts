import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { splitRange } from './boundary.ts'

const range = { fromMs: 600_000, toMs: 1_200_000 }
const upTo = (toMs: number, fromMs = 0) => ({ fromMs, toMs })

describe('the batch-complete boundary', () => {
  it('does not exist before the first batch: all is live', () => {
    expect(splitRange(range, 60_000, undefined)).toEqual([{ source: 'speed', ...range }])
  })

  it('splits a range; what is before comes from history', () => {
    expect(splitRange(range, 60_000, upTo(900_000))).toEqual([
      { source: 'history', fromMs: 600_000, toMs: 900_000 },
      { source: 'speed', fromMs: 900_000, toMs: 1_200_000 },
    ])
  })

  it('asks the live side for what is older than history too', () => {
    expect(splitRange(range, 60_000, upTo(900_000, 660_000))).toEqual([
      { source: 'speed', fromMs: 600_000, toMs: 660_000 },
      { source: 'history', fromMs: 660_000, toMs: 900_000 },
      { source: 'speed', fromMs: 900_000, toMs: 1_200_000 },
    ])
  })

  it('never cuts a bucket in two: one that is not wholly history is live', () => {
    expect(splitRange(range, 300_000, upTo(1_000_000, 500_000))).toEqual([
      { source: 'history', fromMs: 600_000, toMs: 900_000 },
      { source: 'speed', fromMs: 900_000, toMs: 1_200_000 },
    ])
    expect(splitRange(range, 300_000, upTo(890_000, 610_000))).toEqual([
      { source: 'speed', ...range },
    ])
  })

  it('leaves the whole range to one side when it lies outside', () => {
    expect(splitRange(range, 60_000, upTo(0))).toEqual([{ source: 'speed', ...range }])
    expect(splitRange(range, 60_000, upTo(9_000_000))).toEqual([{ source: 'history', ...range }])
  })

  it('has neither a gap nor an overlap, wherever the boundary lies', () => {
    const steps = fc.integer({ min: 0, max: 40 })
    fc.assert(
      fc.property(steps, steps, fc.nat(3e6), fc.nat(3e6), (first, count, fromMs, toMs) => {
        const stepMs = 60_000
        const asked = { fromMs: first * stepMs, toMs: (first + count + 1) * stepMs }
        let reachedMs = asked.fromMs
        for (const segment of splitRange(asked, stepMs, { fromMs, toMs })) {
          expect(segment.fromMs).toBe(reachedMs)
          expect(segment.toMs).toBeGreaterThan(segment.fromMs)
          const isCovered = segment.fromMs >= fromMs && segment.toMs <= toMs
          expect(segment.source === 'speed' || isCovered).toBe(true)
          reachedMs = segment.toMs
        }
        expect(reachedMs).toBe(asked.toMs)
      }),
    )
  })
})
