/** Adds minutes up, over partitions or over keys: the merge column of the aggregates' table. */
import { COUNTER_NAMES, type MinuteAggregates } from '../../shared/qoe/aggregates.ts'

export function mergeMinutes(
  maps: readonly ReadonlyMap<string, MinuteAggregates>[],
): Map<string, MinuteAggregates> {
  const merged = new Map<string, MinuteAggregates>()
  for (const minutes of maps) {
    for (const [id, aggregates] of minutes) {
      const known = merged.get(id)
      merged.set(id, known === undefined ? aggregates : addAggregates(known, aggregates))
    }
  }
  return merged
}

/** Every aggregate of the minute, without its key, as if the minute had one key only. */
export function mergeKeys(list: readonly MinuteAggregates[]): MinuteAggregates | undefined {
  const [first, ...rest] = list
  if (first === undefined) return undefined
  return rest.reduce(addAggregates, first)
}

function addAggregates(a: MinuteAggregates, b: MinuteAggregates): MinuteAggregates {
  const sum = { ...a }
  for (const name of COUNTER_NAMES) sum[name] = a[name] + b[name]
  return {
    ...sum,
    bitsPlayed: a.bitsPlayed + b.bitsPlayed,
    startupHistogram: mergeSparse([a.startupHistogram, b.startupHistogram], (x, y) => x + y),
    concurrentPlays: a.concurrentPlays.map((count, i) => count + (b.concurrentPlays[i] ?? 0)),
    concurrentViewers: a.concurrentViewers.map((count, i) => count + (b.concurrentViewers[i] ?? 0)),
    viewerRegisters: mergeSparse([a.viewerRegisters, b.viewerRegisters], Math.max),
  }
}

type Sparse = readonly (readonly [number, number])[]

function mergeSparse(lists: readonly Sparse[], merge: (a: number, b: number) => number): Sparse {
  const merged = new Map<number, number>()
  for (const [index, value] of lists.flat()) {
    const known = merged.get(index)
    merged.set(index, known === undefined ? value : merge(known, value))
  }
  return [...merged].toSorted(([a], [b]) => a - b)
}
