/**
 * A session's timeline: its frames, found by position in the log, decoded, and each event labelled
 * with what the live view did with it. The labels are not stored: the fold itself is run again
 * over the session's own frames, and is asked what it set aside. That is exact, because whether an
 * event is late, amended or after the close depends only on the session's frames and on the log's
 * time when they came, which the frames carry.
 */
import { READ_AT_MAX_POSITIONS, type EventLog } from '../shared/log/event-log.ts'
import { decodeRecord, type DecodedRecord } from '../shared/log/record.ts'
import { TOPICS } from '../shared/log/topics.ts'
import { POSITIONS_PER_ROW, type SessionRow, type TimelinePosition } from '../shared/speed/rows.ts'
import type { SpeedStore } from '../shared/speed/speed-store.ts'
import type { FoldLimits } from '../shared/qoe/fold.ts'
import type { TimelineEntry } from './api-schemas.ts'
import type { ServingLimits } from './limits.ts'
import { labelFrames } from './timeline-labels.ts'

export interface Timeline {
  readonly entries: readonly TimelineEntry[]
  readonly frames: {
    readonly total: number
    readonly expired: number
    readonly beyondLimit: number
  }
}

export interface TimelineContext {
  readonly log: EventLog
  readonly speed: SpeedStore
  readonly foldLimits: FoldLimits
  readonly limits: Pick<ServingLimits, 'timelineFramesMax'>
}

/** Reads the frames that `row` stands for, and no later one: summary and timeline agree. */
export async function readTimeline(row: SessionRow, context: TimelineContext): Promise<Timeline> {
  const framesMax = Math.min(row.positionCount, context.limits.timelineFramesMax)
  const positions = await readPositions(row, framesMax, context.speed)
  const offsets = positions.map(({ offset }) => offset)
  const lastFrameOffset = offsets.at(-1) ?? -1
  // What changed the row last may be another session's record that moved time.
  const closing = row.lastOffset > lastFrameOffset && positions.length === row.positionCount
  const records = await readRecords(
    row.partition,
    closing ? [...offsets, row.lastOffset] : offsets,
    context.log,
  )
  const last = closing ? records.pop() : undefined
  const frames = records.filter((record) => record?.kind === 'frame')
  const entries = labelFrames(row, frames, last?.loggedAtMs, context.foldLimits)
  return {
    entries,
    frames: {
      total: row.positionCount,
      expired: records.filter((record) => record === undefined).length,
      beyondLimit: row.positionCount - positions.length,
    },
  }
}

async function readPositions(
  row: SessionRow,
  framesMax: number,
  speed: SpeedStore,
): Promise<TimelinePosition[]> {
  const rowsNeeded = Math.ceil(framesMax / POSITIONS_PER_ROW)
  const positions: TimelinePosition[] = []
  let fromRow = 0
  while (fromRow < rowsNeeded) {
    const rows = await speed.readPositions(row, fromRow, rowsNeeded - fromRow)
    for (const positionRow of rows) positions.push(...positionRow.positions)
    const lastRow = rows.at(-1)
    if (lastRow === undefined) break
    fromRow = lastRow.rowNumber + 1
  }
  // There may be more by now than the row counts.
  return positions.slice(0, framesMax)
}

/** Decoded records in the order asked for; `undefined` where the log no longer holds one. */
async function readRecords(
  partition: number,
  offsets: readonly number[],
  log: EventLog,
): Promise<(DecodedRecord | undefined)[]> {
  const records: (DecodedRecord | undefined)[] = []
  for (let from = 0; from < offsets.length; from += READ_AT_MAX_POSITIONS) {
    const wanted = offsets.slice(from, from + READ_AT_MAX_POSITIONS)
    const read = await log.readAt(
      TOPICS.events,
      wanted.map((offset) => ({ partition, offset })),
    )
    for (const record of read) records.push(record && decodeRecord(record))
  }
  return records
}
