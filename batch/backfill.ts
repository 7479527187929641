/**
 * Rebuilds the tables of past days from the raw files, whether or not the log still holds their
 * records: after a definition has changed, or after rows were lost or altered.
 *
 *   raw files ─► Parquet, in workers ─► rows of each run, replaced whole ─► facts, day after day
 *
 * Runs are loaded in their order, and days computed one after another, because they share sessions
 * and minutes. What is replaced is replaced whole, so a repeat leaves the same rows.
 */
import { acquireLease } from '../shared/objects/lease.ts'
import { TOPICS } from '../shared/log/topics.ts'
import type { Clock } from '../shared/runtime/clock.ts'
import { noFailpoints } from '../shared/runtime/failpoints.ts'
import { tables } from '../shared/warehouse/tables.ts'
import type { WarehouseSession } from '../shared/warehouse/warehouse.ts'
import { readControl, type Control } from './control.ts'
import { computeDays, replaceFacts } from './facts.ts'
import type { FactStepContext } from './fact-step.ts'
import { DATES_MAX, LEDGER_ROWS_MAX, QUERY_TIMEOUT_MS } from './limits.ts'
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
}

export interface BackfillReport {
  /** Number of the last completed run, `undefined` before the first. */
  readonly run: number | undefined
  /** Runs with a raw file or a frame of the days, each loaded again whole. */
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
    await settleLate({ ...parts, failpoints: noFailpoints, assertMayGoOn }, true)
    await removeReplayLeftovers(objects)
    const jobs = `backfill-${clock.nowMs()}`
    const runs = await reloadRuns(parts, { files, jobs, assertMayGoOn })
    const days = await readDays(parts, range, runs)
    for (const [index, day] of days.entries()) {
      assertMayGoOn()
      parts.onProgress('days', index, days.length)
      await computeDay(parts, { control, day, jobId: `${jobs}-${day}` })
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

/** UTC days of arrival of what is in the range or was loaded again, ascending. */
async function readDays(
  { warehouse }: BackfillParts,
  { fromDate, toDate }: BackfillRange,
  reloaded: readonly ReloadedRun[],
): Promise<string[]> {
  const runs = reloaded.map(({ run }, index) => [`run_${index}`, run] as const)
  const isReloaded =
    runs.length === 0 ? 'FALSE' : `run IN (${runs.map(([name]) => `@${name}`).join(', ')})`
  const session = await warehouse.open()
  try {
    const rows = await session.query(
      {
        sql: `SELECT DISTINCT CAST(received_date AS STRING) AS day FROM ${tables.frames.name}
          WHERE received_date BETWEEN CAST(@from_date AS DATE) AND CAST(@to_date AS DATE)
            OR ${isReloaded}
          ORDER BY day`,
        parameters: { from_date: fromDate, to_date: toDate, ...Object.fromEntries(runs) },
      },
      { maxRows: DATES_MAX, timeoutMs: QUERY_TIMEOUT_MS },
    )
    return rows.map((row) => String(row['day']))
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
