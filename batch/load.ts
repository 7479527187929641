/**
 * The fourth step: staged rows become rows of the tables, each exactly once. What is decided is a
 * function of the staged rows and of what earlier runs loaded, never of what this run has inserted
 * already: a repeat decides the same and inserts only what is missing.
 */
import type { Failpoints } from '../shared/runtime/failpoints.ts'
import type { ParameterValue, Warehouse, WarehouseSession } from '../shared/warehouse/warehouse.ts'
import { tables } from '../shared/warehouse/tables.ts'
import { insertByDates } from './by-dates.ts'
import { type FactsLimits, oneRow } from './facts.ts'
import type { StagingFile } from './flatten.ts'
import { LOADED_PLACES, loadedPlaces, scratchOf, STAGED_OFFSETS, stagedRows } from './insert-sql.ts'
import { holdBack } from './hold-back.ts'
import { DATES_MAX, LOAD_COPIES_PER_BUCKET, PARTITIONS_MAX, QUERY_TIMEOUT_MS } from './limits.ts'
import { loadCopies } from './load-copies.ts'
import { readSql } from './read-sql.ts'
import { STAGING_KINDS, stagingColumns, type StagingKind } from './staging.ts'
import type { BatchTelemetry } from './telemetry.ts'

export interface LoadContext {
  readonly warehouse: Warehouse
  readonly failpoints: Failpoints
  readonly telemetry: BatchTelemetry
  readonly limits: FactsLimits
  /** Throws when the run must not go on. */
  assertMayGoOn(): void
}

/** Rows of a partition of `playback.events` that the run has in the tables. */
export interface PartitionRows {
  readonly partition: number
  readonly events: number
  readonly copies: number
}

export interface Loaded {
  /** UTC days of the arrival of what was loaded and not held back, ascending. */
  readonly dates: readonly string[]
  readonly partitions: readonly PartitionRows[]
}

/** What the names of a run's jobs begin with, the same at every repeat. */
export function jobsOf(run: number): string {
  return `batch-${run}`
}

/** Name of the job that loads a kind of staging files. */
export function loadJobId(jobs: string, kind: StagingKind): string {
  return `${jobs}-load-${kind}`
}

export async function load(
  context: LoadContext,
  { run, files, jobs, heldAtMs }: FilesOfRun,
): Promise<Loaded> {
  const session = await context.warehouse.open()
  try {
    await loadStaging(context, session, { run, files, jobs })
    const arrived = await datesOf(session, `SELECT received_date FROM ${scratchOf('frames')}`)
    const rows = files.filter(({ kind }) => kind === 'events').map(({ rows }) => rows)
    const stagedCount = rows.reduce((sum, count) => sum + count, 0)
    const ofRun = { run, dates: arrived, jobs, stagedCount, heldAtMs }
    const dates = arrived.length === 0 ? [] : await insertCopies(context, session, ofRun)
    for (const kind of ['frames', 'rejects', 'exceptions'] as const)
      await insertRows(context, session, { run, kind, jobs })
    await context.failpoints.hit('batch.afterMerge')
    return { dates, partitions: await rowsOfRun(session, run, dates) }
  } finally {
    await session.close()
  }
}

interface OfRun {
  readonly run: number
  /** What the names of its jobs begin with. */
  readonly jobs: string
}

export interface FilesOfRun extends OfRun {
  readonly files: readonly StagingFile[]
  /**
   * When the run took its cut, epoch ms: what would take a search of more days than a run searches is
   * held back. Absent, nothing is, and as many days are searched as need be.
   */
  readonly heldAtMs?: number
}

async function loadStaging(
  { failpoints, assertMayGoOn }: LoadContext,
  session: WarehouseSession,
  { files, jobs }: FilesOfRun,
): Promise<void> {
  for (const kind of STAGING_KINDS) {
    assertMayGoOn()
    const objects = files.filter((file) => file.kind === kind).map(({ name }) => name)
    const jobId = loadJobId(jobs, kind)
    await session.load({ scratch: scratchOf(kind), objects, columns: stagingColumns[kind], jobId })
    await failpoints.hit('batch.afterSomeLoads')
  }
  await failpoints.hit('batch.afterLoads')
}

interface CopiesOfRun extends OfRun {
  readonly dates: readonly string[]
  /** How many copies are staged. */
  readonly stagedCount: number
  readonly heldAtMs: number | undefined
}

/**
 * The copies of events, accepted and rejected, into `events` and `event_copies`, but for those that are
 * held back. Resolves with the days of what was not.
 */
async function insertCopies(
  { failpoints, telemetry, limits, assertMayGoOn }: LoadContext,
  session: WarehouseSession,
  { run, dates: arrived, jobs, stagedCount, heldAtMs }: CopiesOfRun,
): Promise<readonly string[]> {
  assertMayGoOn()
  await scratchLoadedPlaces(session, run, arrived)
  const jobId = `${jobs}-insert`
  const atOnce = await holdBack(session, { run, limits, dates: arrived, heldAtMs, jobId })
  const { copies: staged, dates, heldBack } = atOnce
  telemetry.rowsInserted(tables.lateEvents.name, heldBack)
  if (dates.length === 0) return dates
  const { events, copies } = await loadCopies(session, {
    run,
    limits,
    copies: staged,
    dates,
    bucketCount: bucketsOf(session, stagedCount),
    jobId,
  })
  telemetry.rowsInserted(tables.events.name, events)
  telemetry.rowsInserted(tables.eventCopies.name, copies)
  await failpoints.hit('batch.afterSomeInserts')
  return dates
}

/** Into how many groups sessions with so many copies are divided. */
export function bucketsOf(
  { computesHere }: Pick<WarehouseSession, 'computesHere'>,
  copies: number,
): number {
  return computesHere ? Math.max(1, Math.ceil(copies / LOAD_COPIES_PER_BUCKET)) : 1
}

async function scratchLoadedPlaces(
  session: WarehouseSession,
  run: number,
  dates: readonly string[],
): Promise<void> {
  const [offsets] = await session.query({ sql: STAGED_OFFSETS }, oneRow)
  const days = Object.fromEntries(dates.map((date, index) => [`date_${index}`, date]))
  await session.scratch(LOADED_PLACES, {
    sql: loadedPlaces(Object.keys(days)),
    parameters: {
      run,
      ...days,
      first_offset: Number(offsets?.['first_offset']),
      last_offset: Number(offsets?.['last_offset']),
    },
  })
}

interface KindOfRun extends OfRun {
  readonly kind: 'frames' | 'rejects' | 'exceptions'
}

async function insertRows(
  { failpoints, telemetry, assertMayGoOn }: LoadContext,
  session: WarehouseSession,
  { run, kind, jobs }: KindOfRun,
): Promise<void> {
  assertMayGoOn()
  const table = tables[kind]
  const dates = await datesOf(session, `SELECT ${table.partitionColumn} FROM ${scratchOf(kind)}`)
  if (dates.length === 0) return
  const rows = await insertByDates(session, {
    table: table.name,
    select: { sql: stagedRows(table, kind), parameters: { run } },
    key: table.key,
    dates,
    jobId: `${jobs}-insert-${table.name}`,
  })
  telemetry.rowsInserted(table.name, rows)
  await failpoints.hit('batch.afterSomeInserts')
}

/** The distinct dates of a select of one DATE column, ascending. */
export async function datesOf(session: WarehouseSession, select: string): Promise<string[]> {
  const sql = `SELECT DISTINCT * FROM (${select}) AS dates`
  const limits = { maxRows: DATES_MAX, timeoutMs: QUERY_TIMEOUT_MS }
  const rows = await session.query({ sql }, limits)
  return rows.flatMap((row) => Object.values(row).map(String)).toSorted()
}

async function rowsOfRun(
  session: WarehouseSession,
  run: number,
  [fromDate]: readonly string[],
): Promise<PartitionRows[]> {
  if (fromDate === undefined) return []
  const parameters: Record<string, ParameterValue> = { run, from_date: fromDate }
  const limits = { maxRows: PARTITIONS_MAX, timeoutMs: QUERY_TIMEOUT_MS }
  const rows = await session.query({ sql: readSql('rows-of-run'), parameters }, limits)
  return rows.map((row) => ({
    partition: Number(row['log_partition']),
    events: Number(row['events']),
    copies: Number(row['copies']),
  }))
}
