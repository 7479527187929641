/**
 * What the control rows of the batch say to a reader of the history: the newest run, and up to
 * where the minutes are complete. A partition that a run left out keeps the watermark of its last
 * complete cut, so the boundary stays where the slowest partition is.
 */
import { MINUTE_MS } from '../../shared/qoe/aggregates.ts'
import { TOPICS } from '../../shared/log/topics.ts'
import type { Row, Select } from '../../shared/warehouse/warehouse.ts'
import { integerOf } from '../../shared/warehouse/row-values.ts'

/** The newest complete run, with the state of all partitions after it. */
export interface BatchRun {
  readonly run: number
  readonly startedAtMs: number
  readonly endedAtMs: number
  /** Smallest watermark over partitions at their last complete cuts. */
  readonly watermarkMs: number
  /** Minutes before this whole minute are complete: no event that the live side takes can come. */
  readonly completeToMs: number
  /** Records of `playback.events` that the run took, ticks included. */
  readonly records: number
  /** Events that it put into the history. */
  readonly events: number
  /** Whether the log had forgotten its beginning when the first run read it. */
  readonly beginsLate: boolean
}

/** The last control row of each partition of the events topic, and where its history begins. */
export const LAST_CONTROL_ROWS: Select = {
  sql: `SELECT
  run, log_partition, watermark_ms, started_at, ended_at, records, events,
  MIN(first_offset) OVER (PARTITION BY log_partition) AS begins_at_offset
FROM batch_runs
WHERE topic = @topic
QUALIFY ROW_NUMBER() OVER (PARTITION BY log_partition ORDER BY run DESC) = 1`,
  parameters: { topic: TOPICS.events },
}

/** When the last partition's history begins, by the log's time. */
export const HISTORY_BEGINS: Select = {
  sql: `SELECT MAX(first_logged_at_ms) AS begins_ms
FROM (SELECT MIN(logged_at_ms) AS first_logged_at_ms FROM frames GROUP BY log_partition) AS firsts`,
}

/** `undefined` while a partition has not been in a complete run. */
export function newestRun(
  rows: readonly Row[],
  partitions: number,
  paneLifeMs: number,
): BatchRun | undefined {
  const counted = rows.filter((row) => integerOf(row, 'log_partition') < partitions)
  if (counted.length < partitions) return undefined
  const run = Math.max(...counted.map((row) => integerOf(row, 'run')))
  const ofRun = counted.filter((row) => integerOf(row, 'run') === run)
  const watermarkMs = Math.min(...counted.map((row) => integerOf(row, 'watermark_ms')))
  return {
    run,
    startedAtMs: Math.min(...ofRun.map((row) => integerOf(row, 'started_at'))),
    endedAtMs: Math.max(...ofRun.map((row) => integerOf(row, 'ended_at'))),
    watermarkMs,
    completeToMs: completeBefore(watermarkMs, paneLifeMs),
    records: ofRun.reduce((sum, row) => sum + integerOf(row, 'records'), 0),
    events: ofRun.reduce((sum, row) => sum + integerOf(row, 'events'), 0),
    beginsLate: counted.some((row) => integerOf(row, 'begins_at_offset') > 0),
  }
}

/** A pane takes events until the watermark is beyond its end + pane life, so equality is not enough. */
function completeBefore(watermarkMs: number, paneLifeMs: number): number {
  return Math.max(0, Math.floor((watermarkMs - paneLifeMs - 1) / MINUTE_MS) * MINUTE_MS)
}
