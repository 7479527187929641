/** Reads one session of the history with its timeline, both of one snapshot. */
import type { FoldLimits } from '../../shared/qoe/fold.ts'
import type { Clock } from '../../shared/runtime/clock.ts'
import type { Row, Select } from '../../shared/warehouse/warehouse.ts'
import type { ServingLimits } from '../limits.ts'
import type { Timeline } from '../session-timeline.ts'
import { withinTime } from '../within-time.ts'
import { unavailable, type History } from './history.ts'
import { integerOf } from '../../shared/warehouse/row-values.ts'
import {
  listedPastSession,
  pastSessions,
  selectFrameCount,
  selectSession,
  selectTimeline,
  selectViewerSessions,
  timelineFromRows,
  type ListedPastSession,
  type PastSession,
  type PastViewerSelection,
} from './sessions.ts'
import type { HistorySnapshot } from './snapshot.ts'

export interface PastSessionReaderOptions {
  readonly history: History
  readonly limits: ServingLimits
  readonly foldLimits: FoldLimits
  readonly clock: Clock
}

export interface AskedSession {
  readonly sessionId: string
  readonly incarnation: number | undefined
}

export interface PastSessionAnswer {
  readonly session: PastSession
  /** Newest first. */
  readonly incarnations: readonly number[]
  readonly timeline: Timeline
}

/** Keeps timelines for paging: `keep(name, read)` reads what it does not know. */
export type KeepTimeline = (name: string, read: () => Promise<Timeline>) => Promise<Timeline>

/**
 * The session, or `undefined` when the history does not hold it. Throws `SERVING_HISTORY_*`. The
 * newest incarnation is taken when none is named.
 */
export async function readPastSession(
  asked: AskedSession,
  keep: KeepTimeline,
  options: PastSessionReaderOptions,
): Promise<PastSessionAnswer | undefined> {
  const snapshot = await options.history.acquire()
  if (snapshot === undefined) return undefined
  try {
    const rows = await query(
      selectSession(asked.sessionId, options.limits.historyPartsMax),
      snapshot,
      options,
    )
    const sessions = pastSessions(rows)
    const session = sessions.find(
      ({ incarnation }) => asked.incarnation === undefined || incarnation === asked.incarnation,
    )
    if (session === undefined) return undefined
    const name = JSON.stringify([
      'history',
      session.sessionId,
      session.incarnation,
      snapshot.run.run,
    ])
    const timeline = await keep(name, () => readTimeline(session, snapshot, options))
    return { session, incarnations: sessions.map(({ incarnation }) => incarnation), timeline }
  } catch (error) {
    throw unavailable(error)
  } finally {
    snapshot.release()
  }
}

export interface PastSessionList {
  readonly sessions: readonly ListedPastSession[]
  /** Whether there may be older ones. */
  readonly hasMore: boolean
}

/** Sessions of a viewer by their first event, newest first. Throws `SERVING_HISTORY_*`. */
export async function readPastViewerSessions(
  asked: PastViewerSelection,
  options: PastSessionReaderOptions,
): Promise<PastSessionList> {
  const snapshot = await options.history.acquire()
  if (snapshot === undefined) return { sessions: [], hasMore: false }
  try {
    const rows = await query(selectViewerSessions(asked), snapshot, options)
    return { sessions: rows.map(listedPastSession), hasMore: rows.length >= asked.limit }
  } catch (error) {
    throw unavailable(error)
  } finally {
    snapshot.release()
  }
}

async function readTimeline(
  session: PastSession,
  snapshot: HistorySnapshot,
  options: PastSessionReaderOptions,
): Promise<Timeline> {
  const { historyTimelineEventsMax } = options.limits
  const rows = await query(selectTimeline(session, historyTimelineEventsMax), snapshot, options)
  // Only a timeline that is not shown whole needs to be counted.
  const [count] =
    rows.length < historyTimelineEventsMax
      ? []
      : await query(selectFrameCount(session), snapshot, options)
  const framesTotal = count && integerOf(count, 'frames')
  return timelineFromRows(rows, session, framesTotal, options.foldLimits)
}

async function query(
  select: Select,
  snapshot: HistorySnapshot,
  { limits, clock }: PastSessionReaderOptions,
): Promise<readonly Row[]> {
  const giveUp = new AbortController()
  const { historyRowsPerQueryMax: maxRows, historyTimeoutMs: timeoutMs } = limits
  try {
    const rows = snapshot.query(select, { maxRows, timeoutMs }, giveUp.signal)
    return await withinTime(rows, clock, timeoutMs)
  } finally {
    giveUp.abort()
  }
}
