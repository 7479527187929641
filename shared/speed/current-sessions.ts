import type { SessionRow } from './rows.ts'

/**
 * The session rows that count, newest first within what was given: of each session's (topic epoch,
 * partition) only those of the highest generation.
 */
export function currentSessionRows(rows: readonly SessionRow[]): SessionRow[] {
  const highest = new Map<string, number>()
  for (const row of rows)
    highest.set(sourceOf(row), Math.max(highest.get(sourceOf(row)) ?? 0, row.generation))
  return rows
    .filter((row) => row.generation === highest.get(sourceOf(row)))
    .toSorted((a, b) => b.firstReceivedAtMs - a.firstReceivedAtMs || b.incarnation - a.incarnation)
}

function sourceOf(row: SessionRow): string {
  return `${row.sessionId} ${row.topicEpoch}/${row.partition}`
}
