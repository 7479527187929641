/**
 * Decides about the copies that runs have held back (`hold-back.ts`), searching all days, and computes
 * the sessions and minutes that they change: what those runs would have done, had they searched as far.
 *
 *   late_events ─► events, event_copies ─► facts ─► out of late_events
 *
 * It takes long, therefore runs do it only so often, when they are over and under their lease: nothing
 * else loads meanwhile. Copies leave `late_events` last and all at once, so a try that was cut off is
 * made again with the same rows; its jobs are named for the last completed run.
 */
import type { FoldLimits } from '../shared/qoe/fold.ts'
import type { Cut } from '../shared/qoe/cuts.ts'
import { TOPICS } from '../shared/log/topics.ts'
import type { Clock } from '../shared/runtime/clock.ts'
import type { Failpoints } from '../shared/runtime/failpoints.ts'
import { tables } from '../shared/warehouse/tables.ts'
import type { Warehouse, WarehouseSession } from '../shared/warehouse/warehouse.ts'
import type { BatchConfig } from './config.ts'
import { type Control, readControl } from './control.ts'
import { computeWaiting, oneRow, replaceFacts } from './facts.ts'
import { WAITING, waitingCopies } from './insert-sql.ts'
import { bucketsOf, datesOf, jobsOf } from './load.ts'
import { loadCopies } from './load-copies.ts'
import { countVersions } from './quality.ts'
import { readSql } from './read-sql.ts'
import type { BatchTelemetry } from './telemetry.ts'

export interface SettleParts {
  readonly warehouse: Warehouse
  readonly clock: Clock
  readonly config: BatchConfig
  readonly limits: FoldLimits
  readonly cuts: readonly Cut[]
  readonly telemetry: BatchTelemetry
  readonly failpoints: Failpoints
  /** Throws when the work must not go on. */
  assertMayGoOn(): void
}

/**
 * No run may be half done, and the lease of the batch must be held. Copies that have not waited for
 * `lateAfterMs` yet are left, unless `now`. Resolves with how many are settled.
 */
export async function settleLate(parts: SettleParts, now: boolean): Promise<number> {
  const { warehouse, telemetry, clock, config } = parts
  const session = await warehouse.open()
  try {
    const { copies, heldAtMs } = await readWaiting(session)
    const isDue = now || clock.nowMs() - heldAtMs >= config.lateAfterMs
    if (copies > 0 && isDue) await settle(parts, session, copies)
    const settled = isDue ? copies : 0
    telemetry.lateSettled(settled, copies - settled)
    return settled
  } finally {
    await session.close()
  }
}

interface Waiting {
  readonly copies: number
  /** When the first of them was held back, epoch ms. */
  readonly heldAtMs: number
}

async function readWaiting(session: WarehouseSession): Promise<Waiting> {
  const [row] = await session.query({ sql: readSql('late/waiting') }, oneRow)
  return { copies: Number(row?.['copies'] ?? 0), heldAtMs: Number(row?.['held_at'] ?? 0) }
}

async function settle(
  parts: SettleParts,
  session: WarehouseSession,
  waiting: number,
): Promise<void> {
  const { config, limits, cuts, telemetry, failpoints, assertMayGoOn } = parts
  const control = await readControl(session)
  const { lastRun: run } = control
  const jobs = `${jobsOf(run)}-late`
  const { name, partitionColumn } = tables.lateEvents
  assertMayGoOn()
  await session.scratch(WAITING, { sql: `SELECT * FROM ${name}` })
  const dates = await datesOf(session, `SELECT ${partitionColumn} FROM ${WAITING}`)
  const loaded = await loadCopies(session, {
    run,
    limits,
    copies: { sql: waitingCopies() },
    dates,
    bucketCount: bucketsOf(session, waiting),
    jobId: `${jobs}-insert`,
  })
  telemetry.rowsInserted(tables.events.name, loaded.events)
  telemetry.rowsInserted(tables.eventCopies.name, loaded.copies)
  await failpoints.hit('batch.afterLateInserts')
  assertMayGoOn()
  await computeWaiting(session, {
    run,
    fromDate: dates[0] ?? '',
    limits,
    cuts,
    watermarks: watermarksOf(control),
    bucketCount: config.factBuckets,
  })
  await replaceFacts(session, `${jobs}-facts`, failpoints)
  await countVersions(session, { dates, jobId: `${jobs}-versions` })
  await failpoints.hit('batch.afterLateFacts')
  assertMayGoOn()
  await session.replaceRows({
    table: name,
    select: { sql: `SELECT * FROM ${name} WHERE FALSE` },
    scope: ['run'],
    scopeSelect: { sql: `SELECT DISTINCT run FROM ${WAITING}` },
    dates,
    jobId: `${jobs}-settled`,
  })
  await failpoints.hit('batch.afterLateSettled')
}

function watermarksOf({ partitions }: Control) {
  return partitions.flatMap(({ topic, logPartition, watermarkMs }) =>
    topic === TOPICS.events ? [{ partition: logPartition, watermarkMs }] : [],
  )
}
