/**
 * Sessions by viewer: a table of keys, in which every session row with a viewer has exactly one entry.
 * It is written and deleted in the commit of its row.
 */
import type { Table } from '../lmdb/root.ts'
import { decodeHeader, decodeSession } from './lmdb-row-codec.ts'
import { sessionKeyOfEntry, viewerKey, viewerPrefix } from './lmdb-row-keys.ts'
import type { SessionRow } from './rows.ts'
import { VIEWER_FIELD, viewerOf } from './session-viewer.ts'
import type { ViewerQuery } from './speed-store.ts'

/** Key of the row's entry; `undefined` for a session without a viewer. */
export function viewerEntry(row: SessionRow): Buffer | undefined {
  const viewer = viewerOf(row)
  return viewer === undefined ? undefined : viewerKey(viewer, row)
}

/** The same of a stored session row. */
export function viewerEntryOf(value: Buffer): Buffer | undefined {
  return value.includes(VIEWER_FIELD) ? viewerEntry(decodeSession(value)) : undefined
}

export function findViewerSessions(
  { sessions, viewers }: { readonly sessions: Table; readonly viewers: Table },
  { view, viewerPseudonym, fromMs, toMs, limit }: ViewerQuery,
  nowMs: number,
): SessionRow[] {
  const found: SessionRow[] = []
  // Read backwards, a range begins at its upper end, which it includes; no key is this short.
  const newestFirst = {
    start: viewerPrefix(view, viewerPseudonym, toMs),
    end: viewerPrefix(view, viewerPseudonym, fromMs),
    reverse: true,
  }
  for (const { key } of viewers.getRange(newestFirst)) {
    if (found.length >= limit) break
    const value = sessions.get(sessionKeyOfEntry(key))
    if (value === undefined || decodeHeader(value).expiresAtMs < nowMs) continue
    const row = decodeSession(value)
    // A build from before there were entries may have changed the row, and left its entry.
    if (viewerEntry(row)?.equals(key) === true) found.push(row)
  }
  return found
}
