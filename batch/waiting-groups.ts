/**
 * How copies that wait are divided when they lie on more days than one write may name. Of a session all
 * copies are decided about, and leave `late_events`, together: what a try that was cut off has left is
 * then of sessions of which nothing has left.
 */

/** A day on which copies of a session that wait have arrived. */
export interface WaitingDay {
  readonly sessionId: string
  readonly date: string
}

/** Sessions from one id to another, inclusive. */
export interface WaitingGroup {
  readonly firstSession: string
  readonly lastSession: string
}

/**
 * `days` ascend by session. Only a group of a single session has more days than `datesMax`.
 */
export function waitingGroups(days: readonly WaitingDay[], datesMax: number): WaitingGroup[] {
  const groups: WaitingGroup[] = []
  let dates = new Set<string>()
  for (const [sessionId, ofSession] of Map.groupBy(days, (day) => day.sessionId)) {
    const own = ofSession.map(({ date }) => date)
    const group = groups.at(-1)
    const together = new Set([...dates, ...own])
    if (group === undefined || together.size > datesMax) {
      groups.push({ firstSession: sessionId, lastSession: sessionId })
      dates = new Set(own)
    } else {
      groups[groups.length - 1] = { ...group, lastSession: sessionId }
      dates = together
    }
  }
  return groups
}
