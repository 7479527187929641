/**
 * What a processor may ask of the fold of one partition. The fold is a pure function of the
 * records applied so far: no wall clock, no randomness, no I/O. `createPartitionFold` and
 * `beginRestore` (`partition-fold.ts`) make one.
 *
 * Order of calls: `apply` for each record in offset order; between two `apply` calls the caller
 * may take dirty rows and outputs, acknowledge what is durable, or read a snapshot slice. The fold
 * keeps what it hands out until it is acknowledged, so a crash at any moment loses nothing: a
 * restored fold has everything dirty and every unacknowledged output pending.
 */
import type { DecodedRecord } from '../log/record.ts'
import type { FoldException, MinuteRow, PositionRow, RowOrigin, SessionRow } from '../speed/rows.ts'
import type { Cut } from './cuts.ts'

/** Limits that change values; all of them are part of the view's hash. Durations in ms. */
export interface FoldLimits {
  /** A session without events for longer than this has ended, at its last event. */
  readonly sessionTimeoutMs: number
  /** An event further behind the watermark than this is late: counted, not applied. */
  readonly allowedLatenessMs: number
  /** How far the watermark stays behind the largest append time. */
  readonly outOfOrdernessMs: number
  /** How long an event waits for lower seqs of its session; then the gap below it is skipped. */
  readonly reorderMs: number
  /** How long a session is kept beyond its timeout, for dedup and late events. */
  readonly sessionKeepMs: number
  /**
   * A frame whose clock offset differs by more than this from its session’s uses its own; an event
   * is at most this far after its arrival.
   */
  readonly clockStepMs: number
  /** Events older than this at arrival are clamped. */
  readonly maxAgeMs: number
  /** How far a seq may be above the contiguous mark before the gap below is skipped. */
  readonly seqAheadMax: number
  /**
   * Skipped ranges that a session remembers; beyond, the lowest is forgotten and its events are
   * excluded as amended.
   */
  readonly skippedRangesMax: number
  /** A stalled viewer counts as a concurrent viewer for this long. */
  readonly stalledViewerMs: number
  /** Keys per cut and minute; further keys go to `other`. */
  readonly keysPerCutMinuteMax: number
  /** Frames waiting for lower seqs, per session; beyond, the lowest gap is skipped at once. */
  readonly waitingEventsPerSessionMax: number
  /** Parts kept in full per session; older ones keep only their rows' sums. */
  readonly partsPerSessionMax: number
}

export const DEFAULT_FOLD_LIMITS: FoldLimits = {
  sessionTimeoutMs: 30 * 60_000,
  allowedLatenessMs: 60 * 60_000,
  outOfOrdernessMs: 2_000,
  reorderMs: 5_000,
  sessionKeepMs: 2 * 60 * 60_000,
  clockStepMs: 30_000,
  maxAgeMs: 7 * 24 * 60 * 60_000,
  seqAheadMax: 4_096,
  skippedRangesMax: 64,
  stalledViewerMs: 5 * 60_000,
  keysPerCutMinuteMax: 20_000,
  waitingEventsPerSessionMax: 4_096,
  partsPerSessionMax: 64,
}

/** How long a pane takes late events after its end, ms: in view of every limit that may delay one. */
export function paneLifeOf(
  limits: Pick<
    FoldLimits,
    'allowedLatenessMs' | 'sessionTimeoutMs' | 'reorderMs' | 'outOfOrdernessMs'
  >,
): number {
  return (
    limits.allowedLatenessMs + limits.sessionTimeoutMs + limits.reorderMs + limits.outOfOrdernessMs
  )
}

export interface FoldOptions {
  readonly origin: RowOrigin
  readonly limits: FoldLimits
  readonly cuts: readonly Cut[]
  /** Rows live this long past their minute's end (speed-store TTL), ms. */
  readonly rowRetentionMs: number
}

/** `sessionUrgent`: started, failed or closed since its last row; `session`: changed otherwise. */
export type DirtyQueue = 'narrow' | 'wide' | 'sessionUrgent' | 'session'

/** A dirty entry handed out for writing; give it back to `acknowledge` once its rows are durable. */
export type RowTicket =
  | { readonly kind: 'minute'; readonly row: MinuteRow }
  | {
      readonly kind: 'session'
      readonly row: SessionRow
      readonly positions: readonly PositionRow[]
    }

/**
 * A closed session for `playback.sessions`, put out at its close and again after every record that
 * changed it while it was closed: the last one says what its last row says.
 */
export interface ClosedSession {
  readonly kind: 'closedSession'
  readonly row: SessionRow
}
export interface ExceptionOutput {
  readonly kind: 'exception'
  readonly exception: FoldException
}
export type FoldOutput = ClosedSession | ExceptionOutput

/** Events, not frames; `read` is the sum of the others at every moment. */
export interface FoldCounters {
  readonly read: number
  readonly applied: number
  readonly duplicate: number
  readonly late: number
  readonly amended: number
  readonly afterClose: number
  readonly capped: number
  readonly poison: number
  /** Waiting for lower seqs now. */
  readonly buffered: number
}

export interface FoldStatus {
  /** Offset of the next record to apply. */
  readonly nextOffset: number
  readonly watermarkMs: number
  readonly lastLoggedAtMs: number
  readonly counters: FoldCounters
  readonly ticks: number
  readonly sessions: number
  readonly openSessions: number
  readonly panes: number
  readonly pendingOutputs: number
  readonly receivedAtClamped: number
  /** Keys that found their cut's minute full and count as `other`, since the fold was made or restored. */
  readonly keysToOther: number
}

export interface PartitionFold {
  /**
   * Applies one record; `record.offset` must be ≥ `status.nextOffset` (logs may have holes).
   * Never throws on any decoded record.
   */
  apply(record: DecodedRecord): void
  readonly status: FoldStatus
  /** How many entries the queue holds now. */
  dirtyCount(queue: DirtyQueue): number
  /** Takes up to `maxEntries` of the queue, oldest change first, as rows of this moment. */
  takeDirty(queue: DirtyQueue, maxEntries: number): RowTicket[]
  /** The rows are durable: closed panes and expired sessions may now leave the state. */
  acknowledge(tickets: readonly RowTicket[]): void
  /** Oldest unacknowledged outputs, not removed. */
  pendingOutputs(maxOutputs: number): readonly FoldOutput[]
  /** The oldest `count` outputs are durable. */
  acknowledgeOutputs(count: number): void
  /**
   * Begins a snapshot of this moment. Later changes do not show in it (what changes is copied
   * first). One at a time; call `next` until it returns `undefined`.
   */
  beginSnapshot(): FoldSnapshot
  /**
   * Debug view of a session's state, JSON-compatible, or `undefined` when it is not held: with the
   * watermark, what the session waits for, and why each of its minutes is still open.
   */
  inspectSession(sessionId: string): unknown
}

export interface FoldSnapshot {
  readonly nextOffset: number
  /** The next slice of at most `maxEntries` sessions or panes, canonical bytes; `undefined` at the end. */
  next(maxEntries: number): Uint8Array | undefined
  /** Gives the snapshot up before its end. */
  abandon(): void
}

/** A fold that is being read from a snapshot. */
export interface FoldRestore {
  /** Reads at most `maxEntries` more sessions, panes or outputs; the fold once that was all. */
  next(maxEntries: number): PartitionFold | undefined
}
