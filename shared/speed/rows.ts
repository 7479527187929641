/**
 * Rows of the speed store. Every row is an absolute value of one key: writing it again changes
 * nothing, and a row with a lower write stamp never replaces one with a higher.
 */
import type { PlaybackEventType } from '../events/schema.ts'
import type { MinuteAggregates } from '../qoe/aggregates.ts'

/** Where a row comes from; part of every key, so that writers never meet. */
export interface RowOrigin {
  /** Hash of fold version, cuts and value-changing limits. */
  readonly view: string
  /** Rises when the events topic was created anew. */
  readonly topicEpoch: number
  readonly partition: number
  /** Rises by one at each rebuild without a checkpoint; readers take the highest. */
  readonly generation: number
}

export interface RowVersion {
  /**
   * Write stamp: microseconds of event time for rows of the fold, so that equal stamps mean equal
   * bytes; `ownerEpoch × 2^32 + n` for a `PartitionRow`, whose progress depends on who writes when.
   */
  readonly stampUs: number
  /** Offset of the record that last changed the row. */
  readonly lastOffset: number
  /** Epoch ms after which the store may drop the row. */
  readonly expiresAtMs: number
}

export interface MinuteRow extends RowOrigin, RowVersion {
  /** Id of the cut, e.g. `total`, `cdn`, `cdn+content` (`cuts.ts`). */
  readonly cut: string
  /** Canonical key of the cut's values: a JSON array of strings, e.g. `["a","movie-1"]`. */
  readonly key: string
  readonly minuteStartMs: number
  readonly aggregates: MinuteAggregates
}

export type EndReason = 'finish' | 'sessionEnd' | 'fail' | 'content' | 'timeout'
export type PlaybackState =
  'idle' | 'starting' | 'playing' | 'paused' | 'stalled' | 'seeking' | 'ended' | 'failed'

/** Exact metrics of one part of a session (`docs/metrics-definitions.md`, session metrics). */
export interface PartSummary {
  readonly part: number
  readonly contentId: string | undefined
  readonly firstEventTimeMs: number
  readonly lastEventTimeMs: number
  readonly state: PlaybackState
  readonly endReason: EndReason | undefined
  readonly attempt: 0 | 1
  readonly play: 0 | 1
  readonly ebvs: 0 | 1
  readonly ebvsLong: 0 | 1
  readonly vsf: 0 | 1
  readonly vpf: 0 | 1
  readonly endedPlay: 0 | 1
  readonly failed: 0 | 1
  readonly startupMs: number | undefined
  /** The player's own measure, kept and never used in a metric. */
  readonly playerStartupMs: number | undefined
  readonly stallCount: number
  readonly stallMs: number
  readonly playingMs: number
  readonly watchedMs: number
  /** Microseconds of media; served as `mediaMs = floor((mediaUs + 500) / 1000)`. */
  readonly mediaUs: number
  readonly ratedMediaUs: number
  /** Thousandths of a bit; served as `floor((x + 500) / 1000)`. */
  readonly bitsPlayed: bigint
  readonly events: number
}

export type RepairName = 'state' | 'backwards' | 'context' | 'clamped'

export interface SessionQuality {
  readonly lost: number
  readonly duplicates: number
  readonly late: number
  readonly amended: number
  readonly afterClose: number
  readonly rejected: number
  readonly repairs: Readonly<Record<RepairName, number>>
}

export interface SessionRow extends RowOrigin, RowVersion {
  readonly sessionId: string
  readonly incarnation: number
  /** Enriched context of the latest part, as JSON. */
  readonly contextJson: string
  readonly parts: readonly PartSummary[]
  readonly quality: SessionQuality
  /** Whether the trailing close has happened. */
  readonly closed: boolean
  /** Clock offset O of the session (receivedAt − sentAt of the frame with its lowest applied seq). */
  readonly clockOffsetMs: number
  readonly firstReceivedAtMs: number
  readonly lastLoggedAtMs: number
  /** How many positions of the timeline this row stands for. */
  readonly positionCount: number
}

/** Positions per position row. */
export const POSITIONS_PER_ROW = 64

/**
 * One frame of a session in the log, with what the fold did with its events: rows point to frames,
 * the events themselves are read from the log.
 */
export interface TimelinePosition {
  readonly offset: number
  readonly loggedAtMs: number
}

export interface PositionRow extends RowOrigin, RowVersion {
  readonly sessionId: string
  readonly incarnation: number
  /** Row number within the session, from 0; every row but the last is full. */
  readonly rowNumber: number
  readonly positions: readonly TimelinePosition[]
}

/** How far a partition's rows reach; written after the rows it speaks of. */
export interface PartitionRow extends RowOrigin, RowVersion {
  /** Every record below this offset is folded and its rows of the class are in the store. */
  readonly appliedOffset: number
  readonly narrowOffset: number
  readonly wideOffset: number
  readonly sessionOffset: number
  readonly watermarkMs: number
  /** `loggedAt` of the last record folded. */
  readonly lastLoggedAtMs: number
  /** Watermarks at the moments the narrow and wide classes were last complete in the store. */
  readonly narrowWatermarkMs: number
  readonly wideWatermarkMs: number
  /** First offset of this generation's rebuild, and its `loggedAt`. */
  readonly generationStartMs: number
}

/** What the alert evaluator knows of one rule; written after each minute that it judged. */
export interface RuleStateRow {
  readonly view: string
  readonly ruleId: string
  /** Microseconds of event time up to which the rule is judged, plus the writes since. */
  readonly stampUs: number
  readonly expiresAtMs: number
  /** JSON, some 512 KiB at most; the store does not look into it. */
  readonly stateJson: string
}

/** An event that the fold did not apply as the batch will; goes to `playback.exceptions`. */
export interface FoldException {
  readonly sessionId: string
  readonly seq: number
  readonly partition: number
  readonly offset: number
  readonly reason: 'late' | 'amended' | 'afterClose' | 'capped'
  readonly type: PlaybackEventType | 'rejected'
  /**
   * Whether the fold did not know any more if the seq had been seen before: an `amended` one below
   * the edge of what is remembered, which does not count as seen for `lost`.
   */
  readonly forgotten: boolean
}
