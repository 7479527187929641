/**
 * The start-up histogram: buckets of integers, exact below 128 and 64 to each octave above, so a
 * bucket is never wider than 1/64 of its lower bound. Everything is integer arithmetic, which the
 * warehouse repeats digit by digit; a logarithm would round differently there.
 */
import type { SparseHistogram } from './aggregates.ts'
import { mergeSparse } from './sparse.ts'

/** Larger values fall into the last bucket. */
export const HISTOGRAM_VALUE_MAX = 2 ** 27 - 1
/** Values below this have a bucket each. */
const EXACT_BELOW = 128
const BUCKETS_PER_OCTAVE = 64
/** Position of the highest bit of `BUCKETS_PER_OCTAVE`. */
const OCTAVE_BITS = 6
/** A quantile is read to the millionth, so that `p·n` is a product of integers. */
const QUANTILE_PARTS = 1_000_000

/** Bucket of a value; clamped to `[0, HISTOGRAM_VALUE_MAX]`, fractions dropped. */
export function bucketOf(value: number): number {
  const clamped = value > 0 ? Math.min(Math.trunc(value), HISTOGRAM_VALUE_MAX) : 0
  if (clamped < EXACT_BELOW) return clamped
  const octave = 31 - Math.clz32(clamped) - OCTAVE_BITS
  return BUCKETS_PER_OCTAVE * octave + (clamped >> octave)
}

/** Smallest value of the bucket. */
export function bucketLowerBound(bucket: number): number {
  if (bucket < EXACT_BELOW) return bucket
  return (BUCKETS_PER_OCTAVE + (bucket % BUCKETS_PER_OCTAVE)) * bucketWidth(bucket)
}

/** How many integers the bucket holds. */
export function bucketWidth(bucket: number): number {
  return bucket < EXACT_BELOW ? 1 : 1 << (Math.floor(bucket / BUCKETS_PER_OCTAVE) - 1)
}

/**
 * The value at quantile `p` in `[0, 1]`: the middle of the bucket that holds rank `ceil(p·n)`, at
 * least the first; `undefined` when nothing was counted.
 */
export function quantile(sparse: SparseHistogram, p: number): number | undefined {
  const total = sparse.reduce((sum, [, count]) => sum + count, 0)
  const parts = Math.round(p * QUANTILE_PARTS)
  const rank = Math.max(1, Math.ceil((parts * total) / QUANTILE_PARTS))
  let reached = 0
  for (const [bucket, count] of sparse) {
    reached += count
    if (reached >= rank) return bucketLowerBound(bucket) + Math.floor(bucketWidth(bucket) / 2)
  }
  return undefined
}

/** Sum per bucket. */
export function mergeHistograms(list: Iterable<SparseHistogram>): SparseHistogram {
  return mergeSparse(list, (left, right) => left + right)
}
