/**
 * Rows that a lower write stamp never replaces, with their indexes: by expiry, and for session rows
 * by start of arrival and by viewer. A row and its index entries are written in one commit.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { GroupCommit, WriteTask } from '../lmdb/group-commit.ts'
import { withPrefix } from '../lmdb/key-ranges.ts'
import type { Change } from '../lmdb/owner-row.ts'
import type { Table } from '../lmdb/root.ts'
import { DELETION_SLICE_ROWS, EXPIRY_SLICE_ROWS, ROWS_PER_TASK } from './lmdb-limits.ts'
import { decodeHeader, type RowHeader } from './lmdb-row-codec.ts'
import {
  expiryBound,
  expiryKey,
  parseExpiryKey,
  recentKeyAt,
  recentKeyOf,
  sessionPrefix,
} from './lmdb-row-keys.ts'
import { viewerEntryOf } from './lmdb-viewer-sessions.ts'

/** Index of the table in `RowTables.rows`; part of the expiry index's keys. */
export const ROW_TABLES = {
  minutes: 0,
  sessions: 1,
  positions: 2,
  partitions: 3,
  rules: 4,
} as const
type RowTable = (typeof ROW_TABLES)[keyof typeof ROW_TABLES]

export interface RowTables {
  readonly rows: readonly Table[]
  readonly expiry: Table
  readonly recent: Table
  readonly viewers: Table
}

export interface EncodedRow {
  readonly table: RowTable
  readonly key: Buffer
  readonly value: Buffer
  /** Key in the index by start of arrival, for a session row. */
  readonly recent?: Buffer
  /** Key in the index by viewer, for a session row that has one. */
  readonly viewer?: Buffer | undefined
}

interface StagedRow extends RowHeader {
  readonly viewer: Buffer | undefined
}

/** Value of an index entry that points to nothing else. */
const NOTHING = Buffer.of(0)
/** Bytes of a row's index entries beside its own key. */
const INDEX_BYTES = 128

export class StampedRows {
  readonly #commits: GroupCommit
  readonly #tables: RowTables
  /** What the commit being made up does to rows, by table and key; `undefined` for a deletion. */
  readonly #staged = new Map<string, StagedRow | undefined>()

  constructor(commits: GroupCommit, tables: RowTables) {
    this.#commits = commits
    this.#tables = tables
  }

  /** Resolves when every row is durable or outdone by one that is; rows become visible in order. */
  async write(rows: Iterable<EncodedRow>): Promise<void> {
    const writes: Promise<void>[] = []
    let slice: EncodedRow[] = []
    const flush = (): void => {
      if (slice.length > 0) writes.push(this.#commits.write(this.#putTask(slice)))
      slice = []
    }
    try {
      for (const row of rows) {
        slice.push(row)
        if (slice.length < ROWS_PER_TASK) continue
        flush()
        // Encoding is done as rows are drawn: a large call gives the event loop its turns.
        await nextTurn()
      }
      flush()
    } finally {
      // All are waited for, so that a failed call leaves no write of its own behind.
      await Promise.allSettled(writes)
    }
    await Promise.all(writes)
  }

  /** Deletes rows whose time is past; resolves with their number. */
  async removeExpired(nowMs: number): Promise<number> {
    let removed = 0
    for (;;) {
      const range = { end: expiryBound(nowMs), limit: EXPIRY_SLICE_ROWS }
      const entries = [...this.#tables.expiry.getRange(range)]
      if (entries.length > 0) removed += await this.#commits.write(this.#removalTask(entries))
      if (entries.length < EXPIRY_SLICE_ROWS) return removed
    }
  }

  /** Deletes the session's rows, and then what points to its frames; a repeat goes on after a failure. */
  async deleteSession(view: string, sessionId: string): Promise<void> {
    for (const table of [ROW_TABLES.sessions, ROW_TABLES.positions] as const)
      await this.deletePrefix(view, table, sessionPrefix(view, sessionId))
  }

  /** Deletes the rows of the view whose keys have the prefix, slice by slice. */
  async deletePrefix(view: string, table: RowTable, prefix: Buffer): Promise<void> {
    const task = this.#deletionTask(view, table, prefix)
    while ((await this.#commits.write(task)) === DELETION_SLICE_ROWS);
  }

  /** Resolves with how many of the rows whose keys have the prefix it deleted: a slice, or the last. */
  #deletionTask(view: string, table: RowTable, prefix: Buffer): WriteTask<number> {
    let deleted = 0
    return {
      bytes: 0,
      prepare: () => {
        const rows = this.#rowsWith(table, prefix)
        deleted = rows.length
        return rows.flatMap(({ key, header }) => {
          const changes: Change[] = [
            { table: this.#table(table), key, value: undefined },
            {
              table: this.#tables.expiry,
              key: expiryKey(header.expiresAtMs, table, key),
              value: undefined,
            },
          ]
          if (table === ROW_TABLES.sessions) {
            changes.push({
              table: this.#tables.recent,
              key: recentKeyOf(view, header.firstReceivedAtMs, key),
              value: undefined,
            })
            this.#unlistForViewer(key, changes)
          }
          this.#stage(table, key, undefined)
          return changes
        })
      },
      ...this.#ends(() => deleted),
    }
  }

  /** A slice of the rows whose keys have the prefix, those of the commit being made up included. */
  #rowsWith(table: RowTable, prefix: Buffer): { key: Buffer; header: RowHeader }[] {
    const headers = new Map<string, RowHeader | undefined>()
    for (const { key, value } of this.#table(table).getRange(withPrefix(prefix)))
      headers.set(key.toString('latin1'), decodeHeader(value))
    const stagedPrefix = stagedKey(table, prefix)
    for (const [staged, header] of this.#staged)
      if (staged.startsWith(stagedPrefix)) headers.set(staged.slice(`${table}`.length), header)
    return [...headers]
      .flatMap(([key, header]) => (header ? [{ key: Buffer.from(key, 'latin1'), header }] : []))
      .slice(0, DELETION_SLICE_ROWS)
  }

  #putTask(rows: readonly EncodedRow[]): WriteTask<void> {
    const bytes = rows.reduce(
      (sum, { key, value }) => sum + 2 * key.length + value.length + INDEX_BYTES,
      0,
    )
    return {
      bytes,
      prepare: () => {
        const changes: Change[] = []
        for (const row of rows) this.#put(row, changes)
        return changes
      },
      ...this.#ends(() => undefined),
    }
  }

  #put(row: EncodedRow, changes: Change[]): void {
    const before = this.#header(row.table, row.key)
    const now = decodeHeader(row.value)
    if (before !== undefined && before.stampUs > now.stampUs) return
    const { expiry, recent } = this.#tables
    changes.push({ table: this.#table(row.table), key: row.key, value: row.value })
    if (row.table === ROW_TABLES.sessions) this.#listForViewer(row, changes)
    this.#stage(row.table, row.key, { ...now, viewer: row.viewer })
    const moved = before?.firstReceivedAtMs !== now.firstReceivedAtMs
    if (!moved && before?.expiresAtMs === now.expiresAtMs) return
    if (before !== undefined) {
      const key = expiryKey(before.expiresAtMs, row.table, row.key)
      changes.push({ table: expiry, key, value: undefined })
      if (row.recent !== undefined && moved)
        changes.push({
          table: recent,
          key: recentKeyAt(row.recent, before.firstReceivedAtMs),
          value: undefined,
        })
    }
    changes.push({
      table: expiry,
      key: expiryKey(now.expiresAtMs, row.table, row.key),
      value: row.recent ?? NOTHING,
    })
    if (row.recent !== undefined) changes.push({ table: recent, key: row.recent, value: NOTHING })
  }

  /** Nearly always the entry is there already; only when it is not the row before is read for its own. */
  #listForViewer({ table, key, viewer }: EncodedRow, changes: Change[]): void {
    const { viewers } = this.#tables
    const isStaged = this.#staged.has(stagedKey(table, key))
    if (!isStaged && viewer !== undefined && viewers.get(viewer) !== undefined) return
    const before = this.#viewerEntry(key)
    if (viewer !== undefined && before?.equals(viewer) === true && isStaged) return
    if (before !== undefined) changes.push({ table: viewers, key: before, value: undefined })
    if (viewer !== undefined) changes.push({ table: viewers, key: viewer, value: NOTHING })
  }

  #unlistForViewer(sessionKey: Buffer, changes: Change[]): void {
    const key = this.#viewerEntry(sessionKey)
    if (key !== undefined) changes.push({ table: this.#tables.viewers, key, value: undefined })
  }

  /** Of the session row as it is before the change at hand. */
  #viewerEntry(key: Buffer): Buffer | undefined {
    const staged = stagedKey(ROW_TABLES.sessions, key)
    if (this.#staged.has(staged)) return this.#staged.get(staged)?.viewer
    const stored = this.#table(ROW_TABLES.sessions).get(key)
    return stored && viewerEntryOf(stored)
  }

  #removalTask(
    entries: readonly { readonly key: Buffer; readonly value: Buffer }[],
  ): WriteTask<number> {
    let removed = 0
    return {
      bytes: 0,
      prepare: () => {
        removed = 0
        const changes: Change[] = []
        for (const { key: indexKey, value: recentKey } of entries) {
          const { table, key, expiresAtMs } = parseExpiryKey(indexKey)
          changes.push({ table: this.#tables.expiry, key: indexKey, value: undefined })
          // The row may have been written again, with a later expiry, since the entry was read.
          if (this.#header(table, key)?.expiresAtMs !== expiresAtMs) continue
          changes.push({ table: this.#table(table), key, value: undefined })
          if (table === ROW_TABLES.sessions) {
            changes.push({ table: this.#tables.recent, key: recentKey, value: undefined })
            this.#unlistForViewer(key, changes)
          }
          this.#stage(table, key, undefined)
          removed += 1
        }
        return changes
      },
      ...this.#ends(() => removed),
    }
  }

  /** All tasks of a commit end before any of the next is prepared. */
  #ends<Result>(committed: () => Result): Pick<WriteTask<Result>, 'committed' | 'abandoned'> {
    return {
      committed: () => {
        this.#staged.clear()
        return committed()
      },
      abandoned: () => this.#staged.clear(),
    }
  }

  #header(table: number, key: Buffer): RowHeader | undefined {
    const staged = stagedKey(table, key)
    if (this.#staged.has(staged)) return this.#staged.get(staged)
    const stored = this.#table(table).get(key)
    return stored === undefined ? undefined : decodeHeader(stored)
  }

  #stage(table: number, key: Buffer, row: StagedRow | undefined): void {
    this.#staged.set(stagedKey(table, key), row)
  }

  #table(index: number): Table {
    const table = this.#tables.rows[index]
    if (table === undefined) throw new Error(`assertion failed: no row table ${index}`)
    return table
  }
}

function stagedKey(table: number, key: Buffer): string {
  return `${table}${key.toString('latin1')}`
}
