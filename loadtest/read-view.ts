import type { MinuteRow, PositionRow, SessionRow } from '../shared/speed/rows.ts'
import type { SpeedStore } from '../shared/speed/speed-store.ts'

export interface ViewRows {
  readonly minutes: readonly MinuteRow[]
  readonly sessions: readonly SessionRow[]
  readonly positions: readonly PositionRow[]
}

const ROWS_MAX = 1_000_000

/** All rows of a view, as they are stored: several generations and partitions side by side. */
export async function readView(
  speed: SpeedStore,
  view: string,
  cutIds: readonly string[],
): Promise<ViewRows> {
  const query = { view, fromMs: 0, toMs: Number.MAX_SAFE_INTEGER, limit: ROWS_MAX }
  const minutes = await Promise.all(cutIds.map((cut) => speed.readMinutes({ ...query, cut })))
  const sessions = await speed.readRecentSessions(view, ROWS_MAX)
  const positions: PositionRow[] = []
  for (const session of sessions)
    positions.push(...(await speed.readPositions(session, 0, ROWS_MAX)))
  return { minutes: minutes.flat(), sessions, positions }
}
