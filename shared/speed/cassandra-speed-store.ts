/**
 * The speed store on Cassandra. Which of two rows stays is decided by Cassandra itself: the write
 * stamp is the row's timestamp. Equal stamps mean equal bytes, so it never has to choose between
 * two values of one stamp. Nothing is read before it is written.
 *
 *   put… ──► rows as statements ──► lane of their class: batches of one Cassandra partition
 *   read… ─► statements within a bound, page by page
 *
 * A new kind of row is a migration, its statements, and a method here. Opening waits for the first
 * attempt to connect and no longer: what cannot be reached is told by the calls, and repeated by
 * whoever makes them.
 */
import { parseCut } from '../qoe/cuts.ts'
import type { Clock } from '../runtime/clock.ts'
import { BackhaulError } from '../runtime/errors.ts'
import type { Random } from '../runtime/random.ts'
import { createTelemetryBase, type TelemetryBase } from '../runtime/telemetry.ts'
import type { CassandraConfig } from './cassandra-config.ts'
import { CassandraConnection } from './cassandra-connection.ts'
import { findMinutes } from './cassandra-minute-query.ts'
import { findPositions } from './cassandra-positions.ts'
import { RecentSessions } from './cassandra-recent-sessions.ts'
import {
  isAhead,
  isAlive,
  minuteWrite,
  partitionWrite,
  positionsWrite,
  readPartition,
  readRuleState,
  readSession,
  RULE_STATE_COLUMNS,
  ruleStateWrite,
  sessionWrite,
} from './cassandra-rows.ts'
import { deleteSessionRows, findSessions } from './cassandra-sessions.ts'
import { CassandraStatements, type WriteClass } from './cassandra-statements.ts'
import { createCassandraSpeedTelemetry } from './cassandra-telemetry.ts'
import { findViewerSessions } from './cassandra-viewer-sessions.ts'
import type { RowWrite } from './cassandra-write-lane.ts'
import type {
  MinuteRow,
  PartitionRow,
  PositionRow,
  RowVersion,
  RuleStateRow,
  SessionRow,
} from './rows.ts'
import { speedErrors } from './speed-errors.ts'
import { deleteViewRows } from './cassandra-views.ts'
import type {
  MinuteQuery,
  SessionPage,
  SpeedStore,
  ViewerQuery,
  ViewMinutes,
} from './speed-store.ts'

export interface CassandraSpeedStoreOptions {
  readonly config: CassandraConfig
  readonly clock: Clock
  readonly random: Random
  /** Where `cassandraSpeedMetrics` are registered; without it they are kept to the store itself. */
  readonly telemetry?: TelemetryBase
}

/** Throws what a repeat cannot mend: credentials, TLS, permissions, tables that are not ours. */
export async function openCassandraSpeedStore(
  options: CassandraSpeedStoreOptions,
): Promise<SpeedStore> {
  const { config, clock, random, telemetry: base } = options
  const telemetry = createCassandraSpeedTelemetry(base ?? createTelemetryBase('silent'))
  const connection = new CassandraConnection({ config, clock, random, telemetry })
  try {
    await connection.client()
  } catch (error) {
    if (!(error instanceof BackhaulError && error.spec.retryable)) throw error
  }
  const statements = new CassandraStatements({ connection, config, clock, random, telemetry })
  return new CassandraSpeedStore({ connection, statements, clock })
}

interface StoreParts {
  readonly connection: CassandraConnection
  readonly statements: CassandraStatements
  readonly clock: Clock
}

const SELECT_SESSION =
  'SELECT expires_at_ms, summary FROM sessions WHERE view_id = ? AND session_id = ?'
const SELECT_PARTITIONS = 'SELECT expires_at_ms, progress FROM partitions WHERE view_id = ?'
const SELECT_RULE_STATES = `SELECT ${RULE_STATE_COLUMNS} FROM rule_states WHERE view_id = ?`

class CassandraSpeedStore implements SpeedStore {
  readonly #connection: CassandraConnection
  readonly #statements: CassandraStatements
  readonly #recent: RecentSessions
  readonly #clock: Clock
  readonly #calls = new Set<Promise<unknown>>()
  readonly #sessionWrites = new Set<Promise<unknown>>()
  #closed = false

  constructor({ connection, statements, clock }: StoreParts) {
    this.#connection = connection
    this.#statements = statements
    this.#recent = new RecentSessions(statements)
    this.#clock = clock
  }

  putMinutes(rows: readonly MinuteRow[]): Promise<void> {
    return this.#call(async () => {
      const byClass = Map.groupBy(rows, ({ cut }) => parseCut(cut).width)
      const writes = [...byClass].map(([name, group]) => this.#write(name, group, minuteWrite))
      await allDone(writes)
    })
  }

  putSessions(rows: readonly SessionRow[], positions: readonly PositionRow[]): Promise<void> {
    return this.#call(async () => {
      const writing = this.#putSessions(rows, positions)
      await during(this.#sessionWrites, writing)
    })
  }

  putPartitions(rows: readonly PartitionRow[]): Promise<void> {
    return this.#call(() => this.#write('narrow', rows, partitionWrite))
  }

  putRuleStates(rows: readonly RuleStateRow[]): Promise<void> {
    return this.#call(() => this.#write('narrow', rows, ruleStateWrite))
  }

  deleteSession(view: string, sessionId: string): Promise<void> {
    return this.#call(async () => {
      // What was put before goes with it; its stamps are known once it is written.
      await Promise.allSettled(this.#sessionWrites)
      await deleteSessionRows(this.#statements, this.#recent, { view, sessionId })
    })
  }

  deleteView(view: string, minutes: ViewMinutes): Promise<void> {
    return this.#call(() => deleteViewRows(this.#statements, view, minutes))
  }

  readMinutes(query: MinuteQuery): Promise<MinuteRow[]> {
    return this.#call(() => findMinutes(this.#statements, query, this.#clock.nowMs()))
  }

  readSession(view: string, sessionId: string): Promise<SessionRow[]> {
    return this.#call(async () =>
      (await this.#alive(SELECT_SESSION, [view, sessionId])).map(readSession),
    )
  }

  readPositions(session: SessionRow, fromRow: number, limit: number): Promise<PositionRow[]> {
    const query = { session, fromRow, limit }
    return this.#call(() => findPositions(this.#statements, query, this.#clock))
  }

  readRecentSessions(view: string, limit: number): Promise<SessionRow[]> {
    return this.#call(() => this.#recent.read(view, limit, this.#clock.nowMs()))
  }

  readViewerSessions(query: ViewerQuery): Promise<SessionRow[]> {
    return this.#call(() => findViewerSessions(this.#statements, query, this.#clock.nowMs()))
  }

  readSessions(view: string, page: SessionPage): Promise<SessionRow[]> {
    return this.#call(() =>
      findSessions(this.#statements, { ...page, view, nowMs: this.#clock.nowMs() }),
    )
  }

  readPartitions(view: string): Promise<PartitionRow[]> {
    return this.#call(async () => (await this.#alive(SELECT_PARTITIONS, [view])).map(readPartition))
  }

  readRuleStates(view: string): Promise<RuleStateRow[]> {
    return this.#call(async () => {
      const rows = await this.#alive(SELECT_RULE_STATES, [view])
      return rows.map((row) => readRuleState(view, row))
    })
  }

  /** Cassandra expires rows by itself, and says of none. */
  removeExpired(): Promise<number> {
    return this.#call(async () => 0)
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#statements.endRepeats()
    await Promise.allSettled(this.#calls)
    await this.#connection.close()
  }

  async #putSessions(
    rows: readonly SessionRow[],
    positions: readonly PositionRow[],
  ): Promise<void> {
    const nowMs = this.#clock.nowMs()
    const isKept = (row: RowVersion) => isAhead(row, nowMs)
    const ahead = rows.filter(isKept)
    const writes = [
      ...positions.filter(isKept).map((row) => positionsWrite(row, nowMs)),
      ...ahead.map((row) => sessionWrite(row, nowMs)),
    ]
    await allDone([this.#statements.write('session', writes), this.#recent.list(ahead, nowMs)])
  }

  async #write<Row extends Pick<RowVersion, 'expiresAtMs'>>(
    name: WriteClass,
    rows: readonly Row[],
    toWrite: (row: Row, nowMs: number) => RowWrite,
  ): Promise<void> {
    const nowMs = this.#clock.nowMs()
    const writes = rows.filter((row) => isAhead(row, nowMs)).map((row) => toWrite(row, nowMs))
    if (writes.length > 0) await this.#statements.write(name, writes)
  }

  async #alive(query: string, params: readonly unknown[]) {
    const nowMs = this.#clock.nowMs()
    const rows = await this.#statements.readAll(query, params)
    return rows.filter((row) => isAlive(row, nowMs))
  }

  /** Closing waits for the calls that were made before. */
  async #call<Result>(work: () => Promise<Result>): Promise<Result> {
    if (this.#closed) throw speedErrors.create('SPEED_CLOSED')
    return during(this.#calls, work())
  }
}

/** Keeps the promise in the set until it ends. */
async function during<Result>(set: Set<Promise<unknown>>, work: Promise<Result>): Promise<Result> {
  set.add(work)
  try {
    return await work
  } finally {
    set.delete(work)
  }
}

/** All are waited for, so that a failed call leaves no write of its own behind. */
async function allDone(writes: readonly Promise<void>[]): Promise<void> {
  await Promise.allSettled(writes)
  await Promise.all(writes)
}
