/**
 * How far the files are behind the log when a cut is taken, and whether records may expire before
 * they are in files. A run is never refused for it, because running is what mends it; records that
 * have expired already are `BATCH_DATA_LOSS`, which the cut tells by partition.
 */
import { z } from 'zod'
import { LAG_RETENTION_SHARE_MAX } from './limits.ts'

const count = z.int().min(0)

export const lagSchema = z.object({
  /** Records of all partitions that are in no file. */
  records: count,
  /** Of the partition with the most. */
  recordsOfOne: count,
  /** Runs that it takes at least, by BATCH_RUN_RECORDS_MAX. */
  runs: count,
  /** The oldest event among them is not older than this, ms; `null` before the first run. */
  ageMs: z.int().nullable(),
  /** Whether that is so much of the log's retention that records may soon be lost. */
  isNearExpiry: z.boolean(),
})

export type Lag = z.infer<typeof lagSchema>

/** A partition with records that are in no file. */
export interface WaitingRecords {
  readonly records: number
  /**
   * They were appended after this, epoch ms; `null` when nobody knows. Ticks keep it near the truth in
   * the topic of events alone: what comes after weeks of silence in another is not weeks old.
   */
  readonly sinceMs: number | null
}

export interface LagBounds {
  readonly nowMs: number
  readonly runRecordsMax: number
  /** How long the log keeps records, ms. */
  readonly logRetentionMs: number
}

export function lagOf(
  waiting: readonly WaitingRecords[],
  { nowMs, runRecordsMax, logRetentionMs }: LagBounds,
): Lag {
  const recordsOfOne = Math.max(0, ...waiting.map(({ records }) => records))
  const sinceMs = waiting.flatMap((partition) => partition.sinceMs ?? [])
  const ageMs = sinceMs.length === 0 ? null : Math.max(0, nowMs - Math.min(...sinceMs))
  return {
    records: waiting.reduce((sum, { records }) => sum + records, 0),
    recordsOfOne,
    runs: Math.ceil(recordsOfOne / runRecordsMax),
    ageMs,
    isNearExpiry: ageMs !== null && ageMs > logRetentionMs * LAG_RETENTION_SHARE_MAX,
  }
}
