import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { sparseHistograms } from './testing/aggregates-arbitrary.ts'
import type { SparseHistogram } from './aggregates.ts'
import {
  bucketLowerBound,
  bucketOf,
  bucketWidth,
  HISTOGRAM_VALUE_MAX,
  mergeHistograms,
  quantile,
} from './histogram.ts'

const values = fc.oneof(
  fc.integer({ min: 0, max: 400 }),
  fc.integer({ min: 0, max: HISTOGRAM_VALUE_MAX }),
)

function histogramOf(list: readonly number[]): SparseHistogram {
  return mergeHistograms(list.map((value) => [[bucketOf(value), 1]]))
}

describe('bucketOf', () => {
  it('has a bucket for each value below 128', () => {
    for (let value = 0; value < 128; value++) {
      expect(bucketOf(value)).toBe(value)
      expect(bucketLowerBound(value)).toBe(value)
      expect(bucketWidth(value)).toBe(1)
    }
  })

  it.each([
    [128, 128, 128, 2],
    [129, 128, 128, 2],
    [255, 191, 254, 2],
    [256, 192, 256, 4],
    [1_000, 317, 1_000, 8],
    [60_000, 693, 59_904, 512],
    [HISTOGRAM_VALUE_MAX, 1_407, 133_169_152, 1_048_576],
  ])('puts %i into bucket %i from %i, %i wide', (value, bucket, lower, width) => {
    expect(bucketOf(value)).toBe(bucket)
    expect(bucketLowerBound(bucket)).toBe(lower)
    expect(bucketWidth(bucket)).toBe(width)
  })

  it('covers every value once: the buckets follow one another without gap or overlap', () => {
    const last = bucketOf(HISTOGRAM_VALUE_MAX)
    for (let bucket = 0; bucket <= last; bucket++) {
      const lower = bucketLowerBound(bucket)
      const upper = lower + bucketWidth(bucket) - 1
      expect(bucketOf(lower)).toBe(bucket)
      expect(bucketOf(upper)).toBe(bucket)
      expect(bucketLowerBound(bucket + 1)).toBe(upper + 1)
    }
    expect(bucketLowerBound(last) + bucketWidth(last) - 1).toBe(HISTOGRAM_VALUE_MAX)
  })

  it('rises by at most one from value to value, near every power of two', () => {
    const unsound: number[] = []
    for (let bit = 0; bit <= 26; bit++) {
      const power = 2 ** bit
      for (let value = Math.max(1, power - 300); value <= power + 300; value++) {
        const bucket = bucketOf(value)
        const lower = bucketLowerBound(bucket)
        const step = bucket - bucketOf(value - 1)
        const isSound =
          (step === 0 || step === 1) && lower <= value && value < lower + bucketWidth(bucket)
        if (!isSound) unsound.push(value)
      }
    }
    expect(unsound).toEqual([])
  })

  it('is never wider than a sixty-fourth of its lower bound', () => {
    fc.assert(
      fc.property(fc.integer({ min: 128, max: HISTOGRAM_VALUE_MAX }), (value) => {
        const bucket = bucketOf(value)
        expect(bucketWidth(bucket) * 64).toBeLessThanOrEqual(bucketLowerBound(bucket))
      }),
    )
  })

  it('agrees with the definition by comparison of integers', () => {
    fc.assert(
      fc.property(values, (value) => {
        let highestBit = 0
        while (2 ** (highestBit + 1) <= value) highestBit += 1
        const expected =
          value < 128 ? value : 64 * (highestBit - 6) + Math.floor(value / 2 ** (highestBit - 6))
        expect(bucketOf(value)).toBe(expected)
      }),
    )
  })

  it('clamps what lies outside and drops fractions', () => {
    expect(bucketOf(-1)).toBe(0)
    expect(bucketOf(Number.NaN)).toBe(0)
    expect(bucketOf(HISTOGRAM_VALUE_MAX + 1)).toBe(bucketOf(HISTOGRAM_VALUE_MAX))
    expect(bucketOf(2 ** 40)).toBe(bucketOf(HISTOGRAM_VALUE_MAX))
    expect(bucketOf(Number.POSITIVE_INFINITY)).toBe(bucketOf(HISTOGRAM_VALUE_MAX))
    expect(bucketOf(127.9)).toBe(127)
    expect(bucketOf(257.5)).toBe(bucketOf(257))
  })
})

describe('quantile', () => {
  it('is absent when nothing was counted', () => {
    expect(quantile([], 0.5)).toBeUndefined()
  })

  it('finds the bucket of the rank that a sort of the values gives', () => {
    fc.assert(
      fc.property(
        fc.array(values, { minLength: 1, maxLength: 200 }),
        fc.integer({ min: 1, max: 1_000 }),
        (list, permille) => {
          const sorted = [...list].sort((left, right) => left - right)
          const rank = Math.ceil((permille * list.length) / 1_000)
          const exact = sorted[rank - 1] ?? Number.NaN
          const bucket = bucketOf(exact)
          const found = quantile(histogramOf(list), permille / 1_000) ?? Number.NaN
          expect(bucketOf(found)).toBe(bucket)
          expect(Math.abs(found - exact)).toBeLessThan(bucketWidth(bucket))
        },
      ),
    )
  })

  it('takes the middle of a wide bucket', () => {
    expect(quantile([[bucketOf(60_000), 3]], 0.5)).toBe(59_904 + 256)
  })

  it('is not led one rank too far by the binary form of p', () => {
    const ranks: SparseHistogram = Array.from({ length: 100 }, (_, value) => [value, 1])
    expect(Math.ceil(0.55 * 100)).toBe(56)
    expect(quantile(ranks, 0.55)).toBe(54)
    for (let percent = 1; percent <= 100; percent++)
      expect(quantile(ranks, percent / 100)).toBe(percent - 1)
  })

  it('takes the first value for p = 0 and the last for p = 1', () => {
    const sparse: SparseHistogram = [
      [3, 5],
      [90, 1],
    ]
    expect(quantile(sparse, 0)).toBe(3)
    expect(quantile(sparse, 1)).toBe(90)
  })
})

describe('mergeHistograms', () => {
  it('equals the histogram of all values together', () => {
    fc.assert(
      fc.property(fc.array(values), fc.array(values), (left, right) => {
        expect(mergeHistograms([histogramOf(left), histogramOf(right)])).toEqual(
          histogramOf([...left, ...right]),
        )
      }),
    )
  })

  it('is canonical, commutative and associative', () => {
    fc.assert(
      fc.property(sparseHistograms, sparseHistograms, sparseHistograms, (a, b, c) => {
        const merged = mergeHistograms([a, b, c])
        expect(mergeHistograms([c, a, b])).toEqual(merged)
        expect(mergeHistograms([a, mergeHistograms([b, c])])).toEqual(merged)
        expect(mergeHistograms([mergeHistograms([a, b]), c])).toEqual(merged)
        expect(merged.every(([, count]) => count > 0)).toBe(true)
        expect(
          merged.every(([bucket], at) => at === 0 || bucket > (merged[at - 1]?.[0] ?? 0)),
        ).toBe(true)
      }),
    )
  })
})
