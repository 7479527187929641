/**
 * The proof of a difference: the SQL runs again without exactly the events that the live view set
 * aside, and must then equal the live rows to the integer. Only sessions with such an event are
 * computed again; what others add to the minutes in question stands in the warehouse. A minute that
 * is proven so must also be in the history what its sessions and frames add up to there, and a session
 * what its events say: else it is the history's row that is wrong.
 */
import { isDeepStrictEqual } from 'node:util'
import type { MinuteAggregates } from '../../shared/qoe/aggregates.ts'
import type { Cut } from '../../shared/qoe/cuts.ts'
import { required } from '../../shared/warehouse/table-spec.ts'
import { utcDate } from '../../shared/warehouse/minute-rows.ts'
import { integerOf, textOf } from '../../shared/warehouse/row-values.ts'
import type { Select, WarehouseSession } from '../../shared/warehouse/warehouse.ts'
import {
  computeExplained,
  computeMinutesAgain,
  EXCEPTIONS_SCRATCH,
  FACTS_SCRATCH,
  type FactsRequest,
} from '../facts.ts'
import { scratchValues } from '../insert-values.ts'
import {
  QUERY_TIMEOUT_MS,
  RECONCILE_DIFFERENCES_MAX,
  RECONCILE_SESSIONS_PER_PAGE,
} from '../limits.ts'
import { readSql } from '../read-sql.ts'
import { EXCLUDED_SESSIONS } from './exclusions.ts'
import type { RestoredSessions } from './late.ts'
import type { MovedSessions } from './moved.ts'
import { readDiffering, type MinuteDifference } from './minutes.ts'
import { restateSessions, type RestatedSession } from './restate.ts'
import {
  incarnationId,
  readHistorySessions,
  sessionIn,
  withLastParts,
  type ComparedSession,
  type SessionDifference,
} from './sessions.ts'

const MINUTES = 'reconcile_minutes'
const DIFFERING_MINUTES: Select = { sql: `SELECT minute_date, minute_ms FROM ${MINUTES}` }

export interface Differences {
  readonly minutes: readonly MinuteDifference[]
  readonly sessions: readonly SessionDifference[]
}

export interface MinuteDefect extends MinuteDifference {
  /** What the live row would be, had it set aside just what it listed. */
  readonly expected: MinuteAggregates
  /** The same without viewers who were erased. */
  readonly toWrite: MinuteAggregates
  /** What the history's row should be, where it is the one that is wrong. */
  readonly restated?: MinuteAggregates
}

export interface SessionDefect extends SessionDifference {
  /** What the live row would be, had it set aside just what it listed; `undefined` without history. */
  readonly toWrite: ComparedSession | undefined
  /** What the history's row should be, where it is the one that is wrong. */
  readonly restated?: RestatedSession
}

export interface Unexplained {
  readonly minutes: readonly MinuteDefect[]
  readonly sessions: readonly SessionDefect[]
}

export interface ExplainRequest {
  readonly facts: FactsRequest
  readonly partsMax: number
  /** Whether somebody writes the facts at this time, so that one table may be ahead of another. */
  readonly historyMoves: boolean
  /** Whether a settling was cut off, so that minutes may be behind their sessions. */
  readonly owesMinutes: boolean
  /** Records that the tables do not hold any more, or not yet, and the sessions that they are of. */
  readonly restored?: RestoredSessions
  /** Sessions that the live view has in several partitions. */
  readonly moved?: MovedSessions
}

export async function explain(
  session: WarehouseSession,
  { minutes, sessions }: Differences,
  request: ExplainRequest,
): Promise<Unexplained> {
  if (minutes.length + sessions.length === 0) return { minutes: [], sessions: [] }
  const { facts, restored, moved } = request
  await scratchMinutes(session, minutes)
  const computed = [EXCLUDED_SESSIONS, moved?.select, restored?.select]
  await computeExplained(session, {
    ...facts,
    sessions: { sql: computed.filter((sql) => sql !== undefined).join('\nUNION DISTINCT\n') },
    minutes: DIFFERING_MINUTES,
    ...(moved === undefined ? {} : { split: moved.split }),
    ...(restored === undefined ? {} : { restored }),
  })
  return {
    minutes: await unexplainedMinutes(session, minutes, request),
    sessions: await unexplainedSessions(session, sessions, request),
  }
}

async function scratchMinutes(
  session: WarehouseSession,
  differences: readonly MinuteDifference[],
): Promise<void> {
  const minutes = new Set(differences.map(({ minuteMs }) => minuteMs))
  await scratchValues(session, {
    scratch: MINUTES,
    columns: [
      required('minute_date', 'DATE', 'UTC day of the minute.'),
      required('minute_ms', 'INT64', 'Start of the minute.'),
    ],
    rows: [...minutes].map((minuteMs) => ({
      minute_date: utcDate(minuteMs),
      minute_ms: minuteMs,
    })),
  })
}

async function unexplainedMinutes(
  session: WarehouseSession,
  differences: readonly MinuteDifference[],
  { facts, historyMoves, owesMinutes }: ExplainRequest,
): Promise<MinuteDefect[]> {
  const computed = await readComputed(session, differences, facts.cuts)
  const [proven, defects]: [MinuteDefect[], MinuteDefect[]] = [[], []]
  for (const [difference, expected] of computed) {
    const isProven = isDeepStrictEqual(difference.live, expected)
    // What was found without the erased stays when they are restored.
    ;(isProven ? proven : defects).push({ toWrite: expected, ...difference, expected })
  }
  if (!historyMoves && !owesMinutes) defects.push(...(await wrongInHistory(session, proven, facts)))
  return defects
}

/** Those of the minutes whose rows in the history are not what their sessions and frames add up to. */
async function wrongInHistory(
  session: WarehouseSession,
  minutes: readonly MinuteDefect[],
  facts: FactsRequest,
): Promise<MinuteDefect[]> {
  if (minutes.length === 0) return []
  const later = await session.query(
    { sql: readSql('reconcile/minutes-of-later-runs'), parameters: { run: facts.run } },
    { maxRows: RECONCILE_DIFFERENCES_MAX, timeoutMs: QUERY_TIMEOUT_MS },
  )
  const unfinished = new Set(later.map((row) => integerOf(row, 'minute_ms')))
  await computeMinutesAgain(session, { ...facts, minutes: DIFFERING_MINUTES })
  const computed = await readComputed(session, minutes, facts.cuts)
  return [...computed].flatMap(([minute, restated]) =>
    isDeepStrictEqual(minute.history, restated) || unfinished.has(minute.minuteMs)
      ? []
      : [{ ...minute, restated }],
  )
}

/** What was computed last of the minutes. */
async function readComputed<Minute extends MinuteDifference>(
  session: WarehouseSession,
  minutes: readonly Minute[],
  cuts: readonly Cut[],
): Promise<Map<Minute, MinuteAggregates>> {
  const computed = new Map<Minute, MinuteAggregates>()
  for (const cut of cuts) {
    const differences = minutes.filter((minute) => minute.cut === cut.id)
    if (differences.length === 0) continue
    const table = FACTS_SCRATCH.qoeMinute
    for (const [minute, aggregates] of await readDiffering(session, cut, { table, differences }))
      computed.set(minute, aggregates)
  }
  return computed
}

async function unexplainedSessions(
  session: WarehouseSession,
  differences: readonly SessionDifference[],
  request: ExplainRequest,
): Promise<SessionDefect[]> {
  const [proven, defects]: [SessionDefect[], SessionDefect[]] = [[], []]
  // Of those without a cause nothing was computed: which side is wrong, the events say.
  const causeless: SessionDefect[] = []
  for (let first = 0; first < differences.length; first += RECONCILE_SESSIONS_PER_PAGE) {
    const page = differences.slice(first, first + RECONCILE_SESSIONS_PER_PAGE)
    for (const { defect, verdict } of await judgePage(session, page, request)) {
      const list = { proven, wrong: defects, causeless }[verdict]
      list.push(defect)
    }
  }
  if (request.historyMoves) return [...defects, ...causeless]
  const restated = await restateSessions(session, [...proven, ...causeless], request)
  const unproven = [...defects, ...causeless.filter((defect) => !restated.has(defect))]
  return [...unproven, ...[...restated].map(([defect, row]) => ({ ...defect, restated: row }))]
}

interface JudgedSession {
  readonly defect: SessionDefect
  readonly verdict: 'proven' | 'wrong' | 'causeless'
}

async function judgePage(
  session: WarehouseSession,
  page: readonly SessionDifference[],
  { partsMax, restored, moved }: ExplainRequest,
): Promise<JudgedSession[]> {
  const ids = [...new Set(page.map(({ sessionId }) => sessionId))]
  const excluded = await withExclusions(session, ids)
  const computed = await readHistorySessions(session, FACTS_SCRATCH.sessions, ids)
  return page.map((difference) => {
    const { sessionId, incarnation, live, history } = difference
    const hasCause = [excluded, moved?.sessions, restored?.sessions].some(
      (sessions) => sessions?.has(sessionId) === true,
    )
    // What was found without the erased stays.
    if (!hasCause) return { defect: { toWrite: history, ...difference }, verdict: 'causeless' }
    const found = computed.get(incarnationId(sessionId, incarnation))
    const expected = found && withLastParts(found, partsMax)
    // Of a session whose events were all set aside the live row has no part.
    const hasNothing = expected === undefined && (live?.parts.length ?? 0) === 0
    const isProven = hasNothing || isDeepStrictEqual(live, expected)
    const defect = { toWrite: expected ?? history, ...difference }
    return { defect, verdict: isProven ? 'proven' : 'wrong' }
  })
}

/** Those of the sessions of which the live view set something aside. */
async function withExclusions(
  session: WarehouseSession,
  sessionIds: readonly string[],
): Promise<ReadonlySet<string>> {
  const { condition, parameters } = sessionIn(sessionIds)
  const rows = await session.query(
    { sql: `SELECT DISTINCT session_id FROM ${EXCEPTIONS_SCRATCH} WHERE ${condition}`, parameters },
    { maxRows: RECONCILE_SESSIONS_PER_PAGE, timeoutMs: QUERY_TIMEOUT_MS },
  )
  return new Set(rows.map((row) => textOf(row, 'session_id') ?? ''))
}
