/**
 * The speed store in one LMDB folder. One process owns it; others may write as its guests, or read.
 * Calls that come while a commit is on its way share the next one; each resolves when its rows are
 * flushed. Which of two rows stays is decided by the write stamp when the commit is made up, so it
 * does not depend on the order of the calls.
 */
import type { Clock } from '../runtime/clock.ts'
import { createTelemetryBase, type TelemetryBase } from '../runtime/telemetry.ts'
import { GroupCommit } from '../lmdb/group-commit.ts'
import { withPrefix } from '../lmdb/key-ranges.ts'
import type { Access } from '../lmdb/owner-row.ts'
import type { Table } from '../lmdb/root.ts'
import {
  COMMIT_MAX_BYTES,
  EXPIRY_PERIOD_MS,
  ROWS_PER_TASK,
  WRITE_QUEUE_MAX_BYTES,
  WRITE_QUEUE_MAX_TASKS,
} from './lmdb-limits.ts'
import { findMinutes } from './lmdb-minute-query.ts'
import {
  decodeHeader,
  decodePartition,
  decodePositions,
  decodeRuleState,
  decodeSession,
  encodeMinute,
  encodePartition,
  encodePositions,
  encodeRuleState,
  encodeSession,
} from './lmdb-row-codec.ts'
import {
  cutPrefix,
  minuteKey,
  partitionKey,
  viewPrefix,
  positionKey,
  recentKey,
  rowNumberOfPosition,
  ruleKey,
  sessionKey,
  sessionKeyOfEntry,
  sessionPrefix,
} from './lmdb-row-keys.ts'
import { findSessions } from './lmdb-session-pages.ts'
import { ROW_TABLES, StampedRows, type EncodedRow } from './lmdb-stamped-rows.ts'
import { createLmdbSpeedTelemetry, type LmdbSpeedTelemetry } from './lmdb-telemetry.ts'
import { findViewerSessions, viewerEntry } from './lmdb-viewer-sessions.ts'
import type { MinuteRow, PartitionRow, PositionRow, RuleStateRow, SessionRow } from './rows.ts'
import { speedErrors } from './speed-errors.ts'
import type {
  MinuteQuery,
  SessionPage,
  SpeedStore,
  ViewerQuery,
  ViewMinutes,
} from './speed-store.ts'

export interface LmdbSpeedStoreOptions {
  /** Folder of the environment; created when it is missing, but not by a reader. */
  readonly folder: string
  /** `owner` when absent. Only an owner deletes expired rows by itself. */
  readonly access?: Access
  /** Bytes of pages in use beyond which rows are refused with `SPEED_FULL`. */
  readonly mapBytes: number
  readonly clock: Clock
  /** Where `lmdbSpeedMetrics` are registered; without it they are kept to the store itself. */
  readonly telemetry?: TelemetryBase
}

export async function openLmdbSpeedStore(options: LmdbSpeedStoreOptions): Promise<SpeedStore> {
  return new LmdbSpeedStore(options)
}

class LmdbSpeedStore implements SpeedStore {
  readonly #clock: Clock
  readonly #commits: GroupCommit
  readonly #minutes: Table
  readonly #sessions: Table
  readonly #positions: Table
  readonly #partitions: Table
  readonly #rules: Table
  readonly #recent: Table
  readonly #viewers: Table
  readonly #rows: StampedRows
  readonly #telemetry: LmdbSpeedTelemetry
  readonly #stopExpiry: (() => void) | undefined
  #expiring: Promise<number> = Promise.resolve(0)
  #closed = false

  constructor({ folder, access = 'owner', mapBytes, clock, telemetry }: LmdbSpeedStoreOptions) {
    this.#clock = clock
    this.#telemetry = createLmdbSpeedTelemetry(telemetry ?? createTelemetryBase('silent'))
    this.#commits = new GroupCommit({
      folder,
      access,
      tables: [
        'minutes',
        'sessions',
        'positions',
        'partitions',
        'rules',
        'recent',
        'viewers',
        'expiry',
      ],
      mapBytes,
      commitMaxBytes: COMMIT_MAX_BYTES,
      queueMaxBytes: WRITE_QUEUE_MAX_BYTES,
      queueMaxTasks: WRITE_QUEUE_MAX_TASKS,
      clock,
      telemetry: this.#telemetry,
      errors: {
        full: (received, cause) => speedErrors.create('SPEED_FULL', { received, cause }),
        unavailable: (received, cause) =>
          speedErrors.create('SPEED_UNAVAILABLE', { received, cause }),
        overtaken: () => speedErrors.create('SPEED_OVERTAKEN'),
        closed: () => speedErrors.create('SPEED_CLOSED'),
        readOnly: () => speedErrors.create('SPEED_READ_ONLY'),
      },
    })
    this.#minutes = this.#commits.table('minutes')
    this.#sessions = this.#commits.table('sessions')
    this.#positions = this.#commits.table('positions')
    this.#partitions = this.#commits.table('partitions')
    this.#rules = this.#commits.table('rules')
    this.#recent = this.#commits.table('recent')
    this.#viewers = this.#commits.table('viewers')
    this.#rows = new StampedRows(this.#commits, {
      rows: [this.#minutes, this.#sessions, this.#positions, this.#partitions, this.#rules],
      expiry: this.#commits.table('expiry'),
      recent: this.#recent,
      viewers: this.#viewers,
    })
    if (this.#commits.isOwner) this.#stopExpiry = this.#removeExpiredByItself()
  }

  putMinutes(rows: readonly MinuteRow[]): Promise<void> {
    return this.#rows.write(map(rows, encodedMinute))
  }

  async putSessions(rows: readonly SessionRow[], positions: readonly PositionRow[]): Promise<void> {
    const first = map(positions, encodedPositions)
    const second = map(rows, encodedSession)
    // One task is atomic; a session row must not stand without its positions when a task fails.
    if (rows.length + positions.length <= ROWS_PER_TASK)
      return this.#rows.write(both(first, second))
    await this.#rows.write(first)
    await this.#rows.write(second)
  }

  putPartitions(rows: readonly PartitionRow[]): Promise<void> {
    return this.#rows.write(map(rows, encodedPartition))
  }

  putRuleStates(rows: readonly RuleStateRow[]): Promise<void> {
    return this.#rows.write(map(rows, encodedRuleState))
  }

  deleteSession(view: string, sessionId: string): Promise<void> {
    return this.#rows.deleteSession(view, sessionId)
  }

  async deleteView(view: string, { cuts }: ViewMinutes): Promise<void> {
    for (const cut of cuts)
      await this.#rows.deletePrefix(view, ROW_TABLES.minutes, cutPrefix(view, cut))
    for (const table of [ROW_TABLES.partitions, ROW_TABLES.rules] as const)
      await this.#rows.deletePrefix(view, table, viewPrefix(view))
  }

  async readMinutes(query: MinuteQuery): Promise<MinuteRow[]> {
    this.#assertOpen()
    return findMinutes(this.#minutes, query, this.#clock.nowMs(), () => this.#assertOpen())
  }

  async readSession(view: string, sessionId: string): Promise<SessionRow[]> {
    return this.#readPrefix(this.#sessions, sessionPrefix(view, sessionId)).map(decodeSession)
  }

  async readPositions(session: SessionRow, fromRow: number, limit: number): Promise<PositionRow[]> {
    this.#assertOpen()
    const nowMs = this.#clock.nowMs()
    const rows = withPrefix(sessionKey(session))
    const range = { ...rows, start: positionKey(session, fromRow), limit }
    return [...this.#positions.getRange(range)]
      .filter(({ value }) => isAlive(value, nowMs))
      .map(({ key, value }) => decodePositions(session, rowNumberOfPosition(key), value))
  }

  async readRecentSessions(view: string, limit: number): Promise<SessionRow[]> {
    this.#assertOpen()
    const nowMs = this.#clock.nowMs()
    const found: SessionRow[] = []
    const { start, end } = withPrefix(viewPrefix(view))
    // Read backwards, a range begins at its upper end.
    const newestFirst = { ...(end && { start: end }), end: start, reverse: true }
    for (const { key } of this.#recent.getRange(newestFirst)) {
      if (found.length >= limit) break
      const value = this.#sessions.get(sessionKeyOfEntry(key))
      if (value !== undefined && isAlive(value, nowMs)) found.push(decodeSession(value))
    }
    return found
  }

  async readViewerSessions(query: ViewerQuery): Promise<SessionRow[]> {
    this.#assertOpen()
    const tables = { sessions: this.#sessions, viewers: this.#viewers }
    return findViewerSessions(tables, query, this.#clock.nowMs())
  }

  async readSessions(view: string, page: SessionPage): Promise<SessionRow[]> {
    this.#assertOpen()
    const wanted = { ...page, view, nowMs: this.#clock.nowMs() }
    return findSessions(this.#sessions, wanted, () => this.#assertOpen())
  }

  async readPartitions(view: string): Promise<PartitionRow[]> {
    return this.#readPrefix(this.#partitions, viewPrefix(view)).map(decodePartition)
  }

  async readRuleStates(view: string): Promise<RuleStateRow[]> {
    return this.#readPrefix(this.#rules, viewPrefix(view)).map((value) =>
      decodeRuleState(view, value),
    )
  }

  removeExpired(): Promise<number> {
    // Runs follow one another: two at once would count the same rows.
    const run = async (): Promise<number> => {
      this.#commits.assertWrites()
      const removed = await this.#rows.removeExpired(this.#clock.nowMs())
      if (removed > 0) this.#telemetry.rowsExpired(removed)
      return removed
    }
    this.#expiring = this.#expiring.then(run, run)
    return this.#expiring
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#stopExpiry?.()
    await this.#commits.close()
  }

  #removeExpiredByItself(): () => void {
    return this.#clock.every(EXPIRY_PERIOD_MS, () => {
      // A run that fails (a full disk, closing) is repeated by the next.
      this.removeExpired().catch((error: unknown) => {
        if (!this.#closed) this.#telemetry.expiryFailed(error)
      })
    })
  }

  #readPrefix(table: Table, prefix: Buffer): Buffer[] {
    this.#assertOpen()
    const nowMs = this.#clock.nowMs()
    const entries = [...table.getRange(withPrefix(prefix))]
    return entries.map(({ value }) => value).filter((value) => isAlive(value, nowMs))
  }

  /** Before every read, and again after a turn of the event loop. */
  #assertOpen(): void {
    if (this.#closed) throw speedErrors.create('SPEED_CLOSED')
    this.#commits.beforeRead()
  }
}

function isAlive(value: Buffer, nowMs: number): boolean {
  return decodeHeader(value).expiresAtMs >= nowMs
}

function encodedMinute(row: MinuteRow): EncodedRow {
  return { table: ROW_TABLES.minutes, key: minuteKey(row), value: encodeMinute(row) }
}

function encodedSession(row: SessionRow): EncodedRow {
  return {
    table: ROW_TABLES.sessions,
    key: sessionKey(row),
    value: encodeSession(row),
    recent: recentKey(row),
    viewer: viewerEntry(row),
  }
}

function encodedPositions(row: PositionRow): EncodedRow {
  return {
    table: ROW_TABLES.positions,
    key: positionKey(row, row.rowNumber),
    value: encodePositions(row),
  }
}

function encodedPartition(row: PartitionRow): EncodedRow {
  return { table: ROW_TABLES.partitions, key: partitionKey(row), value: encodePartition(row) }
}

function encodedRuleState(row: RuleStateRow): EncodedRow {
  return { table: ROW_TABLES.rules, key: ruleKey(row), value: encodeRuleState(row) }
}

/** Rows are encoded as they are drawn. */
function* map<Row>(
  rows: readonly Row[],
  encode: (row: Row) => EncodedRow,
): Generator<EncodedRow, void, undefined> {
  for (const row of rows) yield encode(row)
}

function* both(
  first: Iterable<EncodedRow>,
  second: Iterable<EncodedRow>,
): Generator<EncodedRow, void, undefined> {
  yield* first
  yield* second
}
