import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { minuteAggregates } from './testing/aggregates-arbitrary.ts'
import { COUNTER_NAMES } from './aggregates.ts'
import { EMPTY_AGGREGATES, mergeAggregates } from './merge.ts'

describe('mergeAggregates', () => {
  it('has the empty aggregates as identity', () => {
    fc.assert(
      fc.property(minuteAggregates, (a) => {
        expect(mergeAggregates([a])).toEqual(a)
        expect(mergeAggregates([EMPTY_AGGREGATES, a])).toEqual(a)
        expect(mergeAggregates([a, EMPTY_AGGREGATES])).toEqual(a)
      }),
    )
    expect(mergeAggregates([])).toEqual(EMPTY_AGGREGATES)
  })

  it('is commutative and associative', () => {
    fc.assert(
      fc.property(minuteAggregates, minuteAggregates, minuteAggregates, (a, b, c) => {
        const merged = mergeAggregates([a, b, c])
        expect(mergeAggregates([c, a, b])).toEqual(merged)
        expect(mergeAggregates([mergeAggregates([a, b]), c])).toEqual(merged)
        expect(mergeAggregates([a, mergeAggregates([b, c])])).toEqual(merged)
      }),
    )
  })

  it('adds every counter and every instant', () => {
    const ones = {
      ...EMPTY_AGGREGATES,
      ...Object.fromEntries(COUNTER_NAMES.map((name, index) => [name, index + 1])),
      concurrentPlays: [1, 2, 3, 4, 5, 6],
      concurrentViewers: [6, 5, 4, 3, 2, 1],
    }
    const merged = mergeAggregates([ones, ones, ones])
    for (const [index, name] of COUNTER_NAMES.entries()) expect(merged[name]).toBe(3 * (index + 1))
    expect(merged.concurrentPlays).toEqual([3, 6, 9, 12, 15, 18])
    expect(merged.concurrentViewers).toEqual([18, 15, 12, 9, 6, 3])
  })

  it('adds buckets and takes the highest rank of a register', () => {
    const merged = mergeAggregates([
      { ...EMPTY_AGGREGATES, startupHistogram: [[130, 2]], viewerRegisters: [[7, 3]] },
      {
        ...EMPTY_AGGREGATES,
        startupHistogram: [
          [9, 1],
          [130, 5],
        ],
        viewerRegisters: [
          [2, 1],
          [7, 2],
        ],
      },
    ])
    expect(merged.startupHistogram).toEqual([
      [9, 1],
      [130, 7],
    ])
    expect(merged.viewerRegisters).toEqual([
      [2, 1],
      [7, 3],
    ])
  })

  it('keeps bits exact beyond 2^53', () => {
    const bitsPlayed = 2n ** 53n + 1n
    const merged = mergeAggregates([
      { ...EMPTY_AGGREGATES, bitsPlayed },
      { ...EMPTY_AGGREGATES, bitsPlayed },
      { ...EMPTY_AGGREGATES, bitsPlayed: 1n },
    ])
    expect(merged.bitsPlayed).toBe(18_014_398_509_481_987n)
  })

  it('takes what a generator yields', () => {
    function* rows() {
      yield { ...EMPTY_AGGREGATES, plays: 1 }
      yield { ...EMPTY_AGGREGATES, plays: 2 }
    }
    expect(mergeAggregates(rows()).plays).toBe(3)
  })
})
