/**
 * Which rows count. A partition whose state had to be rebuilt from the log writes under a higher
 * generation, beside the rows of the one before. Readers take the highest generation, with two
 * exceptions that keep a value from going backwards:
 *
 * - while a rebuild has not yet come as far as every generation before it, an older one is read:
 *   by what that one said of itself, and by its very row, which may be further than it said;
 * - minutes that the rebuild could not know whole (older than its first record + pane life) are
 *   read from the older generation where that one reached them.
 */
import type { Cut } from '../qoe/cuts.ts'
import type { PartitionRow } from './rows.ts'

export type CutWidth = Cut['width']

export interface PartitionProgress {
  /**
   * The generation to read for a minute of (partition, topic epoch), or `undefined` when the
   * partition has not said how far it is: then the highest generation found counts.
   */
  generationFor(source: RowSource, minute: SourceMinute): number | undefined
  /**
   * The watermark up to which rows of this width are in the store in all partitions, or
   * `undefined` while one of them has written nothing.
   */
  asOfMs(width: CutWidth): number | undefined
  /** The partition's newest row of the latest topic epoch. */
  latest(partition: number): PartitionRow | undefined
  /** Changes whenever another generation may be read. */
  readonly signature: string
}

export interface RowSource {
  readonly partition: number
  readonly topicEpoch: number
  readonly width: CutWidth
}

/** A minute of a key, as the source's rows have it. */
export interface SourceMinute {
  readonly startMs: number
  readonly endMs: number
  /** Offset of the record that last changed the generation's row, if it has one. */
  lastOffsetOf(generation: number): number | undefined
}

/** `partitions` = how many the events topic has; `paneLifeMs` = how long a pane takes late events. */
export function readProgress(
  rows: readonly PartitionRow[],
  partitions: number,
  paneLifeMs: number,
): PartitionProgress {
  const bySource = new Map<string, PartitionRow[]>()
  for (const row of rows) {
    const key = sourceKey(row)
    bySource.set(key, [...(bySource.get(key) ?? []), row])
  }
  for (const generations of bySource.values())
    generations.sort((a, b) => b.generation - a.generation)
  const latest = new Map<number, PartitionRow[]>()
  for (const generations of bySource.values()) {
    const first = generations[0]
    if (first === undefined) continue
    const known = latest.get(first.partition)?.[0]
    if (known === undefined || known.topicEpoch < first.topicEpoch)
      latest.set(first.partition, generations)
  }
  return {
    generationFor(source, minute) {
      const generations = bySource.get(sourceKey(source))
      return generations && chooseGeneration(generations, source.width, { ...minute, paneLifeMs })
    },
    asOfMs(width) {
      let asOfMs: number | undefined
      for (let partition = 0; partition < partitions; partition++) {
        const generations = latest.get(partition)
        if (generations === undefined) return undefined
        const reachedMs = Math.max(...generations.map((row) => reached(row, width)))
        // Before its first write of the width a partition's watermark is not a time yet.
        if (reachedMs <= 0) return undefined
        asOfMs = Math.min(asOfMs ?? reachedMs, reachedMs)
      }
      return asOfMs
    },
    latest: (partition) => latest.get(partition)?.[0],
    signature: signatureOf(bySource),
  }
}

/** `generations` is sorted highest first and not empty. */
function chooseGeneration(
  generations: readonly PartitionRow[],
  width: CutWidth,
  minute: SourceMinute & { readonly paneLifeMs: number },
): number | undefined {
  let chosen: number | undefined
  for (const [index, row] of generations.entries()) {
    chosen = row.generation
    const older = generations.slice(index + 1)
    const caughtUp = older.every(
      (one) =>
        reached(row, width) >= reached(one, width) &&
        reachedOffset(row, width) > (minute.lastOffsetOf(one.generation) ?? -1),
    )
    const whole = minute.startMs >= row.generationStartMs + minute.paneLifeMs
    const olderReachedIt = older.some((one) => reached(one, width) >= minute.endMs)
    if (caughtUp && (whole || !olderReachedIt)) break
  }
  return chosen
}

function reached(row: PartitionRow, width: CutWidth): number {
  return width === 'narrow' ? row.narrowWatermarkMs : row.wideWatermarkMs
}

function reachedOffset(row: PartitionRow, width: CutWidth): number {
  return width === 'narrow' ? row.narrowOffset : row.wideOffset
}

function sourceKey(source: { partition: number; topicEpoch: number }): string {
  return `${source.topicEpoch}/${source.partition}`
}

function signatureOf(bySource: ReadonlyMap<string, readonly PartitionRow[]>): string {
  const parts = [...bySource].map(
    ([key, generations]) => `${key}:${generations.map(({ generation }) => generation).join('.')}`,
  )
  return parts.toSorted().join(' ')
}
