/**
 * Pages over all sessions of a view. Sessions lie in the order of their keys' digests, those of all
 * views among one another; the rows of one session lie side by side.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { above, after } from '../lmdb/key-ranges.ts'
import type { Table } from '../lmdb/root.ts'
import { ROWS_PER_TURN } from './lmdb-limits.ts'
import { decodeHeader, decodeSession } from './lmdb-row-codec.ts'
import { sessionPrefix } from './lmdb-row-keys.ts'
import type { SessionRow } from './rows.ts'
import type { SessionPage } from './speed-store.ts'

const LOWEST = Buffer.of(0)

/** `assertOpen` is called before the table is touched again after a turn of the event loop. */
export async function findSessions(
  table: Table,
  wanted: SessionPage & { readonly view: string; readonly nowMs: number },
  assertOpen: () => void,
): Promise<SessionRow[]> {
  const { view, afterSessionId, limit, nowMs } = wanted
  const found: SessionRow[] = []
  let sessions = 0
  let start = afterSessionId === undefined ? LOWEST : above(sessionPrefix(view, afterSessionId))
  while (start !== undefined) {
    const entries = [...table.getRange({ start, limit: ROWS_PER_TURN })]
    for (const { value } of entries) {
      if (decodeHeader(value).expiresAtMs < nowMs) continue
      const row = decodeSession(value)
      if (row.view !== view) continue
      if (row.sessionId !== found.at(-1)?.sessionId) sessions += 1
      if (sessions > limit) return found
      found.push(row)
    }
    const last = entries.at(-1)?.key
    start = entries.length < ROWS_PER_TURN || last === undefined ? undefined : after(last)
    await nextTurn()
    assertOpen()
  }
  return found
}
