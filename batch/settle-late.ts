/**
 * Decides about the copies that runs have held back (`hold-back.ts`), searching all days, and computes
 * the sessions and minutes that they change: what those runs would have done, had they searched as far.
 *
 *   late_events ─► events, event_copies ─► facts ─► out of late_events
 *
 * It takes long, therefore runs do it only so often, when they are over and under their lease: nothing
 * else loads meanwhile. Copies leave `late_events` last and in one write, so a try that was cut off is
 * made again with the same rows; its jobs are named for the last completed run. Where they lie on more days
 * than one write may name, this is done for some sessions after others (`waiting-groups.ts`).
 */
import type { FoldLimits } from '../shared/qoe/fold.ts'
import type { Cut } from '../shared/qoe/cuts.ts'
import { TOPICS } from '../shared/log/topics.ts'
import type { Clock } from '../shared/runtime/clock.ts'
import type { Failpoints } from '../shared/runtime/failpoints.ts'
import { tables } from '../shared/warehouse/tables.ts'
import type { Select, Warehouse, WarehouseSession } from '../shared/warehouse/warehouse.ts'
import { replaceByDates } from './by-dates.ts'
import type { BatchConfig } from './config.ts'
import { type Control, readControl } from './control.ts'
import { computeWaiting, oneRow, replaceFacts } from './facts.ts'
import { WAITING, waitingCopies } from './insert-sql.ts'
import { DATES_PER_WRITE, QUERY_TIMEOUT_MS, WAITING_DAYS_MAX } from './limits.ts'
import { bucketsOf, datesOf, jobsOf } from './load.ts'
import { loadCopies } from './load-copies.ts'
import { countVersions } from './quality.ts'
import { readSql } from './read-sql.ts'
import type { BatchTelemetry } from './telemetry.ts'
import { type WaitingDay, waitingGroups } from './waiting-groups.ts'

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
  const control = await readControl(session)
  const jobs = `${jobsOf(control.lastRun)}-late`
  const all = { sql: `SELECT * FROM ${tables.lateEvents.name}` }
  const days = await datesOf(
    session,
    `SELECT ${tables.lateEvents.partitionColumn} FROM ${tables.lateEvents.name}`,
  )
  if (days.length <= DATES_PER_WRITE)
    return settleSome(parts, session, { control, waiting, jobs, copies: all })
  for (const { firstSession, lastSession } of waitingGroups(
    await readDays(session),
    DATES_PER_WRITE,
  ))
    await settleSome(parts, session, {
      control,
      waiting,
      jobs: `${jobs}-${firstSession}`,
      copies: {
        sql: `${all.sql} WHERE session_id BETWEEN @first_session AND @last_session`,
        parameters: { first_session: firstSession, last_session: lastSession },
      },
    })
}

async function readDays(session: WarehouseSession): Promise<WaitingDay[]> {
  const { name, partitionColumn } = tables.lateEvents
  const rows = await session.query(
    {
      sql: `SELECT DISTINCT session_id, CAST(${partitionColumn} AS STRING) AS day FROM ${name}
        ORDER BY session_id, day`,
    },
    { maxRows: WAITING_DAYS_MAX, timeoutMs: QUERY_TIMEOUT_MS },
  )
  return rows.map((row) => ({ sessionId: String(row['session_id']), date: String(row['day']) }))
}

interface SomeWaiting {
  readonly control: Control
  /** How many copies wait in all. */
  readonly waiting: number
  /** What the names of the jobs begin with. */
  readonly jobs: string
  /** Of `late_events`, all copies of some sessions. */
  readonly copies: Select
}

async function settleSome(
  { config, limits, cuts, telemetry, failpoints, assertMayGoOn }: SettleParts,
  session: WarehouseSession,
  { control, waiting, jobs, copies }: SomeWaiting,
): Promise<void> {
  const { lastRun: run } = control
  const { name, partitionColumn } = tables.lateEvents
  assertMayGoOn()
  await session.scratch(WAITING, copies)
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
  await replaceByDates(session, {
    table: name,
    select: { sql: `SELECT * FROM ${name} WHERE FALSE` },
    scope: ['session_id'],
    scopeSelect: { sql: `SELECT DISTINCT session_id FROM ${WAITING}` },
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
