/**
 * The speed store: the live view, rebuildable from the log at any time.
 *
 * A processor calls the `put…` methods, several calls in parallel; each resolves when all its rows
 * are durable. Rows are absolute: a row is kept only when its `stampUs` is not lower than that of
 * the row already there, and a repeat changes nothing. Rows past `expiresAtMs` are not read. A
 * failure is `SPEED_UNAVAILABLE` or `SPEED_FULL`: the caller writes the same rows again.
 * The serving API calls the `read…` methods; they are bounded by `limit` and may run in parallel.
 */
import type { MinuteRow, PartitionRow, PositionRow, RuleStateRow, SessionRow } from './rows.ts'

export interface SpeedStore {
  putMinutes(rows: readonly MinuteRow[]): Promise<void>
  /** Writes session rows and the position rows they speak of: whoever reads a row finds the positions it counts. */
  putSessions(rows: readonly SessionRow[], positions: readonly PositionRow[]): Promise<void>
  putPartitions(rows: readonly PartitionRow[]): Promise<void>
  /** One row a rule; the evaluator of alert rules is their one writer. */
  putRuleStates(rows: readonly RuleStateRow[]): Promise<void>
  /**
   * Deletes all rows of a session: every incarnation, partition and generation of the view, their
   * positions, and its places among the recent ones and its viewer's. A writer that still keeps the
   * session brings it back with its next, higher write stamp.
   */
  deleteSession(view: string, sessionId: string): Promise<void>
  /**
   * Deletes progress, rule states and these minutes of a view that nobody writes or will write again;
   * its sessions go one by one. Safe to repeat.
   */
  deleteView(view: string, minutes: ViewMinutes): Promise<void>
  /** Rows of one cut with `fromMs ≤ minuteStartMs < toMs`, of all partitions and generations of the view. */
  readMinutes(query: MinuteQuery): Promise<MinuteRow[]>
  /** All rows of a session: every incarnation, partition and generation of the view. */
  readSession(view: string, sessionId: string): Promise<SessionRow[]>
  /** Position rows of one session row, ascending by `rowNumber`, from `fromRow` on. */
  readPositions(session: SessionRow, fromRow: number, limit: number): Promise<PositionRow[]>
  /** Sessions by start of arrival, newest first; for lists on the page. */
  readRecentSessions(view: string, limit: number): Promise<SessionRow[]>
  /** Sessions of one viewer by start of arrival, newest first; equal starts in an order that stays. */
  readViewerSessions(query: ViewerQuery): Promise<SessionRow[]>
  /** Sessions with all their rows, page by page, for a comparison of the whole view. */
  readSessions(view: string, page: SessionPage): Promise<SessionRow[]>
  readPartitions(view: string): Promise<PartitionRow[]>
  /** The rows of all rules of the view, in any order. */
  readRuleStates(view: string): Promise<RuleStateRow[]>
  /** Deletes expired rows; returns how many. The adapter also does so by itself. */
  removeExpired(): Promise<number>
  close(): Promise<void>
}

/** Minutes of cuts from the one of `fromMs` to before `toMs`; a store may delete others of the cuts too. */
export interface ViewMinutes {
  readonly cuts: readonly string[]
  readonly fromMs: number
  readonly toMs: number
}

/** Pages follow one another in an order of the store's own; a page without rows is beyond the last. */
export interface SessionPage {
  /** The last session of the page before; absent for the first page. */
  readonly afterSessionId?: string
  /** Sessions of the page. */
  readonly limit: number
}

/** Sessions whose latest part is of the viewer, with `fromMs ≤ firstReceivedAtMs < toMs`. */
export interface ViewerQuery {
  readonly view: string
  readonly viewerPseudonym: string
  readonly fromMs: number
  readonly toMs: number
  /** The rows of the newest sessions, at most so many. */
  readonly limit: number
}

export interface MinuteQuery {
  readonly view: string
  readonly cut: string
  readonly fromMs: number
  readonly toMs: number
  /** Only these keys; all keys when absent. */
  readonly keys?: readonly string[]
  /** Throws `SPEED_QUERY_TOO_LARGE` beyond this many rows. */
  readonly limit: number
}
