/**
 * The aggregates of one (cut key, minute): integers, or mergeable structures of integers, so that
 * live and history can be compared for equality and minutes add up to any longer window.
 * Definitions: `docs/metrics-definitions.md`.
 */

/** Sums; merged by +. */
export const COUNTER_NAMES = [
  'sessions',
  'attempts',
  'plays',
  'ebvs',
  'ebvsLong',
  'vsf',
  'vpf',
  'endedPlays',
  'failures',
  'startups',
  'startupSumMs',
  'stalls',
  'stallMs',
  'playingMs',
  'watchedMs',
  'mediaUs',
  'ratedMediaUs',
  'events',
  'lost',
  'frames',
  'bytes',
  'duplicates',
  'late',
] as const
export type CounterName = (typeof COUNTER_NAMES)[number]

/** Instants of a minute at which concurrency is counted: 0 s, 10 s, … 50 s. */
export const INSTANTS_PER_MINUTE = 6
export const INSTANT_INTERVAL_MS = 10_000
export const MINUTE_MS = 60_000

/** [bucket, count] with count > 0, ascending by bucket. */
export type SparseHistogram = readonly (readonly [bucket: number, count: number])[]
/** [register, rank] with rank > 0, ascending by register. */
export type SparseRegisters = readonly (readonly [register: number, rank: number])[]

export interface MinuteAggregates extends Readonly<Record<CounterName, number>> {
  /** Σ kbps × mediaUs, in thousandths of a bit; exceeds 2^53 in large cuts. */
  readonly bitsPlayed: bigint
  readonly startupHistogram: SparseHistogram
  /** Plays started and not ended, pause included, at each 10 s instant; 6 counts. */
  readonly concurrentPlays: readonly number[]
  /** Starting, playing, seeking or stalled since ≤ 5 min, at each 10 s instant; 6 counts. */
  readonly concurrentViewers: readonly number[]
  /** HyperLogLog, p = 12, of viewer pseudonyms. */
  readonly viewerRegisters: SparseRegisters
}
