/** `GET /v1/status`: how far the log is folded, how fresh each cut is, and how far history goes. */
import type { EventLog } from '../shared/log/event-log.ts'
import { TOPICS } from '../shared/log/topics.ts'
import type { Cut } from '../shared/qoe/cuts.ts'
import type { BatchActivity } from '../shared/warehouse/batch-activity.ts'
import type { StatusResponse } from './api-schemas.ts'
import { isStale } from './freshness.ts'
import type { PartitionProgress } from '../shared/speed/generations.ts'
import type { BatchRun } from './history/control-rows.ts'
import { unavailable } from './history/history.ts'
import type { ReadingContext } from './reading.ts'

export interface StatusContext extends Pick<
  ReadingContext,
  'reader' | 'limits' | 'clock' | 'history'
> {
  /** Absent where no batch is scheduled. */
  readonly batchActivity: (() => BatchActivity) | undefined
  readonly log: EventLog
  readonly view: string
  readonly partitions: number
  readonly cuts: readonly Cut[]
}

export async function answerStatus(context: StatusContext): Promise<StatusResponse> {
  const { cuts, limits, log, clock } = context
  const partitions = Array.from({ length: context.partitions }, (_, partition) => partition)
  const [progress, past, ...ranges] = await Promise.all([
    context.reader.readProgress(),
    historyStatus(context),
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
    ...past,
  }
}

async function historyStatus({
  history,
  batchActivity,
}: StatusContext): Promise<Pick<StatusResponse, 'batch' | 'reconcile' | 'degraded'>> {
  let degraded: StatusResponse['degraded']
  try {
    // The status is asked every few seconds: what is known does, and is renewed meanwhile.
    const snapshot = await history?.acquire(history.run === undefined)
    snapshot?.release()
  } catch (error) {
    const { code, message } = unavailable(error)
    degraded = [{ code, detail: message }]
  }
  const activity = batchActivity?.()
  return {
    batch: {
      lastRun: history?.run === undefined ? null : runStatus(history.run),
      isRunning: activity?.isRunning ?? false,
      nextRunAtMs: activity?.nextRunAtMs ?? null,
      failure: activity?.failure ?? null,
    },
    reconcile: { lastRun: activity?.reconcile ?? null },
    ...(degraded === undefined ? {} : { degraded }),
  }
}

function runStatus(run: BatchRun): NonNullable<StatusResponse['batch']['lastRun']> {
  return {
    run: run.run,
    startedAtMs: run.startedAtMs,
    endedAtMs: run.endedAtMs,
    watermarkMs: run.watermarkMs,
    historyToMs: run.completeToMs,
    records: run.records,
    events: run.events,
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
