/**
 * The facts of past days computed anew from the events, copies and frames that the warehouse holds:
 * after the definition of a metric has changed. Day after day, because days share sessions and
 * minutes; what is replaced is replaced whole, so a repeat leaves the same rows.
 */
import { acquireLease } from '../shared/objects/lease.ts'
import type { ObjectStore } from '../shared/objects/object-store.ts'
import { TOPICS } from '../shared/log/topics.ts'
import type { Clock } from '../shared/runtime/clock.ts'
import { tables } from '../shared/warehouse/tables.ts'
import type { WarehouseSession } from '../shared/warehouse/warehouse.ts'
import { readControl, type Control } from './control.ts'
import { computeDays, replaceFacts } from './facts.ts'
import type { FactStepContext } from './fact-step.ts'
import { DATES_MAX, QUERY_TIMEOUT_MS } from './limits.ts'
import { LEASE_NAME } from './object-names.ts'

export interface BackfillParts extends FactStepContext {
  readonly objects: ObjectStore
  readonly clock: Clock
  readonly holder: string
  readonly signal: AbortSignal
  onDay(done: number, total: number): void
}

export interface BackfillRange {
  /** UTC days of arrival, inclusive. */
  readonly fromDate: string
  readonly toDate: string
}

export interface BackfillReport {
  /** Number of the last completed run, `undefined` before the first. */
  readonly run: number | undefined
  /** Days on which something arrived, all of them computed anew. */
  readonly days: readonly string[]
}

/** Throws `LEASE_HELD` while a run is under way, which would write the same rows. */
export async function backfill(
  parts: BackfillParts,
  range: BackfillRange,
): Promise<BackfillReport> {
  const { objects, config, holder, clock } = parts
  const durationMs = config.leaseMs
  const lease = await acquireLease(objects, { name: LEASE_NAME, holder, durationMs, clock })
  try {
    const { control, days } = await readDays(parts, range)
    if (control.lastRun === 0) return { run: undefined, days: [] }
    const startedAtMs = clock.nowMs()
    for (const [index, day] of days.entries()) {
      parts.signal.throwIfAborted()
      lease.assertHeld()
      parts.onDay(index, days.length)
      await computeDay(parts, { control, day, jobId: `backfill-${startedAtMs}-${day}` })
    }
    return { run: control.lastRun, days }
  } finally {
    await lease.release()
  }
}

async function readDays(
  { warehouse }: BackfillParts,
  { fromDate, toDate }: BackfillRange,
): Promise<{ readonly control: Control; readonly days: readonly string[] }> {
  const session = await warehouse.open()
  try {
    const rows = await session.query(
      {
        sql: `SELECT DISTINCT CAST(received_date AS STRING) AS day FROM ${tables.frames.name}
          WHERE received_date BETWEEN CAST(@from_date AS DATE) AND CAST(@to_date AS DATE)
          ORDER BY day`,
        parameters: { from_date: fromDate, to_date: toDate },
      },
      { maxRows: DATES_MAX, timeoutMs: QUERY_TIMEOUT_MS },
    )
    return { control: await readControl(session), days: rows.map((row) => String(row['day'])) }
  } finally {
    await session.close()
  }
}

interface Day {
  readonly control: Control
  readonly day: string
  readonly jobId: string
}

async function computeDay(
  { warehouse, limits, cuts, config }: BackfillParts,
  { control, day, jobId }: Day,
): Promise<void> {
  const session: WarehouseSession = await warehouse.open()
  try {
    const watermarks = control.partitions.flatMap(({ topic, logPartition, watermarkMs }) =>
      topic === TOPICS.events ? [{ partition: logPartition, watermarkMs }] : [],
    )
    const bucketCount = config.factBuckets
    const request = { run: control.lastRun, fromDate: day, limits, cuts, watermarks, bucketCount }
    await computeDays(session, request, day)
    await replaceFacts(session, jobId)
  } finally {
    await session.close()
  }
}
