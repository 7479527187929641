/**
 * The sixth step: what is to be said of the quality of what the run loaded, as rows of
 * `data_quality`, and of who sends what, in `events_by_version`. It reads only what the run has put into the tables and its manifest, so a repeat
 * says the same.
 */
import { TOPICS } from '../shared/log/topics.ts'
import { tables } from '../shared/warehouse/tables.ts'
import type {
  ParameterValue,
  QueryLimits,
  Warehouse,
  WarehouseSession,
} from '../shared/warehouse/warehouse.ts'
import type { BatchConfig } from './config.ts'
import { dateOf } from './control.ts'
import { replaceByDates } from './by-dates.ts'
import type { Cut } from './cut.ts'
import { dayBefore } from './facts.ts'
import { scratchValues, type ValueRow } from './insert-values.ts'
import {
  QUALITY_FRAMES_LOOKUP_MS,
  QUALITY_GAP_MS,
  QUALITY_SAMPLE_MIN,
  QUALITY_VERSIONS_MAX,
  QUERY_TIMEOUT_MS,
} from './limits.ts'
import type { Manifest } from './manifest.ts'
import { QUALITY_CHECKS, qualityThresholds } from './quality-checks.ts'
import { addCounts, NO_COUNTS, type RawCounts, type RawTopic } from './raw-line.ts'
import { readSql } from './read-sql.ts'
import { sessionGroups } from './session-groups.ts'
import type { BatchTelemetry } from './telemetry.ts'

export interface QualityContext {
  readonly warehouse: Warehouse
  readonly config: BatchConfig
  readonly telemetry: BatchTelemetry
}

export interface QualityOfRun {
  readonly cut: Cut
  readonly manifest: Manifest
  /** UTC days of the arrival of what the run loaded, ascending. */
  readonly dates: readonly string[]
  /** UTC days of `sessions` that the run wrote, ascending. */
  readonly sessionDates: readonly string[]
}

/** A check whose rate is above its threshold. */
export interface QualityFlag {
  readonly check: string
  /** `undefined` for the whole run. */
  readonly playerName: string | undefined
  readonly playerVersion: string | undefined
  readonly found: number
  readonly checked: number
  readonly rate: number
  readonly threshold: number
}

type Parameters = Readonly<Record<string, ParameterValue>>

const COUNTS = 'quality_counts'
const NAME = 'check_name'
/** Columns that the counts and the thresholds share with the table. */
const columnsOf = (...names: readonly string[]) =>
  tables.dataQuality.columns.filter(({ name }) => names.includes(name))

/** Writes the rows and resolves with what is flagged. */
export async function checkQuality(
  { warehouse, config, telemetry }: QualityContext,
  of: QualityOfRun,
): Promise<readonly QualityFlag[]> {
  const session = await warehouse.open()
  try {
    await scratchValues(session, {
      scratch: 'quality_thresholds',
      columns: columnsOf(NAME, 'threshold'),
      rows: thresholdRows(qualityThresholds(config.qualityThresholds)),
    })
    await scratchValues(session, {
      scratch: COUNTS,
      columns: columnsOf(NAME, 'player_name', 'player_version', 'found', 'checked'),
      rows: stageRows(of.manifest, await countWaiting(session)),
    })
    await countArrivals(session, of)
    await countExceptions(session, of)
    await countSessions(session, of, config.factBuckets)
    await insertRows(session, of)
    await countVersions(session, { dates: of.dates, jobId: `batch-${of.cut.run}-versions` })
    const flags = await readFlags(session, of.cut)
    telemetry.qualityChecked(flags)
    return flags
  } finally {
    await session.close()
  }
}

/** A whole rate goes as text, lest it be taken for an INT64. */
function thresholdRows(thresholds: ReadonlyMap<string, number>): ValueRow[] {
  return [...thresholds].map(([check, threshold]) => ({ [NAME]: check, threshold: `${threshold}` }))
}

/** What the manifest says of the whole run. */
function stageRows(manifest: Manifest, waiting: number): ValueRow[] {
  const countsOf = (topics: readonly RawTopic[]): RawCounts =>
    manifest.files
      .filter(({ topic }) => topics.includes(topic))
      .map(({ counts }) => counts)
      .reduce(addCounts, NO_COUNTS)
  const all = countsOf([TOPICS.events, TOPICS.rejects, TOPICS.exceptions])
  const events = countsOf([TOPICS.events])
  const rejects = countsOf([TOPICS.rejects]).rows
  const row = (check: string, found: number, checked: number) => ({ [NAME]: check, found, checked })
  return [
    row('stage_records', all.records - all.ticks, all.records),
    row('stage_frames', events.rows, events.records),
    row('held_back', waiting, events.events + events.rejectedSeqs),
    row('poison', all.poison, all.records),
    row('refused', rejects, events.events + rejects),
  ]
}

/** Copies that wait for all days to be searched, those of earlier runs included. */
async function countWaiting(session: WarehouseSession): Promise<number> {
  const [row] = await session.query({ sql: readSql('late/waiting') }, limitsOf(1))
  return Number(row?.['copies'] ?? 0)
}

async function countArrivals(
  session: WarehouseSession,
  { cut, dates }: QualityOfRun,
): Promise<void> {
  const [fromDate] = dates
  if (fromDate === undefined) return
  await append(session, 'arrivals', {
    run: cut.run,
    from_date: fromDate,
    to_date: dates.at(-1) ?? fromDate,
  })
}

async function countExceptions(
  session: WarehouseSession,
  { cut, manifest }: QualityOfRun,
): Promise<void> {
  const files = manifest.files.filter(({ topic }) => topic === TOPICS.exceptions)
  if (files.length === 0) return
  const fromDate = dateOf(Math.min(...files.map(({ loggedAtMinMs }) => loggedAtMinMs)))
  await append(session, 'exceptions', {
    run: cut.run,
    from_date: fromDate,
    to_date: dateOf(Math.max(...files.map(({ loggedAtMaxMs }) => loggedAtMaxMs))),
    frames_from_date: dayBefore(fromDate, QUALITY_FRAMES_LOOKUP_MS),
  })
}

async function countSessions(
  session: WarehouseSession,
  { cut: { run }, sessionDates }: QualityOfRun,
  groupCount: number,
): Promise<void> {
  const [fromDate] = sessionDates
  if (fromDate === undefined) return
  await session.scratch('quality_sessions', {
    sql: sql('sessions-of-run'),
    parameters: { run, from_date: fromDate, to_date: sessionDates.at(-1) ?? fromDate },
  })
  await append(session, 'sessions', {})
  const [first] = await session.query({ sql: sql('first-arrival') }, limitsOf(1))
  const firstDate = first?.['from_date']
  if (typeof firstDate !== 'string') return
  const computed = { sql: 'SELECT session_id FROM quality_sessions' }
  for (const group of await sessionGroups(session, computed, groupCount))
    await append(session, 'order', { run, ...group, from_date: firstDate, gap_ms: QUALITY_GAP_MS })
}

async function insertRows(session: WarehouseSession, { cut }: QualityOfRun): Promise<void> {
  const runDate = dateOf(cut.cutAtMs)
  await session.insertMissing({
    table: tables.dataQuality.name,
    select: {
      sql: sql('rows'),
      parameters: {
        run: cut.run,
        run_date: runDate,
        versions_max: QUALITY_VERSIONS_MAX,
        sample_min: QUALITY_SAMPLE_MIN,
      },
    },
    key: tables.dataQuality.key,
    dates: [runDate],
    jobId: `batch-${cut.run}-quality`,
  })
}

/** `events_by_version` for days, ascending, to which events were added. */
export async function countVersions(
  session: WarehouseSession,
  { dates, jobId }: { readonly dates: readonly string[]; readonly jobId: string },
): Promise<void> {
  const [fromDate] = dates
  if (fromDate === undefined) return
  const { name, columns, partitionColumn } = tables.eventsByVersion
  await scratchValues(session, {
    scratch: 'quality_days',
    columns: columns.filter((column) => column.name === partitionColumn),
    rows: dates.map((date) => ({ [partitionColumn]: date })),
  })
  await replaceByDates(session, {
    table: name,
    select: {
      sql: sql('versions'),
      parameters: { from_date: fromDate, to_date: dates.at(-1) ?? fromDate },
    },
    scope: [partitionColumn],
    scopeSelect: { sql: `SELECT ${partitionColumn} FROM quality_days` },
    dates,
    jobId,
  })
}

async function readFlags(session: WarehouseSession, cut: Cut): Promise<QualityFlag[]> {
  const parameters = { run: cut.run, run_date: dateOf(cut.cutAtMs) }
  // A row for each check and version, one for the other versions, and one for the whole run.
  const limits = limitsOf(Object.keys(QUALITY_CHECKS).length * (QUALITY_VERSIONS_MAX + 2))
  const rows = await session.query({ sql: sql('flags'), parameters }, limits)
  const text = (value: unknown) => (typeof value === 'string' ? value : undefined)
  return rows.map((row) => ({
    check: String(row[NAME]),
    playerName: text(row['player_name']),
    playerVersion: text(row['player_version']),
    found: Number(row['found']),
    checked: Number(row['checked']),
    rate: Number(row['rate']),
    threshold: Number(row['threshold']),
  }))
}

function append(session: WarehouseSession, name: string, parameters: Parameters): Promise<void> {
  return session.append(COUNTS, { sql: sql(name), parameters })
}

function sql(name: string): string {
  return readSql(`quality/${name}`)
}

function limitsOf(maxRows: number): QueryLimits {
  return { maxRows, timeoutMs: QUERY_TIMEOUT_MS }
}
