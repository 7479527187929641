/**
 * What a run holds back of its staged copies. A copy is decided about by all copies of the incarnation
 * that is kept of its session, and a run searches the days for them from `maxAgeMs` before its first
 * record was logged, the *bound*. Where some may have arrived before that, all copies of the session go
 * into `late_events`, and so does what follows of it, until `settleLate` has searched all days.
 *
 * What is held back is a function of the staged frames and of what earlier runs left: a repeat of the
 * run holds back the same.
 */
import { tables } from '../shared/warehouse/tables.ts'
import type { Select, WarehouseSession } from '../shared/warehouse/warehouse.ts'
import { insertByDates } from './by-dates.ts'
import { dateOf } from './control.ts'
import { dayBefore, type FactsLimits, oneRow } from './facts.ts'
import { scratchOf, stagedCopies } from './insert-sql.ts'
import { withCopies } from './load-copies.ts'
import { readSql } from './read-sql.ts'

export interface HoldBackRequest {
  readonly run: number
  readonly limits: FactsLimits
  /** UTC days of arrival of the staged frames, ascending, not empty. */
  readonly dates: readonly string[]
  /** When the run took its cut, epoch ms; nothing is held back when it is absent. */
  readonly heldAtMs: number | undefined
  readonly jobId: string
}

/** What is left to be loaded at once. */
export interface AtOnce {
  readonly copies: Select
  /** UTC days of arrival that are searched and written, ascending; none lies before the bound. */
  readonly dates: readonly string[]
  /** Rows that this try put into `late_events`. */
  readonly heldBack: number
}

export async function holdBack(
  session: WarehouseSession,
  { run, limits, dates, heldAtMs, jobId }: HoldBackRequest,
): Promise<AtOnce> {
  const all = { sql: stagedCopies(), parameters: { run } }
  if (heldAtMs === undefined) return { copies: all, dates, heldBack: 0 }
  const bound = await boundOf(session, limits)
  const aloneMs = limits.sessionTimeoutMs + limits.sessionKeepMs
  await session.scratch('held_sessions', {
    sql: readSql('load/held-sessions'),
    parameters: { run, bound, alone_ms: aloneMs },
  })
  const [any] = await session.query({ sql: 'SELECT session_id FROM held_sessions LIMIT 1' }, oneRow)
  if (any === undefined) return { copies: all, dates, heldBack: 0 }
  const { name: table, key, columns } = tables.lateEvents
  const names = columns.map(({ name }) => name).join(', ')
  const held = withCopies(readSql('load/held-copies'), all)
  const heldBack = await insertByDates(session, {
    table,
    select: {
      sql: `SELECT ${names} FROM (${held}) AS held`,
      parameters: { ...all.parameters, bound, held_at_ms: heldAtMs },
    },
    key,
    dates,
    jobId: `${jobId}-${table}`,
  })
  const others = withCopies(readSql('load/copies-at-once'), all)
  return {
    copies: { ...all, sql: others },
    dates: dates.filter((date) => date >= bound),
    heldBack,
  }
}

/** By the log's own time, so that it does not matter when a run takes what was logged. */
async function boundOf(session: WarehouseSession, { maxAgeMs }: FactsLimits): Promise<string> {
  const sql = `SELECT MIN(logged_at_ms) AS first_logged_at_ms FROM ${scratchOf('frames')}`
  const [first] = await session.query({ sql }, oneRow)
  return dayBefore(dateOf(Number(first?.['first_logged_at_ms'])), maxAgeMs)
}
