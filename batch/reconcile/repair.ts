/**
 * Rewrites live rows that are lost or wrong from the history: minutes as one row of partition −1,
 * which readers take instead of all others, and only such as no pane can still change; sessions in
 * their own row, under the stamp that it has, so that a later change of the fold still wins.
 */
import { MINUTE_MS } from '../../shared/qoe/aggregates.ts'
import { REPAIR_PARTITION } from '../../shared/speed/row-merge.ts'
import type { MinuteRow, SessionRow } from '../../shared/speed/rows.ts'
import type { SpeedStore } from '../../shared/speed/speed-store.ts'
import { RECONCILE_ROWS_PER_WRITE } from '../limits.ts'
import type { AsOf } from './as-of.ts'
import type { Unexplained } from './explain.ts'
import { ALL_KEYS, type MinuteDifference } from './minutes.ts'

export interface RepairParts {
  readonly speed: SpeedStore
  readonly view: string
  readonly asOf: AsOf
  readonly paneLifeMs: number
  /** How long rows stay in the speed store after their minute, ms. */
  readonly rowRetentionMs: number
}

export interface Repaired {
  readonly minutes: number
  readonly sessions: number
  /** Defects that were left: a minute that a pane may still change, or a session without a row. */
  readonly left: number
}

export async function repair(
  parts: RepairParts,
  { minutes, sessions }: Unexplained,
): Promise<Repaired> {
  const minuteRows = minutes.flatMap((defect) => repairedMinute(parts, defect))
  const sessionRows = sessions.flatMap(({ liveRow, history }) =>
    liveRow === undefined || history === undefined ? [] : [withHistory(liveRow, history)],
  )
  for (const rows of chunks(minuteRows)) await parts.speed.putMinutes(rows)
  for (const rows of chunks(sessionRows)) await parts.speed.putSessions(rows, [])
  return {
    minutes: minuteRows.length,
    sessions: sessionRows.length,
    left: minutes.length - minuteRows.length + (sessions.length - sessionRows.length),
  }
}

function repairedMinute(parts: RepairParts, defect: MinuteDifference): MinuteRow[] {
  const { view, asOf, paneLifeMs, rowRetentionMs } = parts
  const { cut, key, minuteMs, history } = defect
  const endMs = minuteMs + MINUTE_MS
  if (key === ALL_KEYS || endMs + paneLifeMs >= asOf.watermarkMs) return []
  return [
    {
      view,
      topicEpoch: 0,
      partition: REPAIR_PARTITION,
      generation: 0,
      cut,
      key,
      minuteStartMs: minuteMs,
      aggregates: history,
      // A later repair wins; runs of a minute are fewer than its microseconds.
      stampUs: minuteMs * 1_000 + asOf.run,
      lastOffset: 0,
      expiresAtMs: endMs + rowRetentionMs,
    },
  ]
}

function withHistory(
  row: SessionRow,
  history: NonNullable<Unexplained['sessions'][number]['history']>,
): SessionRow {
  const { parts, closed, lost, duplicates, rejected, clockOffsetMs, lastLoggedAtMs } = history
  return {
    ...row,
    parts,
    closed,
    clockOffsetMs,
    lastLoggedAtMs,
    quality: { ...row.quality, lost, duplicates, rejected },
  }
}

function* chunks<Item>(items: readonly Item[]): Generator<readonly Item[]> {
  for (let first = 0; first < items.length; first += RECONCILE_ROWS_PER_WRITE)
    yield items.slice(first, first + RECONCILE_ROWS_PER_WRITE)
}
