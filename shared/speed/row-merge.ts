/**
 * From the rows of a cut to one aggregate per (minute, key): the rows of partitions and topic
 * epochs are added up, one generation of each; a repair row (partition −1) stands for all of them.
 */
import { MINUTE_MS, type MinuteAggregates } from '../qoe/aggregates.ts'
import { mergeAggregates } from '../qoe/merge.ts'
import type { MinuteRow } from './rows.ts'
import type { CutWidth, PartitionProgress } from './generations.ts'

/** Partition of rows that a repair wrote. */
export const REPAIR_PARTITION = -1

/** Aggregates by key of the cut. */
export type MergedMinute = ReadonlyMap<string, MinuteAggregates>
/** Minutes by start; minutes without a row are absent. */
export type MergedMinutes = ReadonlyMap<number, MergedMinute>

export function mergeMinuteRows(
  rows: readonly MinuteRow[],
  width: CutWidth,
  progress: PartitionProgress,
): Map<number, Map<string, MinuteAggregates>> {
  const groups = new Map<number, Map<string, MinuteRow[]>>()
  for (const row of rows) {
    let minute = groups.get(row.minuteStartMs)
    if (minute === undefined) groups.set(row.minuteStartMs, (minute = new Map()))
    const group = minute.get(row.key)
    if (group === undefined) minute.set(row.key, [row])
    else group.push(row)
  }
  const merged = new Map<number, Map<string, MinuteAggregates>>()
  for (const [minuteStartMs, keys] of groups) {
    const minute = new Map<string, MinuteAggregates>()
    for (const [key, group] of keys) {
      const counted = countedRows(group, width, progress)
      if (counted.length > 0) minute.set(key, mergeAggregates(counted.map((row) => row.aggregates)))
    }
    merged.set(minuteStartMs, minute)
  }
  return merged
}

/** The rows of one (minute, key) that count. */
function countedRows(
  group: readonly MinuteRow[],
  width: CutWidth,
  progress: PartitionProgress,
): readonly MinuteRow[] {
  const repairs = group.filter(({ partition }) => partition === REPAIR_PARTITION)
  if (repairs.length > 0) return [repairs.reduce((best, row) => (isNewer(row, best) ? row : best))]
  const bySource = new Map<string, MinuteRow>()
  for (const row of group) {
    const { partition, topicEpoch, minuteStartMs } = row
    const chosen = progress.generationFor(
      { partition, topicEpoch, width },
      {
        startMs: minuteStartMs,
        endMs: minuteStartMs + MINUTE_MS,
        lastOffsetOf: (generation) =>
          group.find((other) => sameSource(other, row) && other.generation === generation)
            ?.lastOffset,
      },
    )
    if (chosen !== undefined && row.generation !== chosen) continue
    const key = `${row.topicEpoch}/${row.partition}`
    const known = bySource.get(key)
    if (known === undefined || isNewer(row, known)) bySource.set(key, row)
  }
  return [...bySource.values()]
}

function sameSource(a: MinuteRow, b: MinuteRow): boolean {
  return a.partition === b.partition && a.topicEpoch === b.topicEpoch
}

function isNewer(row: MinuteRow, than: MinuteRow): boolean {
  if (row.topicEpoch !== than.topicEpoch) return row.topicEpoch > than.topicEpoch
  if (row.generation !== than.generation) return row.generation > than.generation
  return row.stampUs > than.stampUs
}
