/**
 * What a session's state is made of, and how it goes through a snapshot: plain values, JSON-ready,
 * with what can be derived (keys, identities) left out and derived again.
 */
import type { EnrichedContext, PlaybackEvent } from '../events/schema.ts'
import type { RepairName } from '../speed/rows.ts'
import type { KeySet, PaneStore } from './panes.ts'
import type { SerialisedPart } from './part.ts'
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
  /** Key of the frame's own context, for arrival facts. */
  readonly keySet: KeySet
  /** Watermark as advanced by the frame's record. */
  readonly watermarkMs: number
}

export interface WaitingEvent {
  readonly event: PlaybackEvent
  readonly frame: ArrivedFrame
}

/** The plain values of a session, as snapshots hold them. */
export interface SessionValues {
  closed: boolean
  clockOffsetMs: number | undefined
  /** Largest `loggedAt` of the winning copies of applied events; before one, of the first record. */
  lastLoggedAtMs: number
  lastOffset: number
  hasApplied: boolean
  lost: number
  duplicates: number
  late: number
  amended: number
  afterClose: number
  rejected: number
  /** Replaced when one is counted: most sessions have none, and share it. */
  repairs: Readonly<Record<RepairName, number>>
}

export type SerialisedSession = SessionValues &
  TimelineState & {
    readonly sessionId: string
    readonly firstOffset: number
    readonly firstReceivedAtMs: number
    readonly firstContext: EnrichedContext
    readonly tracker: SeqTrackerState<SerialisedWaiting>
    readonly parts: readonly SerialisedPart[]
    readonly partCount: number
    readonly lastTimeMs: number | null
    readonly retired: boolean
  }
interface SerialisedWaiting {
  readonly event: PlaybackEvent
  readonly frame: Omit<ArrivedFrame, 'keySet'>
}

export interface SessionBirth {
  readonly sessionId: string
  readonly firstOffset: number
  readonly firstReceivedAtMs: number
  readonly firstLoggedAtMs: number
  readonly firstContext: EnrichedContext
}

const NO_REPAIRS = { state: 0, backwards: 0, context: 0, clamped: 0 }

export function freshValues(birth: SessionBirth): SessionValues {
  return {
    closed: false,
    clockOffsetMs: undefined,
    lastLoggedAtMs: birth.firstLoggedAtMs,
    lastOffset: birth.firstOffset,
    hasApplied: false,
    lost: 0,
    duplicates: 0,
    late: 0,
    amended: 0,
    afterClose: 0,
    rejected: 0,
    repairs: NO_REPAIRS,
  }
}

export function valuesOf(saved: SerialisedSession): SessionValues {
  return {
    closed: saved.closed,
    clockOffsetMs: saved.clockOffsetMs ?? undefined,
    lastLoggedAtMs: saved.lastLoggedAtMs,
    lastOffset: saved.lastOffset,
    hasApplied: saved.hasApplied,
    lost: saved.lost,
    duplicates: saved.duplicates,
    late: saved.late,
    amended: saved.amended,
    afterClose: saved.afterClose,
    rejected: saved.rejected,
    repairs: saved.repairs,
  }
}

export function serialiseTracker(
  tracker: SeqTracker<WaitingEvent>,
): SeqTrackerState<SerialisedWaiting> {
  const state = tracker.state()
  return {
    ...state,
    ahead: state.ahead.map(({ seq, waiting }) => {
      if (waiting === undefined) return { seq, waiting: undefined }
      const { keySet: _keySet, ...frame } = waiting.frame
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
        keySet: panes.keySet(context, context.cdn),
      }
      return { seq, waiting: { event, frame: restored } }
    }),
  }
}
