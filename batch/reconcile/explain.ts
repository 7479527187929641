/**
 * The proof of a difference: the SQL runs again without exactly the events that the live view set
 * aside, and must then equal the live rows to the integer. Only sessions with such an event are
 * computed again; what others add to the minutes in question stands in the warehouse.
 */
import { isDeepStrictEqual } from 'node:util'
import type { MinuteAggregates } from '../../shared/qoe/aggregates.ts'
import type { Cut } from '../../shared/qoe/cuts.ts'
import { required } from '../../shared/warehouse/table-spec.ts'
import { utcDate } from '../../shared/warehouse/minute-rows.ts'
import { textOf } from '../../shared/warehouse/row-values.ts'
import type { WarehouseSession } from '../../shared/warehouse/warehouse.ts'
import {
  computeExplained,
  EXCEPTIONS_SCRATCH,
  FACTS_SCRATCH,
  type FactsRequest,
  type Restored,
} from '../facts.ts'
import { scratchValues } from '../insert-values.ts'
import { QUERY_TIMEOUT_MS, RECONCILE_SESSIONS_PER_PAGE } from '../limits.ts'
import { RESTORED_SESSIONS } from './erased.ts'
import { EXCLUDED_SESSIONS } from './exclusions.ts'
import { readDiffering, type MinuteDifference } from './minutes.ts'
import {
  incarnationId,
  readHistorySessions,
  sessionIn,
  withLastParts,
  type ComparedSession,
  type SessionDifference,
} from './sessions.ts'

const MINUTES = 'reconcile_minutes'

export interface Differences {
  readonly minutes: readonly MinuteDifference[]
  readonly sessions: readonly SessionDifference[]
}

export interface MinuteDefect extends MinuteDifference {
  /** What the live row would be, had it set aside just what it listed. */
  readonly expected: MinuteAggregates
  /** The same without viewers who were erased. */
  readonly toWrite: MinuteAggregates
}

export interface SessionDefect extends SessionDifference {
  /** What the live row would be, had it set aside just what it listed; `undefined` without history. */
  readonly toWrite: ComparedSession | undefined
}

export interface Unexplained {
  readonly minutes: readonly MinuteDefect[]
  readonly sessions: readonly SessionDefect[]
}

export interface ExplainRequest {
  readonly facts: FactsRequest
  readonly partsMax: number
  /** Records that the tables do not hold any more, and the sessions that they are of. */
  readonly restored?: Restored & { readonly sessions: ReadonlySet<string> }
}

export async function explain(
  session: WarehouseSession,
  { minutes, sessions }: Differences,
  request: ExplainRequest,
): Promise<Unexplained> {
  if (minutes.length + sessions.length === 0) return { minutes: [], sessions: [] }
  const { facts, restored } = request
  await scratchMinutes(session, minutes)
  const computed = restored === undefined ? '' : `\nUNION DISTINCT\n${RESTORED_SESSIONS}`
  await computeExplained(session, {
    ...facts,
    sessions: { sql: `${EXCLUDED_SESSIONS}${computed}` },
    minutes: { sql: `SELECT minute_date, minute_ms FROM ${MINUTES}` },
    ...(restored === undefined ? {} : { restored }),
  })
  return {
    minutes: await unexplainedMinutes(session, minutes, facts.cuts),
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
  cuts: readonly Cut[],
): Promise<MinuteDefect[]> {
  const defects: MinuteDefect[] = []
  for (const cut of cuts) {
    const ofCut = differences.filter((difference) => difference.cut === cut.id)
    if (ofCut.length === 0) continue
    const table = FACTS_SCRATCH.qoeMinute
    const computed = await readDiffering(session, cut, { table, differences: ofCut })
    for (const [difference, expected] of computed)
      if (!isDeepStrictEqual(difference.live, expected))
        // What was found without the erased stays when they are restored.
        defects.push({ toWrite: expected, ...difference, expected })
  }
  return defects
}

async function unexplainedSessions(
  session: WarehouseSession,
  differences: readonly SessionDifference[],
  { partsMax, restored }: ExplainRequest,
): Promise<SessionDefect[]> {
  const defects: SessionDefect[] = []
  for (let first = 0; first < differences.length; first += RECONCILE_SESSIONS_PER_PAGE) {
    const page = differences.slice(first, first + RECONCILE_SESSIONS_PER_PAGE)
    const ids = [...new Set(page.map(({ sessionId }) => sessionId))]
    const excluded = await withExclusions(session, ids)
    const computed = await readHistorySessions(session, FACTS_SCRATCH.sessions, ids)
    for (const difference of page) {
      const { sessionId, incarnation, live, history } = difference
      const found = computed.get(incarnationId(sessionId, incarnation))
      const expected = found && withLastParts(found, partsMax)
      // Of a session whose events were all set aside the live row has no part.
      const hasNothing = expected === undefined && (live?.parts.length ?? 0) === 0
      const isEqual = hasNothing || isDeepStrictEqual(live, expected)
      const hasCause = excluded.has(sessionId) || restored?.sessions.has(sessionId) === true
      if (!hasCause || !isEqual)
        // Only what has a cause was computed; what was found without the erased stays.
        defects.push({ toWrite: (hasCause ? expected : undefined) ?? history, ...difference })
    }
  }
  return defects
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
