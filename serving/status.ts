/** `GET /v1/status`: how far the log is folded, and how fresh each cut is. */
import type { EventLog } from '../shared/log/event-log.ts'
import { TOPICS } from '../shared/log/topics.ts'
import type { Cut } from '../shared/qoe/cuts.ts'
import type { StatusResponse } from './api-schemas.ts'
import { isStale } from './freshness.ts'
import type { PartitionProgress } from './generations.ts'
import type { QoeContext } from './qoe.ts'

export interface StatusContext extends Pick<QoeContext, 'reader' | 'limits' | 'clock'> {
  readonly log: EventLog
  readonly view: string
  readonly partitions: number
  readonly cuts: readonly Cut[]
}

export async function answerStatus(context: StatusContext): Promise<StatusResponse> {
  const { cuts, limits, log, clock } = context
  const partitions = Array.from({ length: context.partitions }, (_, partition) => partition)
  const [progress, ...ranges] = await Promise.all([
    context.reader.readProgress(),
    ...partitions.map((partition) => log.offsets(TOPICS.events, partition)),
  ])
  const nowMs = clock.nowMs()
  const narrowAsOfMs = progress.asOfMs('narrow')
  return {
    nowMs,
    view: context.view,
    stale: isStale('narrow', narrowAsOfMs, nowMs, limits),
    asOfMs: narrowAsOfMs ?? null,
    log: partitions.map((partition) =>
      partitionStatus(partition, ranges[partition]?.end ?? 0, progress, nowMs),
    ),
    cuts: cuts.map((cut) => {
      const asOfMs = progress.asOfMs(cut.width)
      return {
        id: cut.id,
        dimensions: [...cut.dimensions],
        width: cut.width,
        viewers: cut.viewers,
        asOfMs: asOfMs ?? null,
        stale: isStale(cut.width, asOfMs, nowMs, limits),
      }
    }),
    batch: { lastRun: null },
    reconcile: { lastRun: null },
  }
}

function partitionStatus(
  partition: number,
  end: number,
  progress: PartitionProgress,
  nowMs: number,
): StatusResponse['log'][number] {
  const row = progress.latest(partition)
  const applied = row?.appliedOffset ?? 0
  const lagRecords = Math.max(0, end - applied)
  const lagMs = row === undefined || lagRecords === 0 ? 0 : Math.max(0, nowMs - row.lastLoggedAtMs)
  return { partition, end, applied, lagRecords, lagMs, watermarkMs: row?.watermarkMs ?? null }
}
