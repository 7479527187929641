/**
 * Rebuilds the tables of past days from the raw files, whether or not the log still holds their
 * records: after a definition has changed, or after rows were lost or altered.
 *
 *   raw files ─► Parquet, in workers ─► rows of each run, replaced whole ─► facts, many days at once
 *
 * Runs are loaded in their order, and what is computed apart follows one after another, because runs and
 * days share sessions and minutes; the warehouse computes each in as many threads as there are workers.
 * What is replaced is replaced whole, so a repeat leaves the same rows.
 */
import { acquireLease } from '../shared/objects/lease.ts'
import { TOPICS } from '../shared/log/topics.ts'
import type { Clock } from '../shared/runtime/clock.ts'
import { noFailpoints } from '../shared/runtime/failpoints.ts'
import { tables } from '../shared/warehouse/tables.ts'
import type { WarehouseSession } from '../shared/warehouse/warehouse.ts'
import { groupsOf, type Period, periodsOf } from './backfill-periods.ts'
import { readControl, type Control } from './control.ts'
import { computeDays, replaceFacts } from './facts.ts'
import type { FactStepContext } from './fact-step.ts'
import {
  BACKFILL_COPIES_AT_ONCE,
  BACKFILL_COPIES_AT_ONCE_ELSEWHERE,
  BACKFILL_DAYS_AT_ONCE,
  DATES_MAX,
  LEDGER_ROWS_MAX,
  QUERY_TIMEOUT_MS,
} from './limits.ts'
import { LEASE_NAME, rawFileDay } from './object-names.ts'
import {
  type ReloadedRun,
  type ReloadParts,
  reloadRun,
  removeReplayLeftovers,
} from './replay/reload-run.ts'
import { replacingWarehouse } from './replay/replacing-warehouse.ts'
import { readRunFiles, type RunFile } from './run-files.ts'
import { settleLate } from './settle-late.ts'
import { refuseUnfinishedRun } from './unfinished-run.ts'

export interface BackfillParts extends FactStepContext, ReloadParts {
  readonly clock: Clock
  readonly holder: string
  readonly signal: AbortSignal
  /** Raw files that are made Parquet at a time. */
  readonly workers: number
  onProgress(what: 'files' | 'days', done: number, total: number): void
}

export interface BackfillRange {
  /** UTC days, inclusive. */
  readonly fromDate: string
  readonly toDate: string
  /** Whether the tables of events stay as they are, so that no run is loaded again. */
  readonly metricsOnly?: boolean
}

export interface BackfillReport {
  /** Number of the last completed run, `undefined` before the first. */
  readonly run: number | undefined
  /** Runs with a raw file or a frame of the days, each loaded again whole; none where only metrics are computed. */
  readonly runs: readonly ReloadedRun[]
  /** Days on which something of the range or of these runs arrived: their metrics are new. */
  readonly days: readonly string[]
}

/**
 * Throws `LEASE_HELD` while a run is under way, which would write the same rows, and
 * `BATCH_REPLAY_RUN_UNFINISHED` when one is half done: its jobs do not write again what is replaced.
 */
export async function backfill(
  parts: BackfillParts,
  range: BackfillRange,
): Promise<BackfillReport> {
  const { objects, config, holder, clock } = parts
  const durationMs = config.leaseMs
  const lease = await acquireLease(objects, { name: LEASE_NAME, holder, durationMs, clock })
  const assertMayGoOn = () => {
    lease.assertHeld()
    parts.signal.throwIfAborted()
  }
  try {
    const { control, files } = await lookUp(parts, range)
    await refuseUnfinishedRun(objects, control, 'BATCH_REPLAY_RUN_UNFINISHED')
    if (control.lastRun === 0) return { run: undefined, runs: [], days: [] }
    // What is loaded again is not held back: nothing may wait that came before it.
    await settleLate({ failpoints: noFailpoints, ...parts, assertMayGoOn }, true)
    await removeReplayLeftovers(objects)
    const jobs = `backfill-${clock.nowMs()}`
    const reload = range.metricsOnly === true ? [] : files
    const runs = await reloadRuns(parts, { files: reload, jobs, assertMayGoOn })
    const periods = await readPeriods(parts, range, runs)
    const days = periods.flatMap((period) => period.days)
    let daysDone = 0
    for (const period of periods) {
      assertMayGoOn()
      parts.onProgress('days', daysDone, days.length)
      await computePeriod(parts, { control, period, jobs })
      daysDone += period.days.length
    }
    return { run: control.lastRun, runs, days }
  } finally {
    await lease.release()
  }
}

/** Where the log ends for the tables, and all files of the runs to load again. */
async function lookUp(
  { warehouse }: BackfillParts,
  { fromDate, toDate }: BackfillRange,
): Promise<{ readonly control: Control; readonly files: readonly RunFile[] }> {
  const session = await warehouse.open()
  try {
    const entries = await readRunFiles(session)
    // A frame may be appended on another day than it arrived.
    const arrived = await session.query(
      {
        sql: `SELECT DISTINCT run FROM ${tables.frames.name}
          WHERE received_date BETWEEN CAST(@from_date AS DATE) AND CAST(@to_date AS DATE)`,
        parameters: { from_date: fromDate, to_date: toDate },
      },
      { maxRows: LEDGER_ROWS_MAX, timeoutMs: QUERY_TIMEOUT_MS },
    )
    const runs = new Set(arrived.map((row) => Number(row['run'])))
    for (const { written } of entries) {
      const day = rawFileDay(written.file)
      if (day >= fromDate && day <= toDate) runs.add(written.run)
    }
    const files = entries.filter(({ written }) => runs.has(written.run))
    return { control: await readControl(session), files }
  } finally {
    await session.close()
  }
}

interface Reload {
  readonly files: readonly RunFile[]
  readonly jobs: string
  assertMayGoOn(): void
}

async function reloadRuns(
  parts: BackfillParts,
  { files, jobs, assertMayGoOn }: Reload,
): Promise<ReloadedRun[]> {
  const runs = [...new Set(files.map(({ written }) => written.run))].toSorted((a, b) => a - b)
  const reloaded: ReloadedRun[] = []
  let filesDone = 0
  parts.onProgress('files', filesDone, files.length)
  for (const run of runs) {
    const warehouse = replacingWarehouse(parts.warehouse, run)
    const { dates: _dates, ...done } = await reloadRun(
      { ...parts, warehouse },
      {
        run,
        files: files.filter(({ written }) => written.run === run),
        jobs: `${jobs}-${run}`,
        workers: parts.workers,
        assertMayGoOn,
        onFile: () => parts.onProgress('files', (filesDone += 1), files.length),
      },
    )
    reloaded.push(done)
  }
  return reloaded
}

/** The UTC days of arrival of what is in the range or was loaded again. */
async function readPeriods(
  { warehouse }: BackfillParts,
  { fromDate, toDate }: BackfillRange,
  reloaded: readonly ReloadedRun[],
): Promise<readonly Period[]> {
  const runs = reloaded.map(({ run }, index) => [`run_${index}`, run] as const)
  const isReloaded =
    runs.length === 0 ? 'FALSE' : `run IN (${runs.map(([name]) => `@${name}`).join(', ')})`
  const session = await warehouse.open()
  try {
    const rows = await session.query(
      {
        sql: `SELECT CAST(received_date AS STRING) AS day, SUM(event_count + rejected_count) AS copies
          FROM ${tables.frames.name}
          WHERE received_date BETWEEN CAST(@from_date AS DATE) AND CAST(@to_date AS DATE)
            OR ${isReloaded}
          GROUP BY received_date
          ORDER BY day`,
        parameters: { from_date: fromDate, to_date: toDate, ...Object.fromEntries(runs) },
      },
      { maxRows: DATES_MAX, timeoutMs: QUERY_TIMEOUT_MS },
    )
    const days = rows.map((row) => ({ day: String(row['day']), copies: Number(row['copies']) }))
    const copiesMax = session.computesHere
      ? BACKFILL_COPIES_AT_ONCE
      : BACKFILL_COPIES_AT_ONCE_ELSEWHERE
    return periodsOf(days, { fromDate, toDate, copiesMax, daysMax: BACKFILL_DAYS_AT_ONCE })
  } finally {
    await session.close()
  }
}

interface PeriodToCompute {
  readonly control: Control
  readonly period: Period
  readonly jobs: string
}

async function computePeriod(
  { warehouse, limits, cuts, config, failpoints }: BackfillParts,
  { control, period, jobs }: PeriodToCompute,
): Promise<void> {
  const { firstDay: fromDate, lastDay } = period
  const session: WarehouseSession = await warehouse.open()
  try {
    const watermarks = control.partitions.flatMap(({ topic, logPartition, watermarkMs }) =>
      topic === TOPICS.events ? [{ partition: logPartition, watermarkMs }] : [],
    )
    const bucketCount = groupsOf(period, config.factBuckets)
    const request = { run: control.lastRun, fromDate, limits, cuts, watermarks, bucketCount }
    await computeDays(session, request, lastDay)
    await replaceFacts(session, `${jobs}-${fromDate}`, failpoints)
  } finally {
    await session.close()
  }
}
