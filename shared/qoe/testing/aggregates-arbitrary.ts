/** Arbitrary aggregates for property tests: canonical structures, zeros and large sums included. */
import fc from 'fast-check'
import { COUNTER_NAMES, INSTANTS_PER_MINUTE, type MinuteAggregates } from '../aggregates.ts'
import { bucketOf, HISTOGRAM_VALUE_MAX } from '../histogram.ts'
import { RANK_MAX, REGISTERS } from '../registers.ts'

/** Keeps sums of a few within the exact integers. */
const COUNT_MAX = 2 ** 48

const count = fc.oneof(fc.constant(0), fc.integer({ min: 0, max: COUNT_MAX }))
const counters = fc.record(
  Object.fromEntries(COUNTER_NAMES.map((name) => [name, count])) as Record<
    (typeof COUNTER_NAMES)[number],
    typeof count
  >,
)
const instants = fc.oneof(
  fc.constant(Array.from({ length: INSTANTS_PER_MINUTE }, () => 0)),
  fc.array(count, { minLength: INSTANTS_PER_MINUTE, maxLength: INSTANTS_PER_MINUTE }),
)

function sparse(keyMax: number, valueMax: number): fc.Arbitrary<readonly [number, number][]> {
  const pair = fc.tuple(fc.integer({ min: 0, max: keyMax }), fc.integer({ min: 1, max: valueMax }))
  return fc
    .uniqueArray(pair, { maxLength: 12, selector: ([key]) => key })
    .map((pairs) => pairs.sort(([left], [right]) => left - right))
}

export const sparseHistograms = sparse(bucketOf(HISTOGRAM_VALUE_MAX), COUNT_MAX)
export const sparseRegisters = sparse(REGISTERS - 1, RANK_MAX)

export const minuteAggregates: fc.Arbitrary<MinuteAggregates> = fc
  .tuple(
    counters,
    fc.record({
      bitsPlayed: fc.oneof(fc.constant(0n), fc.bigInt({ min: 0n, max: 2n ** 70n })),
      startupHistogram: sparseHistograms,
      concurrentPlays: instants,
      concurrentViewers: instants,
      viewerRegisters: sparseRegisters,
    }),
  )
  .map(([sums, structures]) => ({ ...sums, ...structures }))
