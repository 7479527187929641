/**
 * Sessions by start of arrival: an index of keys, a Cassandra partition a minute, and the list of
 * minutes that have any. An entry is found by, and true only as far as, the session row that it
 * points to, so one that is left over costs a look and is never shown.
 *
 * A session is listed here and among its viewer's when it is first written, when a part begins, and
 * now and then afterwards, not with each of the many writes in between.
 */
import { LRUCache } from 'lru-cache'
import { MINUTE_MS } from '../qoe/aggregates.ts'
import { LISTED_FOR_MS, LISTED_SESSIONS_MAX } from './cassandra-limits.ts'
import { sessionPlace, stamped } from './cassandra-rows.ts'
import type { CassandraStatements } from './cassandra-statements.ts'
import { findEntrySession } from './cassandra-session-entries.ts'
import { viewerEntryDeletions, viewerEntryWrites } from './cassandra-viewer-sessions.ts'
import type { RowWrite } from './cassandra-write-lane.ts'
import type { SessionRow } from './rows.ts'

const ENTRY_COLUMNS = `view_id, minute_ms, received_ms, session_id, topic_epoch, partition, generation,
  incarnation`
const ENTRY_BYTES = 96
const INSERT_ENTRY = `INSERT INTO recent_sessions (${ENTRY_COLUMNS})
  VALUES (?, ?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP ? AND TTL ?`
const INSERT_MINUTE = `INSERT INTO recent_minutes (view_id, minute_ms) VALUES (?, ?)
  USING TIMESTAMP ? AND TTL ?`
const DELETE_ENTRY = `DELETE FROM recent_sessions USING TIMESTAMP ? WHERE view_id = ? AND minute_ms = ?
  AND received_ms = ? AND session_id = ? AND topic_epoch = ? AND partition = ? AND generation = ?
  AND incarnation = ?`
const SELECT_MINUTES = 'SELECT minute_ms FROM recent_minutes WHERE view_id = ?'
const SELECT_ENTRIES = `SELECT ${ENTRY_COLUMNS} FROM recent_sessions WHERE view_id = ? AND minute_ms = ?`

export class RecentSessions {
  readonly #statements: CassandraStatements
  /** As what each session row was listed lately, by its key. */
  readonly #listed = new LRUCache<string, string>({ max: LISTED_SESSIONS_MAX, ttl: LISTED_FOR_MS })

  constructor(statements: CassandraStatements) {
    this.#statements = statements
  }

  /** Lists the sessions whose rows are being written. */
  async list(rows: readonly SessionRow[], nowMs: number): Promise<void> {
    const due = rows.filter((row) => this.#listed.get(keyOf(row)) !== listedAs(row))
    if (due.length === 0) return
    const minutes = new Map(due.map((row) => [`${row.view}\n${minuteOf(row)}`, row]))
    const writes = [
      ...due.flatMap((row) => [entryWrite(row, nowMs), ...viewerEntryWrites(row, nowMs)]),
      ...[...minutes.values()].map((row) => minuteWrite(row, nowMs)),
    ]
    await this.#statements.write('index', writes)
    for (const row of due) this.#listed.set(keyOf(row), listedAs(row))
  }

  async unlist(rows: readonly SessionRow[]): Promise<void> {
    for (const row of rows) this.#listed.delete(keyOf(row))
    // Sessions are deleted one after another: nothing else would share a batch.
    const writes = rows.flatMap((row) => [entryDeletion(row), ...viewerEntryDeletions(row)])
    await this.#statements.write('session', writes)
  }

  /** Newest first. */
  async read(view: string, limit: number, nowMs: number): Promise<SessionRow[]> {
    const found: SessionRow[] = []
    for await (const minutes of this.#statements.pages(SELECT_MINUTES, [view]))
      for (const minute of minutes)
        for await (const entries of this.#statements.pages(
          SELECT_ENTRIES,
          [view, minute['minute_ms']],
          limit,
        )) {
          const rows = await Promise.all(
            entries.map((entry) => findEntrySession(this.#statements, entry, nowMs)),
          )
          found.push(...rows.filter((row) => row !== undefined))
          if (found.length >= limit) return found.slice(0, limit)
        }
    return found
  }
}

function minuteOf({ firstReceivedAtMs }: SessionRow): number {
  return Math.floor(firstReceivedAtMs / MINUTE_MS) * MINUTE_MS
}

/** What its entries follow from: a part keeps the viewer that it began with. */
function listedAs({ firstReceivedAtMs, parts }: SessionRow): string {
  return `${firstReceivedAtMs}/${parts.at(-1)?.part}`
}

function keyOf(row: SessionRow): string {
  return sessionPlace(row).join('\n')
}

function entryPlace(row: SessionRow): readonly unknown[] {
  const [view, ...rest] = sessionPlace(row)
  return [view, minuteOf(row), row.firstReceivedAtMs, ...rest]
}

function entryWrite(row: SessionRow, nowMs: number): RowWrite {
  return {
    partition: `recent_sessions\n${row.view}\n${minuteOf(row)}`,
    query: INSERT_ENTRY,
    params: [...entryPlace(row), ...stamped(row, nowMs)],
    bytes: ENTRY_BYTES,
  }
}

function entryDeletion(row: SessionRow): RowWrite {
  const [stampUs] = stamped(row, 0)
  return {
    partition: `recent_sessions\n${row.view}\n${minuteOf(row)}`,
    query: DELETE_ENTRY,
    params: [stampUs, ...entryPlace(row)],
    bytes: ENTRY_BYTES,
  }
}

function minuteWrite(row: SessionRow, nowMs: number): RowWrite {
  const { view, expiresAtMs } = row
  const minuteMs = minuteOf(row)
  return {
    partition: `recent_minutes\n${view}`,
    query: INSERT_MINUTE,
    params: [view, minuteMs, ...stamped({ stampUs: minuteMs * 1_000, expiresAtMs }, nowMs)],
    bytes: ENTRY_BYTES,
  }
}
