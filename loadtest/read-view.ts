import type { MinuteRow, PositionRow, SessionRow } from '../shared/speed/rows.ts'
import type { SpeedStore } from '../shared/speed/speed-store.ts'

export interface ViewRows {
  readonly minutes: readonly MinuteRow[]
  readonly sessions: readonly SessionRow[]
  readonly positions: readonly PositionRow[]
}

export interface ViewRange {
  readonly fromMs: number
  readonly toMs: number
}

const ROWS_MAX = 1_000_000
/** A store across a network takes its time for each. */
const READS_AT_ONCE = 32
const ALL_TIMES: ViewRange = { fromMs: 0, toMs: Number.MAX_SAFE_INTEGER }

/**
 * All rows of a view, as they are stored: several generations and partitions side by side. A store
 * that looks hour by hour must be told in which range their minutes are.
 */
export async function readView(
  speed: SpeedStore,
  view: string,
  cutIds: readonly string[],
  range: ViewRange = ALL_TIMES,
): Promise<ViewRows> {
  const query = { view, ...range, limit: ROWS_MAX }
  const minutes = await Promise.all(cutIds.map((cut) => speed.readMinutes({ ...query, cut })))
  const sessions = await speed.readRecentSessions(view, ROWS_MAX)
  const positions: PositionRow[] = []
  for (let from = 0; from < sessions.length; from += READS_AT_ONCE) {
    const some = sessions.slice(from, from + READS_AT_ONCE)
    const found = await Promise.all(some.map((one) => speed.readPositions(one, 0, ROWS_MAX)))
    positions.push(...found.flat())
  }
  return { minutes: minutes.flat(), sessions, positions }
}
