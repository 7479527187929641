/**
 * Sessions by viewer: an index of keys, in which a Cassandra partition is a day of arrival of many
 * viewers, so that their entries share statements. As in the index by start, an entry counts only as
 * far as the session row that it points to.
 */
import { findEntrySession } from './cassandra-session-entries.ts'
import { keyBucket, sessionPlace, stamped } from './cassandra-rows.ts'
import type { CassandraStatements } from './cassandra-statements.ts'
import type { RowWrite } from './cassandra-write-lane.ts'
import type { SessionRow } from './rows.ts'
import { viewerOf } from './session-viewer.ts'
import type { ViewerQuery } from './speed-store.ts'

const DAY_MS = 24 * 60 * 60_000
/**
 * Buckets that the viewers of a day are spread over: part of where entries lie, never changed. They
 * keep a Cassandra partition below some 50 MB with 50 million sessions a day, and few enough that
 * entries of the same moment meet.
 */
const VIEWER_BUCKETS = 128
const ENTRY_BYTES = 128
const COLUMNS = `view_id, day_ms, viewer_bucket, viewer, received_ms, session_id, topic_epoch, partition,
  generation, incarnation`
const INSERT_ENTRY = `INSERT INTO viewer_sessions (${COLUMNS})
  VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP ? AND TTL ?`
const DELETE_ENTRY = `DELETE FROM viewer_sessions USING TIMESTAMP ? WHERE view_id = ? AND day_ms = ?
  AND viewer_bucket = ? AND viewer = ? AND received_ms = ? AND session_id = ? AND topic_epoch = ?
  AND partition = ? AND generation = ? AND incarnation = ?`
const SELECT_ENTRIES = `SELECT ${COLUMNS} FROM viewer_sessions WHERE view_id = ? AND day_ms = ?
  AND viewer_bucket = ? AND viewer = ? AND received_ms >= ? AND received_ms < ?`

/** One, or none for a session without a viewer. */
export function viewerEntryWrites(row: SessionRow, nowMs: number): RowWrite[] {
  return entriesOf(row, (place) => ({
    query: INSERT_ENTRY,
    params: [...place, ...stamped(row, nowMs)],
  }))
}

export function viewerEntryDeletions(row: SessionRow): RowWrite[] {
  const [stampUs] = stamped(row, 0)
  return entriesOf(row, (place) => ({ query: DELETE_ENTRY, params: [stampUs, ...place] }))
}

function entriesOf(
  row: SessionRow,
  statement: (place: readonly unknown[]) => Pick<RowWrite, 'query' | 'params'>,
): RowWrite[] {
  const viewer = viewerOf(row)
  if (viewer === undefined) return []
  const [view, ...rest] = sessionPlace(row)
  const dayMs = dayOf(row.firstReceivedAtMs)
  const bucket = keyBucket(viewer, VIEWER_BUCKETS)
  const place = [view, dayMs, bucket, viewer, row.firstReceivedAtMs, ...rest]
  const partition = `viewer_sessions\n${row.view}\n${dayMs}\n${bucket}`
  return [{ partition, bytes: ENTRY_BYTES, ...statement(place) }]
}

/** Day after day, newest first, until there are enough. */
export async function findViewerSessions(
  statements: CassandraStatements,
  { view, viewerPseudonym, fromMs, toMs, limit }: ViewerQuery,
  nowMs: number,
): Promise<SessionRow[]> {
  const found: SessionRow[] = []
  const bucket = keyBucket(viewerPseudonym, VIEWER_BUCKETS)
  for (let dayMs = dayOf(toMs - 1); dayMs >= dayOf(fromMs); dayMs -= DAY_MS) {
    const asked = [view, dayMs, bucket, viewerPseudonym, fromMs, toMs]
    for await (const entries of statements.pages(SELECT_ENTRIES, asked, limit)) {
      const rows = await Promise.all(
        entries.map((entry) => findEntrySession(statements, entry, nowMs)),
      )
      for (const row of rows)
        if (row !== undefined && viewerOf(row) === viewerPseudonym) found.push(row)
      if (found.length >= limit) return found.slice(0, limit)
    }
  }
  return found
}

function dayOf(epochMs: number): number {
  return Math.floor(epochMs / DAY_MS) * DAY_MS
}
