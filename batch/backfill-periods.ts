/**
 * Days of a backfill in periods whose metrics are computed at once. A computation costs some fifty
 * statements however little there is, and most of them again for each group of sessions.
 */
import { FACT_COPIES_PER_GROUP } from './limits.ts'

const DAY_MS = 24 * 60 * 60_000

export interface ArrivalDay {
  /** UTC day, `YYYY-MM-DD`. */
  readonly day: string
  /** Copies of events, rejected ones too, that arrived on it. */
  readonly copies: number
}

export interface Period {
  readonly firstDay: string
  readonly lastDay: string
  /** Those of its days on which something arrived, ascending. */
  readonly days: readonly string[]
  readonly copies: number
}

export interface PeriodBounds {
  /** A day with more is a period by itself. */
  readonly copiesMax: number
  /** From the first day to the last. */
  readonly daysMax: number
  /**
   * UTC days, inclusive, between which nothing arrived on a day that is not given: a period may reach over
   * such a day there and nowhere else.
   */
  readonly fromDate: string
  readonly toDate: string
}

/** The days, which are ascending, with their neighbours as far as the bounds let them be together. */
export function periodsOf(days: readonly ArrivalDay[], bounds: PeriodBounds): readonly Period[] {
  const periods: Period[] = []
  for (const { day, copies } of days) {
    const last = periods.at(-1)
    if (last !== undefined && mayJoin(last, { day, copies }, bounds))
      periods[periods.length - 1] = {
        ...last,
        lastDay: day,
        days: [...last.days, day],
        copies: last.copies + copies,
      }
    else periods.push({ firstDay: day, lastDay: day, days: [day], copies })
  }
  return periods
}

/** Into how many groups the sessions of a period are divided, of at most `groupsMax`. */
export function groupsOf({ copies }: Period, groupsMax: number): number {
  return Math.min(groupsMax, Math.max(1, Math.ceil(copies / FACT_COPIES_PER_GROUP)))
}

function mayJoin(
  { firstDay, lastDay, copies: before }: Period,
  { day, copies }: ArrivalDay,
  { copiesMax, daysMax, fromDate, toDate }: PeriodBounds,
): boolean {
  return (
    before + copies <= copiesMax &&
    daysFrom(firstDay, day) < daysMax &&
    (daysFrom(lastDay, day) === 1 || (lastDay >= fromDate && day <= toDate))
  )
}

function daysFrom(first: string, last: string): number {
  return (Date.parse(last) - Date.parse(first)) / DAY_MS
}
