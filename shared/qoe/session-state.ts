/**
 * What a session's state is made of, and how it goes through a snapshot: plain values, JSON-ready,
 * with what can be derived (keys, identities) left out and derived again.
 */
import type { EnrichedContext, PlaybackEvent } from '../events/schema.ts'
import type { RepairName } from '../speed/rows.ts'
import type { KeySet, PaneStore } from './panes.ts'
import type { Part, SerialisedPart } from './part.ts'
import type { SeqTracker, SeqTrackerState } from './seq-tracker.ts'
import type { TimelineState } from './timeline-positions.ts'

/** Events, by what became of them; `FoldCounters` without the sum. */
export interface EventCounters {
  applied: number
  duplicate: number
  late: number
  amended: number
  afterClose: number
  capped: number
  poison: number
  buffered: number
}

/** What is needed of a frame for as long as one of its events waits. */
export interface ArrivedFrame {
  readonly offset: number
  readonly loggedAtMs: number
  readonly receivedAtMs: number
  /** `receivedAt − sentAt`. */
  readonly frameOffsetMs: number
  readonly context: EnrichedContext
  /** The part whose context is known to say the same. */
  readonly samePart: Part | undefined
  /** Key of the frame's own context, for arrival facts. */
  readonly keySet: KeySet
  /** Watermark as advanced by the frame's record. */
  readonly watermarkMs: number
}

export interface WaitingEvent {
  readonly event: PlaybackEvent
  readonly frame: ArrivedFrame
}

/** What became of the session's events, and was mended of them. */
export interface SessionQuality {
  lost: number
  duplicates: number
  late: number
  amended: number
  afterClose: number
  rejected: number
  repairs: Readonly<Record<RepairName, number>>
}

/** The plain values of a session, as snapshots hold them. */
export interface SessionValues extends Readonly<SessionQuality> {
  readonly closed: boolean
  readonly clockOffsetMs: number | undefined
  readonly lastLoggedAtMs: number
  readonly lastOffset: number
  readonly hasApplied: boolean
}

export type SerialisedSession = SessionValues &
  TimelineState & {
    readonly sessionId: string
    readonly firstOffset: number
    readonly firstReceivedAtMs: number
    /** Of the present part; of the first frame while there is none. */
    readonly firstContext: EnrichedContext
    readonly tracker: SeqTrackerState<SerialisedWaiting>
    readonly parts: readonly SerialisedPart[]
    readonly partCount: number
    readonly lastTimeMs: number | null
    readonly retired: boolean
  }
interface SerialisedWaiting {
  readonly event: PlaybackEvent
  readonly frame: Omit<ArrivedFrame, 'keySet' | 'samePart'>
}

export interface SessionBirth {
  readonly sessionId: string
  readonly firstOffset: number
  readonly firstReceivedAtMs: number
  readonly firstLoggedAtMs: number
  readonly firstContext: EnrichedContext
}

/** Of a session without any of it: most have none, and share this. */
export const NO_QUALITY: SessionQuality = {
  lost: 0,
  duplicates: 0,
  late: 0,
  amended: 0,
  afterClose: 0,
  rejected: 0,
  repairs: { state: 0, backwards: 0, context: 0, clamped: 0 },
}

export function serialiseTracker(
  tracker: SeqTracker<WaitingEvent>,
): SeqTrackerState<SerialisedWaiting> {
  const state = tracker.state()
  return {
    ...state,
    ahead: state.ahead.map(({ seq, waiting }) => {
      if (waiting === undefined) return { seq, waiting: undefined }
      const { keySet: _keySet, samePart: _samePart, ...frame } = waiting.frame
      return { seq, waiting: { event: waiting.event, frame } }
    }),
  }
}

export function restoreTracker(
  state: SeqTrackerState<SerialisedWaiting>,
  panes: PaneStore,
): SeqTrackerState<WaitingEvent> {
  return {
    ...state,
    ahead: state.ahead.map(({ seq, waiting }) => {
      if (waiting === undefined) return { seq, waiting: undefined }
      const { event, frame } = waiting
      const { context } = frame
      const restored: ArrivedFrame = {
        ...frame,
        samePart: undefined,
        keySet: panes.keySet(context, context.cdn),
      }
      return { seq, waiting: { event, frame: restored } }
    }),
  }
}
