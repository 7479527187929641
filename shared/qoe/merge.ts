/**
 * Adds up the aggregates of rows that stand for different events: partitions of one key and minute,
 * keys of one cut, or minutes of a window. Commutative and associative, with `EMPTY_AGGREGATES` as
 * identity, so rows may be merged in any order and grouping. Concurrency is added per instant: over
 * minutes, the caller takes the maximum of the merged instants instead.
 */
import {
  COUNTER_NAMES,
  INSTANTS_PER_MINUTE,
  type CounterName,
  type MinuteAggregates,
} from './aggregates.ts'
import { mergeHistograms } from './histogram.ts'
import { mergeRegisters } from './registers.ts'

export const EMPTY_AGGREGATES: MinuteAggregates = mergeAggregates([])

export function mergeAggregates(list: Iterable<MinuteAggregates>): MinuteAggregates {
  const all = [...list]
  const counters = Object.fromEntries(
    COUNTER_NAMES.map((name) => [name, all.reduce((sum, one) => sum + one[name], 0)]),
  ) as Record<CounterName, number>
  return {
    ...counters,
    bitsPlayed: all.reduce((sum, one) => sum + one.bitsPlayed, 0n),
    startupHistogram: mergeHistograms(all.map((one) => one.startupHistogram)),
    concurrentPlays: sumPerInstant(all.map((one) => one.concurrentPlays)),
    concurrentViewers: sumPerInstant(all.map((one) => one.concurrentViewers)),
    viewerRegisters: mergeRegisters(all.map((one) => one.viewerRegisters)),
  }
}

/**
 * Adds up minutes of one key into one part of a window. Unlike rows of one minute they share their
 * plays, so that of each instant the largest count is kept. Associative as well.
 */
export function mergeMinutes(list: readonly MinuteAggregates[]): MinuteAggregates {
  return {
    ...mergeAggregates(list),
    concurrentPlays: largestPerInstant(list.map((one) => one.concurrentPlays)),
    concurrentViewers: largestPerInstant(list.map((one) => one.concurrentViewers)),
  }
}

function largestPerInstant(list: readonly (readonly number[])[]): readonly number[] {
  return Array.from({ length: INSTANTS_PER_MINUTE }, (_, index) =>
    list.reduce((largest, counts) => Math.max(largest, counts[index] ?? 0), 0),
  )
}

function sumPerInstant(list: readonly (readonly number[])[]): readonly number[] {
  return Array.from({ length: INSTANTS_PER_MINUTE }, (_, index) =>
    list.reduce((sum, counts) => sum + (counts[index] ?? 0), 0),
  )
}
