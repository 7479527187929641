/**
 * Sessions of both sides, every incarnation with its parts. The live side is read page by page and
 * looked up in the history; then the history's sessions that no page had.
 */
import { isDeepStrictEqual } from 'node:util'
import { currentSessionRows } from '../../shared/speed/current-sessions.ts'
import type { PartSummary, SessionRow } from '../../shared/speed/rows.ts'
import type { SpeedStore } from '../../shared/speed/speed-store.ts'
import { utcDate } from '../../shared/warehouse/minute-rows.ts'
import { integerOf, textOf } from '../../shared/warehouse/row-values.ts'
import { partFromRow } from '../../shared/warehouse/session-rows.ts'
import type { ParameterValue, Row, WarehouseSession } from '../../shared/warehouse/warehouse.ts'
import { QUERY_TIMEOUT_MS, RECONCILE_ROWS_MAX, RECONCILE_SESSIONS_PER_PAGE } from '../limits.ts'
import type { AsOf } from './as-of.ts'
import type { TimeRange } from './minutes.ts'

/** What both sides know of one incarnation. */
export interface ComparedSession {
  readonly parts: readonly PartSummary[]
  readonly closed: boolean
  readonly lost: number
  readonly duplicates: number
  readonly rejected: number
  readonly clockOffsetMs: number
  readonly lastLoggedAtMs: number
}

export interface SessionDifference {
  readonly sessionId: string
  readonly incarnation: number
  /** `undefined` where the side has no row. */
  readonly live: ComparedSession | undefined
  readonly liveRow: SessionRow | undefined
  readonly history: ComparedSession | undefined
}

export interface SessionTally {
  compared: number
  equal: number
  pending: number
  readonly differences: SessionDifference[]
}

export interface SessionsParts {
  readonly session: WarehouseSession
  readonly speed: SpeedStore
  readonly view: string
  readonly asOf: AsOf
  /** Parts that a live row holds at most: the last ones. */
  readonly partsMax: number
  /** Sessions in which an event may still wait at the cut. */
  readonly waiting: ReadonlySet<string>
  /** The speed store has let go of what was logged last before this, epoch ms. */
  readonly expiredBeforeMs: number
  /** How much earlier than the first of its records a session may have begun, ms. */
  readonly maxAgeMs: number
}

/**
 * Sessions of which something was logged within the range, with all their incarnations, whole: where
 * one ends has nothing to do with where a minute does.
 */
export async function compareSessions(
  parts: SessionsParts,
  range: TimeRange,
): Promise<SessionTally> {
  const tally: SessionTally = { compared: 0, equal: 0, pending: 0, differences: [] }
  const seen = new Set<string>()
  for (let afterSessionId: string | undefined; ;) {
    const page = await parts.speed.readSessions(parts.view, {
      limit: RECONCILE_SESSIONS_PER_PAGE,
      ...(afterSessionId === undefined ? {} : { afterSessionId }),
    })
    const last = page.at(-1)
    if (last === undefined) break
    afterSessionId = last.sessionId
    const within = page.filter((row) => isWithin(row.lastLoggedAtMs, range))
    const ids = new Set(within.map(({ sessionId }) => sessionId))
    for (const id of ids) seen.add(id)
    const rows = page.filter(({ sessionId }) => ids.has(sessionId))
    await compareBoth(parts, tally, { ids: [...ids], rows })
  }
  // Of these no live row says that it is of the range.
  for (const id of await unseenSessions(parts, range, seen)) {
    const rows = await parts.speed.readSession(parts.view, id)
    await compareBoth(parts, tally, { ids: [id], rows })
  }
  return tally
}

async function compareBoth(
  parts: SessionsParts,
  tally: SessionTally,
  { ids, rows }: { readonly ids: readonly string[]; readonly rows: readonly SessionRow[] },
): Promise<void> {
  if (ids.length === 0) return
  const history = await readHistorySessions(parts.session, 'sessions', ids)
  for (const row of currentSessionRows(rows)) {
    const id = incarnationId(row.sessionId, row.incarnation)
    judge(parts, tally, { id, session: history.get(id), row })
    history.delete(id)
  }
  for (const [id, session] of history)
    if (session.lastLoggedAtMs > parts.expiredBeforeMs)
      judge(parts, tally, { id, session, row: undefined })
}

interface Judged {
  readonly id: string
  readonly session: ComparedSession | undefined
  readonly row: SessionRow | undefined
}

function judge(parts: SessionsParts, tally: SessionTally, { id, session, row }: Judged): void {
  const { sessionId, incarnation } = parseIncarnationId(id)
  const isPending =
    !parts.asOf.isWritten('session') ||
    parts.waiting.has(sessionId) ||
    (row !== undefined && !parts.asOf.isBelowCut(row))
  // A session of events that were all set aside has a row and no part.
  if (row?.parts.length === 0 && session === undefined) return
  if (isPending) {
    tally.pending += 1
    return
  }
  tally.compared += 1
  const live = row && ofLiveRow(row)
  const history = session && withLastParts(session, parts.partsMax)
  if (isDeepStrictEqual(live, history)) tally.equal += 1
  else tally.differences.push({ sessionId, incarnation, live, liveRow: row, history })
}

function ofLiveRow({
  parts,
  closed,
  quality,
  clockOffsetMs,
  lastLoggedAtMs,
}: SessionRow): ComparedSession {
  const { lost, duplicates, rejected } = quality
  const present = parts.map(withoutAbsent)
  return { parts: present, closed, lost, duplicates, rejected, clockOffsetMs, lastLoggedAtMs }
}

/** Stores tell an absent field by leaving it out, or by `undefined`. */
function withoutAbsent(part: PartSummary): PartSummary {
  const present = Object.entries(part).filter(([, value]) => value !== undefined)
  return Object.fromEntries(present) as unknown as PartSummary
}

export function withLastParts(session: ComparedSession, partsMax: number): ComparedSession {
  return { ...session, parts: session.parts.slice(-partsMax) }
}

function isWithin(ms: number, { fromMs, toMs }: TimeRange): boolean {
  return ms >= fromMs && ms < toMs
}

/** By `incarnationId`. `table` has the columns of `sessions`. */
export async function readHistorySessions(
  session: WarehouseSession,
  table: string,
  sessionIds: readonly string[],
): Promise<Map<string, ComparedSession>> {
  const { condition, parameters } = sessionIn(sessionIds)
  const rows = await session.query(
    {
      sql: `SELECT *
FROM ${table}
WHERE ${condition}
ORDER BY session_id, incarnation, part`,
      parameters,
    },
    { maxRows: RECONCILE_ROWS_MAX, timeoutMs: QUERY_TIMEOUT_MS },
  )
  const byIncarnation = Map.groupBy(rows, (row) =>
    incarnationId(textOf(row, 'session_id') ?? '', integerOf(row, 'incarnation')),
  )
  return new Map([...byIncarnation].map(([id, parts]) => [id, historySessionOf(parts)]))
}

/** The condition that a row is of one of the sessions. */
export function sessionIn(sessionIds: readonly string[]) {
  const parameters: Record<string, ParameterValue> = {}
  const names = sessionIds.map((id, index) => {
    parameters[`id_${index}`] = id
    return `@id_${index}`
  })
  return { condition: `session_id IN (${names.join(', ')})`, parameters }
}

/** Of the rows of one incarnation, a row a part, ascending. */
export function historySessionOf(rows: readonly Row[]): ComparedSession {
  const sum = (column: string) => rows.reduce((total, row) => total + integerOf(row, column), 0)
  const [first = {}] = rows
  return {
    parts: rows.map((row) => withoutAbsent(partFromRow(row))),
    closed: rows.at(-1)?.['closed'] === true,
    lost: sum('lost'),
    duplicates: sum('duplicates'),
    rejected: sum('rejected'),
    clockOffsetMs: integerOf(first, 'clock_offset_ms'),
    lastLoggedAtMs: Math.max(...rows.map((row) => integerOf(row, 'last_logged_at_ms'))),
  }
}

async function unseenSessions(
  { session, maxAgeMs }: SessionsParts,
  { fromMs, toMs }: TimeRange,
  seen: ReadonlySet<string>,
): Promise<string[]> {
  const rows = await session.query(
    {
      sql: `SELECT DISTINCT session_id
FROM sessions
WHERE start_date >= CAST(@from_date AS DATE)
  AND last_logged_at_ms >= @from_ms AND last_logged_at_ms < @to_ms`,
      parameters: {
        from_date: utcDate(Math.max(0, fromMs - maxAgeMs - DAY_MS)),
        from_ms: fromMs,
        to_ms: toMs,
      },
    },
    { maxRows: RECONCILE_ROWS_MAX, timeoutMs: QUERY_TIMEOUT_MS },
  )
  return rows.map((row) => textOf(row, 'session_id') ?? '').filter((id) => !seen.has(id))
}

/** A session that goes on for longer, and into the range, is met by its live row alone. */
const DAY_MS = 24 * 60 * 60_000

export function incarnationId(sessionId: string, incarnation: number): string {
  return `${incarnation} ${sessionId}`
}

export function parseIncarnationId(id: string): { sessionId: string; incarnation: number } {
  const blank = id.indexOf(' ')
  return { sessionId: id.slice(blank + 1), incarnation: Number(id.slice(0, blank)) }
}
