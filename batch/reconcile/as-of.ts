/**
 * As of when live and history are compared: the cut of the last completed run. A live row can be
 * compared when the record that last changed it is below the cut, and the processor has brought
 * everything below the cut into the store; what changed after is pending and never a difference.
 */
import { TOPICS } from '../../shared/log/topics.ts'
import type { PartitionRow, RowOrigin } from '../../shared/speed/rows.ts'
import { readProgress, type PartitionProgress } from '../../shared/speed/generations.ts'
import type { SpeedStore } from '../../shared/speed/speed-store.ts'
import type { WarehouseSession } from '../../shared/warehouse/warehouse.ts'
import { readControl, type PartitionWatermark } from '../control.ts'

export type RowClass = 'narrow' | 'wide' | 'session'

export interface AsOf {
  readonly run: number
  readonly watermarks: readonly PartitionWatermark[]
  /** Smallest watermark over partitions at the cut, epoch ms. */
  readonly watermarkMs: number
  readonly progress: PartitionProgress
  /** The highest that a partition has rows of. */
  readonly topicEpoch: number
  /** Of the rows that the fold of a partition writes now. */
  originOf(partition: number): Pick<RowOrigin, 'topicEpoch' | 'generation'>
  /** Where the next run begins, per topic and partition. */
  nextOffset(topic: string, partition: number): number
  /** Whether a row of this partition was last changed below the cut. */
  isBelowCut(row: { readonly partition: number; readonly lastOffset: number }): boolean
  /** Whether all that is below the cut is in the store, in rows of the class. */
  isWritten(rowClass: RowClass): boolean
}

export interface AsOfParts {
  readonly speed: SpeedStore
  readonly view: string
  readonly partitions: number
  readonly paneLifeMs: number
}

/** `undefined` before the first run. */
export async function readAsOf(
  session: WarehouseSession,
  { speed, view, partitions, paneLifeMs }: AsOfParts,
): Promise<AsOf | undefined> {
  const control = await readControl(session)
  const next = new Map<string, number>()
  const watermarks: PartitionWatermark[] = []
  for (const { topic, logPartition, nextOffset, watermarkMs } of control.partitions) {
    next.set(`${topic} ${logPartition}`, nextOffset)
    if (topic === TOPICS.events) watermarks.push({ partition: logPartition, watermarkMs })
  }
  if (control.lastRun === 0 || watermarks.length === 0) return undefined
  const progress = readProgress(await speed.readPartitions(view), partitions, paneLifeMs)
  const nextOffset = (topic: string, partition: number) => next.get(`${topic} ${partition}`) ?? 0
  const originOf: AsOf['originOf'] = (partition) =>
    progress.latest(partition) ?? { topicEpoch: 0, generation: 0 }
  return {
    run: control.lastRun,
    watermarks,
    watermarkMs: Math.min(...watermarks.map((one) => one.watermarkMs)),
    progress,
    topicEpoch: Math.max(...watermarks.map(({ partition }) => originOf(partition).topicEpoch)),
    originOf,
    nextOffset,
    isBelowCut: ({ partition, lastOffset }) => lastOffset < nextOffset(TOPICS.events, partition),
    isWritten: (rowClass) =>
      watermarks.every(({ partition }) => {
        const row = progress.latest(partition)
        return row !== undefined && writtenTo(row, rowClass) >= nextOffset(TOPICS.events, partition)
      }),
  }
}

function writtenTo(row: PartitionRow, rowClass: RowClass): number {
  const offsets = { narrow: row.narrowOffset, wide: row.wideOffset, session: row.sessionOffset }
  return Math.min(row.appliedOffset, offsets[rowClass])
}
