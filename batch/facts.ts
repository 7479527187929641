/**
 * The second implementation of the metrics: `sessions`, `session_minutes` and `qoe_minute` computed
 * by SQL from the copies of events and the frames that the warehouse holds. It shares no code with
 * the fold; this file only says which SELECT follows which, and what it is told.
 *
 *   copies ─► incarnations ─► identities ─► points ─► marks ─► states ─► intervals ─► parts
 *                                                                            └► pieces, counts ─► minutes ─► cuts
 *
 * Sessions are computed in groups (`session-groups.ts`), so that memory is bounded by the largest.
 */
import type { Cut } from '../shared/qoe/cuts.ts'
import { paneLifeOf, type FoldLimits } from '../shared/qoe/fold.ts'
import { type Failpoints, noFailpoints } from '../shared/runtime/failpoints.ts'
import type {
  ParameterValue,
  QueryLimits,
  Select,
  WarehouseSession,
} from '../shared/warehouse/warehouse.ts'
import { tables } from '../shared/warehouse/tables.ts'
import { replaceByDates } from './by-dates.ts'
import { readSql } from './read-sql.ts'
import { sessionGroups } from './session-groups.ts'

/** The limits that change a value of the history. */
export type FactsLimits = Pick<
  FoldLimits,
  | 'sessionTimeoutMs'
  | 'sessionKeepMs'
  | 'clockStepMs'
  | 'maxAgeMs'
  | 'stalledViewerMs'
  | 'allowedLatenessMs'
  | 'reorderMs'
  | 'outOfOrdernessMs'
>

export interface FactsRequest {
  /** Number of the run that the rows are of. */
  readonly run: number
  /** The earliest UTC day (`YYYY-MM-DD`) on which anything that is computed may have arrived. */
  readonly fromDate: string
  readonly limits: FactsLimits
  readonly cuts: readonly Cut[]
  /** The watermark at the cut, per partition of the log. */
  readonly watermarks: readonly { readonly partition: number; readonly watermarkMs: number }[]
  /** Into how many groups the sessions are divided, at most. */
  readonly bucketCount: number
  /** Content metadata in the columns of `content`; what that table holds when absent. */
  readonly content?: Select
}

/**
 * What to compute again as the live view shows it: without what the scratch table
 * `EXCEPTIONS_SCRATCH` lists, in the columns of `exceptions`.
 */
export interface ExplainedRequest extends FactsRequest {
  /** `session_id` and `session_bucket` of the sessions to compute. */
  readonly sessions: Select
  /** `minute_date` and `minute_ms` of the minutes to compute whole, all sessions included. */
  readonly minutes: Select
  /** What the tables do not hold any more and the live view counts; nothing when absent. */
  readonly restored?: Restored
  /**
   * `session_id` and `log_partition` of sessions whose copies in each partition are a session of their
   * own; none when absent.
   */
  readonly split?: Select
}

/** Rows beside those of the tables, in the columns of `event_copies` and of `frames`. */
export interface Restored {
  readonly copies: Select
  readonly frames: Select
}

/** Made by whoever asks for `computeExplained`. */
export const EXCEPTIONS_SCRATCH = 'facts_exceptions'

/** Scratch tables in which the rows are found afterwards, in the columns of their tables. */
export const FACTS_SCRATCH = {
  sessions: 'facts_session_rows',
  sessionMinutes: 'facts_session_minute_rows',
  qoeMinute: 'facts_qoe_minute_rows',
} as const

/**
 * Computes what run `run` changes: the sessions of which it loaded copies, those that its cut closes,
 * and every minute that either reaches into.
 */
export async function computeHistory(
  session: WarehouseSession,
  request: FactsRequest,
): Promise<void> {
  const { limits } = request
  const aloneMs = limits.sessionTimeoutMs + limits.sessionKeepMs
  // Nothing is kept of an incarnation of rejected seqs alone but its copies, which are not older.
  const newFrom = dayBefore(request.fromDate, aloneMs)
  await computeTouched(session, request, {
    fromDate: newFrom,
    sessions: select('touched-by-run', { from_date: newFrom }),
    minutes: touchedMinutes(ARRIVALS_OF_RUN, { from_date: newFrom }),
  })
}

/**
 * Computes anew the sessions whose copies `loadCopies` has just loaded out of `late_waiting`, from the
 * incarnation on that it took the first of them for, and every minute that they or their frames reach
 * into.
 */
export async function computeWaiting(
  session: WarehouseSession,
  request: FactsRequest,
): Promise<void> {
  const { limits } = request
  await computeTouched(session, request, {
    fromDate: dayBefore(request.fromDate, limits.sessionTimeoutMs + limits.sessionKeepMs),
    sessions: select('touched-by-waiting'),
    minutes: touchedMinutes('SELECT received_at_ms FROM late_waiting'),
  })
}

/**
 * Computes anew every session of which a copy arrived from `fromDate` to `toDate`, and every minute
 * that these or the frames of the days reach into: after the definition of a metric has changed.
 */
export async function computeDays(
  session: WarehouseSession,
  request: FactsRequest,
  toDate: string,
): Promise<void> {
  const { fromDate } = request
  const days = { from_date: fromDate, to_date: toDate }
  await computeTouched(session, request, {
    fromDate,
    sessions: select('touched-by-days', days),
    minutes: touchedMinutes(ARRIVALS_OF_DAYS, days),
  })
}

/** `received_at_ms` of frames: of those of the run, and of those that arrived in the given days. */
const ARRIVALS_OF_RUN = `SELECT f.received_at_ms
  FROM frames AS f
  CROSS JOIN facts_parameters AS p
  WHERE f.received_date >= CAST(@from_date AS DATE) AND f.run = p.run`
const ARRIVALS_OF_DAYS = `SELECT received_at_ms
  FROM frames
  WHERE received_date BETWEEN CAST(@from_date AS DATE) AND CAST(@to_date AS DATE)`

/** The minutes of the sessions that are computed, and those in which `arrivals` came. */
function touchedMinutes(arrivals: string, parameters: Select['parameters'] = {}): Select {
  return { sql: `WITH arrivals AS (${arrivals})\n${readSql('facts/touched-minutes')}`, parameters }
}

interface Touched {
  readonly fromDate: string
  readonly sessions: Select
  /** Run when the sessions are computed. */
  readonly minutes: Select
}

async function computeTouched(
  session: WarehouseSession,
  request: FactsRequest,
  { fromDate, sessions, minutes }: Touched,
): Promise<void> {
  await scratchParameters(session, { ...request, fromDate, openMinutesOnly: false })
  await scratchInputs(session, request)
  await session.scratch('facts_all_touched', sessions)
  const firstDate = await scratchFirstDate(session, { ...request, fromDate })
  await session.scratch('facts_exclusions', NO_EXCLUSIONS)
  await scratchRestored(session, NOTHING_RESTORED)
  await computeSessions(session, { ...request, fromDate: firstDate, numbering: 'known' })
  await session.append('facts_all_incarnations', select('held-incarnations'))
  await session.scratch('facts_touched_minutes', minutes)
  await run(session, 'facts_duplicates', 'known-duplicates')
  await run(session, 'facts_arrivals', 'arrivals')
  await run(session, 'facts_minutes', 'minutes')
  await computeMinutes(session)
}

/** UTC days of `sessions` in which rows were written or replaced, ascending. */
export interface ReplacedFacts {
  readonly sessionDates: readonly string[]
}

/**
 * Puts what `computeHistory` or `computeDays` computed into the tables; a repeat changes nothing. Each
 * table is written after those that are computed from it, so that a try which is cut off leaves what
 * the next one tells the touched sessions and minutes by.
 */
export async function replaceFacts(
  session: WarehouseSession,
  jobId: string,
  failpoints: Failpoints = noFailpoints,
): Promise<ReplacedFacts> {
  const sessionDates = await datesOf(session, 'session-dates')
  const minuteDates = await datesOf(session, 'minute-dates')
  const incarnations = { sql: 'SELECT session_id, incarnation FROM facts_all_incarnations' }
  await replaceByDates(session, {
    table: tables.qoeMinute.name,
    select: { sql: `SELECT * FROM ${FACTS_SCRATCH.qoeMinute}` },
    scope: ['minute_ms'],
    scopeSelect: { sql: 'SELECT minute_ms FROM facts_touched_minutes' },
    dates: minuteDates,
    jobId: `${jobId}-qoe-minute`,
  })
  await failpoints.hit('batch.afterSomeFacts')
  await replaceByDates(session, {
    table: tables.sessionMinutes.name,
    select: { sql: `SELECT * FROM ${FACTS_SCRATCH.sessionMinutes}` },
    scope: ['session_id', 'incarnation'],
    scopeSelect: incarnations,
    dates: minuteDates,
    jobId: `${jobId}-session-minutes`,
  })
  await failpoints.hit('batch.afterSomeFacts')
  await replaceByDates(session, {
    table: tables.sessions.name,
    select: { sql: `SELECT * FROM ${FACTS_SCRATCH.sessions}` },
    scope: ['session_id', 'incarnation'],
    scopeSelect: incarnations,
    dates: sessionDates,
    jobId: `${jobId}-sessions`,
  })
  return { sessionDates: sessionDates.toSorted() }
}

/**
 * Computes the given sessions without what is listed, and the minutes asked for with them: what the
 * live view shows. What other sessions add to these minutes is taken from the warehouse.
 */
export async function computeExplained(
  session: WarehouseSession,
  request: ExplainedRequest,
): Promise<void> {
  await scratchParameters(session, { ...request, openMinutesOnly: true })
  await scratchInputs(session, request)
  await session.scratch('facts_sessions_asked', request.sessions)
  await run(session, 'facts_all_touched', 'touched-as-asked')
  await run(session, 'facts_exclusions', 'exclusions')
  await scratchRestored(session, request.restored ?? NOTHING_RESTORED)
  if (request.split !== undefined) await session.scratch('facts_split', request.split)
  await computeSessions(session, { ...request, numbering: 'anew' })
  await session.scratch('facts_touched_minutes', request.minutes)
  await session.append('facts_duplicates', select('known-duplicates-besides'))
  await run(session, 'facts_arrivals', 'arrivals')
  await run(session, 'facts_minutes', 'minutes')
  await computeMinutes(session)
}

/**
 * Computes the minutes asked for from what the warehouse holds of sessions and frames: what their rows
 * in `qoe_minute` must be.
 */
export async function computeMinutesAgain(
  session: WarehouseSession,
  request: FactsRequest & Pick<ExplainedRequest, 'minutes'>,
): Promise<void> {
  await scratchParameters(session, { ...request, openMinutesOnly: false })
  await scratchInputs(session, request)
  await session.scratch('facts_all_touched', NO_SESSIONS)
  await session.scratch(FACTS_SCRATCH.sessionMinutes, NO_SESSION_MINUTES)
  await scratchRestored(session, NOTHING_RESTORED)
  await session.scratch('facts_touched_minutes', request.minutes)
  await run(session, 'facts_duplicates', 'known-duplicates')
  await run(session, 'facts_arrivals', 'arrivals')
  await run(session, 'facts_minutes', 'minutes')
  await computeMinutes(session)
}

/**
 * Computes the sessions asked for from what the warehouse holds of their events and copies: what their
 * rows in `sessions` must be.
 */
export async function computeSessionsAgain(
  session: WarehouseSession,
  request: FactsRequest & Pick<ExplainedRequest, 'sessions'>,
): Promise<void> {
  await scratchParameters(session, { ...request, openMinutesOnly: false })
  await scratchInputs(session, request)
  await session.scratch('facts_sessions_asked', request.sessions)
  await run(session, 'facts_all_touched', 'touched-as-asked')
  const fromDate = await scratchFirstDate(session, request)
  await session.scratch('facts_exclusions', NO_EXCLUSIONS)
  await scratchRestored(session, NOTHING_RESTORED)
  await computeSessions(session, { ...request, fromDate, numbering: 'known' })
}

/** Lets the steps read from the earliest day on which a copy of a touched session may have arrived. */
async function scratchFirstDate(session: WarehouseSession, request: FactsRequest): Promise<string> {
  const [earliest] = await session.query(select('from-date'), oneRow)
  const fromDate = String(earliest?.['from_date'] ?? request.fromDate)
  await scratchParameters(session, { ...request, fromDate, openMinutesOnly: false })
  return fromDate
}

/** Whether incarnations are those that were numbered at loading, or numbered again. */
type Numbering = 'known' | 'anew'

/** The steps from copies with incarnations to a group's rows, in order: scratch table and file. */
const SESSION_STEPS = [
  ['facts_incarnation_ranges', 'incarnation-ranges'],
  ['facts_repeats', 'repeats'],
  ['facts_identities', 'identities'],
  ['facts_incarnations', 'incarnations'],
  ['facts_content_changes', 'content-changes'],
  ['facts_points', 'points'],
  ['facts_marks', 'marks'],
  ['facts_states', 'states'],
  ['facts_intervals', 'intervals'],
  ['facts_parts', 'parts'],
  ['facts_closes', 'closes'],
  ['facts_minute_pieces', 'minute-pieces'],
  ['facts_minute_counts', 'minute-counts'],
] as const

/** What is kept of a group. */
const ROW_STEPS = [
  [FACTS_SCRATCH.sessions, 'session-rows'],
  [FACTS_SCRATCH.sessionMinutes, 'session-minute-rows'],
  ['facts_all_incarnations', 'computed-incarnations'],
  ['facts_duplicates', 'duplicates'],
] as const

/** The steps from session minutes and frames to cuts. */
const MINUTE_STEPS = [
  ['facts_dimensions', 'dimensions'],
  ['facts_cut_keys', 'cut-keys'],
  ['facts_finest', 'finest'],
  ['facts_startups', 'startups'],
  ['facts_viewers', 'viewers'],
  [FACTS_SCRATCH.qoeMinute, 'qoe-minute-rows'],
] as const

/** A session that returned more often than this in one go is a defect of its clock or log. */
const INCARNATION_PASSES_MAX = 1_000

interface SessionsRequest
  extends Pick<FactsRequest, 'fromDate' | 'bucketCount'>, Pick<ExplainedRequest, 'split'> {
  readonly numbering: Numbering
}

async function computeSessions(
  session: WarehouseSession,
  { fromDate, bucketCount, numbering, split }: SessionsRequest,
): Promise<void> {
  const touched = { sql: 'SELECT session_id FROM facts_all_touched' }
  const groups = await sessionGroups(session, touched, bucketCount)
  for (const [index, group] of groups.entries()) {
    await run(session, 'facts_touched', split === undefined ? 'touched' : 'touched-split', group)
    await run(session, 'facts_excluded', 'excluded')
    await run(session, 'facts_copies', 'copies', { ...group, from_date: fromDate })
    if (numbering === 'known') await run(session, 'facts_incarnation_starts', 'known-starts')
    else await numberIncarnations(session)
    for (const [scratch, file] of SESSION_STEPS) await run(session, scratch, file)
    await run(session, 'facts_part_contexts', 'part-contexts', group)
    for (const [scratch, file] of ROW_STEPS) {
      if (index === 0) await run(session, scratch, file)
      else await session.append(scratch, select(file))
    }
  }
}

async function computeMinutes(session: WarehouseSession): Promise<void> {
  for (const [scratch, file] of MINUTE_STEPS) await run(session, scratch, file)
}

/** Numbers the incarnations of the sessions in `facts_copies`: one pass for each that follows another. */
export async function numberIncarnations(session: WarehouseSession): Promise<void> {
  await run(session, 'facts_incarnation_starts', 'first-starts')
  for (let pass = 0; pass < INCARNATION_PASSES_MAX; pass++) {
    const open = await session.query(select('unsettled-starts'), oneRow)
    if (open.length === 0) return
    await run(session, 'facts_further_starts', 'further-starts')
    await session.scratch('facts_incarnation_starts', { sql: 'SELECT * FROM facts_further_starts' })
  }
  throw new Error(`a session with more than ${INCARNATION_PASSES_MAX} incarnations in one run`)
}

async function scratchInputs(
  session: WarehouseSession,
  { watermarks, cuts, content }: FactsRequest,
): Promise<void> {
  await session.scratch('facts_content', content ?? { sql: `SELECT * FROM ${tables.content.name}` })
  await run(session, 'facts_numbers', 'numbers')
  await session.scratch('facts_watermarks', watermarksSelect(watermarks))
  await session.scratch('facts_cuts', cutsSelect(cuts))
}

interface ParametersRequest {
  readonly run: number
  readonly limits: FactsLimits
  /** The earliest UTC day of arrival that is read. */
  readonly fromDate: string
  /** Whether facts of arrival count only in minutes that were open for the live view. */
  readonly openMinutesOnly: boolean
}

/** Makes the table of one row from which every step reads its parameters. */
export async function scratchParameters(
  session: WarehouseSession,
  { run: runNumber, limits, fromDate, openMinutesOnly }: ParametersRequest,
): Promise<void> {
  await run(session, 'facts_parameters', 'parameters', {
    run: runNumber,
    from_date: fromDate,
    from_minute_date: dayBefore(fromDate, limits.maxAgeMs),
    open_minutes_only: openMinutesOnly,
    session_timeout_ms: limits.sessionTimeoutMs,
    session_keep_ms: limits.sessionKeepMs,
    clock_step_ms: limits.clockStepMs,
    max_age_ms: limits.maxAgeMs,
    stalled_viewer_ms: limits.stalledViewerMs,
    pane_life_ms: paneLifeOf(limits),
  })
}

/** The UTC day that holds the moment `durationMs` before the day begins. */
export function dayBefore(date: string, durationMs: number): string {
  return new Date(Date.parse(date) - durationMs).toISOString().slice(0, 10)
}

const NO_EXCLUSIONS: Select = {
  sql: `SELECT session_id, seq, log_partition, log_offset, TRUE AS accepted, TRUE AS seen,
    FALSE AS forgotten
  FROM events
  WHERE FALSE`,
}

const NO_SESSIONS: Select = {
  sql: 'SELECT session_id, session_bucket, incarnation FROM events WHERE FALSE',
}
const NO_SESSION_MINUTES: Select = { sql: 'SELECT * FROM session_minutes WHERE FALSE' }

const NOTHING_RESTORED: Restored = {
  copies: { sql: 'SELECT * FROM event_copies WHERE FALSE' },
  frames: { sql: 'SELECT * FROM frames WHERE FALSE' },
}

async function scratchRestored(
  session: WarehouseSession,
  { copies, frames }: Restored,
): Promise<void> {
  await session.scratch('facts_restored_copies', copies)
  await session.scratch('facts_restored_frames', frames)
}

function watermarksSelect(watermarks: FactsRequest['watermarks']): Select {
  return selectOfRows(
    watermarks.map(({ partition, watermarkMs }) => ({
      log_partition: partition,
      watermark_ms: watermarkMs,
    })),
  )
}

/** Columns of `facts_cuts`, one for each dimension. */
const CUT_COLUMNS = {
  content: 'by_content_id',
  cdn: 'by_cdn',
  deviceType: 'by_device_type',
  player: 'by_player_name',
  playerVersion: 'by_player_version',
  country: 'by_country',
} as const

function cutsSelect(cuts: readonly Cut[]): Select {
  return selectOfRows(
    cuts.map(({ id, dimensions, viewers }) => ({
      cut: id,
      viewers,
      ...Object.fromEntries(
        Object.entries(CUT_COLUMNS).map(([dimension, column]) => [
          column,
          dimensions.some((one) => one === dimension),
        ]),
      ),
    })),
  )
}

const SQL_TYPES: Readonly<Record<string, string>> = {
  string: 'STRING',
  number: 'INT64',
  boolean: 'BOOL',
}

/** A SELECT that yields the rows, all of which have the same columns; the values are parameters. */
function selectOfRows(
  rows: readonly Readonly<Record<string, string | number | boolean>>[],
): Select {
  const parameters: Record<string, ParameterValue> = {}
  const selects = rows.map((row, index) => {
    const columns = Object.entries(row).map(([name, value]) => {
      parameters[`${name}_${index}`] = value
      return `CAST(@${name}_${index} AS ${SQL_TYPES[typeof value]}) AS ${name}`
    })
    return `SELECT ${columns.join(', ')}`
  })
  return { sql: selects.join('\nUNION ALL\n'), parameters }
}

/** More days than a run can touch. */
const DATES_MAX = 100_000
const QUERY_TIMEOUT_MS = 600_000
/** For a question with one answer. */
export const oneRow: QueryLimits = { maxRows: 1, timeoutMs: QUERY_TIMEOUT_MS }

async function datesOf(session: WarehouseSession, file: string): Promise<string[]> {
  const rows = await session.query(select(file), {
    maxRows: DATES_MAX,
    timeoutMs: QUERY_TIMEOUT_MS,
  })
  return rows.map((row) => String(row['date']))
}

function select(file: string, parameters?: Select['parameters']): Select {
  const sql = readSql(`facts/${file}`)
  return parameters === undefined ? { sql } : { sql, parameters }
}

function run(
  session: WarehouseSession,
  scratch: string,
  file: string,
  parameters?: Select['parameters'],
): Promise<void> {
  return session.scratch(scratch, select(file, parameters))
}
