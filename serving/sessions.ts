/** `GET /v1/sessions/{id}` and `GET /v1/sessions`. */
import { LRUCache } from 'lru-cache'
import type { ErasureReader } from '../shared/objects/erasures.ts'
import type { Clock } from '../shared/runtime/clock.ts'
import { describeValue, type BackhaulError } from '../shared/runtime/errors.ts'
import { currentSessionRows } from '../shared/speed/current-sessions.ts'
import type { SessionRow } from '../shared/speed/rows.ts'
import type {
  Degraded,
  SessionListResponse,
  SessionResponse,
  TimelineEntry,
} from './api-schemas.ts'
import type { ContentLookup } from './content-feed.ts'
import { createErasedSessions } from './erased-sessions.ts'
import { servingErrors } from './errors.ts'
import { unavailable, type History } from './history/history.ts'
import {
  readPastSession,
  type KeepTimeline,
  type AskedSession,
  type PastSessionAnswer,
} from './history/past-session-reader.ts'
import type { ServingLimits } from './limits.ts'
import { invalidParameter, parseCount, parseParameters } from './query-parameters.ts'
import { listSession, pastSessionHead, summarisePart } from './session-rows.ts'
import { readTimeline, type Timeline, type TimelineContext } from './session-timeline.ts'

export interface SessionQuery {
  readonly sessionId: string
  readonly incarnation: number | undefined
  readonly pageEvents: number
  readonly cursor: TimelineCursor | undefined
}

/** The last entry of the page before; entries are ordered by seq, then by place in the log. */
export interface TimelineCursor {
  readonly seq: number
  readonly offset: number
  /** Among equal entries (a seq repeated in one frame), how many were given. */
  readonly repeat: number
}

export interface SessionsContext extends TimelineContext {
  readonly view: string
  readonly clock: Clock
  readonly limits: ServingLimits
  /** Absent where no batch runs. */
  readonly history: History | undefined
  /** Absent where there is no content metadata. */
  readonly content?: ContentLookup | undefined
  /** Absent where no viewer can be erased. */
  readonly erasures?: ErasureReader
}

export const SESSION_PARAMETERS = {
  single: ['incarnation', 'limit', 'cursor'],
  repeated: [],
} as const
export const SESSIONS_PARAMETERS = { single: ['recent'], repeated: [] } as const

export function parseSessionQuery(
  sessionId: string,
  queryText: string,
  limits: ServingLimits,
): SessionQuery {
  const parameters = parseParameters(queryText, SESSION_PARAMETERS, limits.queryMaxChars)
  const incarnationText = parameters.get('incarnation')
  const cursorText = parameters.get('cursor')
  if (incarnationText !== null && !/^\d{1,15}$/.test(incarnationText))
    throw invalidParameter('incarnation', 'one of `incarnations`', incarnationText)
  return {
    sessionId,
    incarnation: incarnationText === null ? undefined : Number(incarnationText),
    pageEvents: parseCount('limit', parameters.get('limit'), {
      otherwise: limits.timelinePageEventsDefault,
      max: limits.timelinePageEventsMax,
    }),
    cursor: cursorText === null ? undefined : parseCursor(cursorText),
  }
}

export interface SessionsApi {
  /**
   * Throws `SERVING_SESSION_UNKNOWN`, `SERVING_HISTORY_*` where only the history could know the
   * session, or what a store throws.
   */
  show(query: SessionQuery): Promise<SessionResponse>
  listRecent(queryText: string): Promise<SessionListResponse>
  /** Timelines kept for paging. */
  readonly cachedTimelines: number
  /** Events of those timelines; an empty timeline counts as one. */
  readonly cachedEvents: number
}

export function createSessionsApi(context: SessionsContext): SessionsApi {
  const { limits, speed, view, clock, content } = context
  const erased = createErasedSessions(context.erasures)
  // Paging asks for the same timeline again; a row that changed has another stamp.
  const timelines = new LRUCache<string, Timeline>({
    max: limits.timelineCacheSessionsMax,
    maxSize: limits.timelineCacheEventsMax,
    sizeCalculation: (timeline) => Math.max(1, timeline.entries.length),
  })

  const keep: KeepTimeline = async (name, read) => {
    const known = timelines.get(name)
    if (known !== undefined) return known
    const timeline = await read()
    timelines.set(name, timeline)
    return timeline
  }

  function timelineOf(row: SessionRow): Promise<Timeline> {
    return keep(timelineName(row), () => readTimeline(row, context))
  }

  /** What the history holds of it; `undefined` too where there is no history. */
  async function past(asked: AskedSession): Promise<PastSessionAnswer | undefined> {
    const { history } = context
    const known = history && (await readPastSession(asked, keep, { ...context, history }))
    return erased.unlessErased(known)
  }

  return {
    async show(query) {
      const rows = await erased.withoutErased(
        currentSessionRows(await speed.readSession(view, query.sessionId)),
      )
      const row = rows.find(
        ({ incarnation }) => query.incarnation === undefined || incarnation === query.incarnation,
      )
      if (row === undefined) {
        const known = await past(query)
        if (known === undefined) throw sessionUnknown(query)
        const incarnations = [...new Set([...incarnationsOf(rows), ...known.incarnations])]
        const head = pastSessionHead(known, content)
        return { ...head, incarnations, ...page(known.timeline, query) }
      }
      const head = sessionHead(row, rows, content)
      const timeline = await timelineOf(row)
      // The log keeps frames for a shorter time than the speed store its rows.
      if (timeline.frames.expired === 0) return { ...head, ...page(timeline, query) }
      const completed = await completeTimeline(timeline, () => past(row))
      const { degraded } = completed
      return {
        ...head,
        ...(degraded === undefined ? {} : { degraded }),
        ...page(completed.timeline, query),
      }
    },
    async listRecent(queryText) {
      const parameters = parseParameters(queryText, SESSIONS_PARAMETERS, limits.queryMaxChars)
      const recent = parseCount('recent', parameters.get('recent'), {
        otherwise: limits.recentSessionsDefault,
        max: limits.recentSessionsMax,
      })
      const rows = await erased.withoutErased(
        currentSessionRows(await speed.readRecentSessions(view, recent)),
      )
      return { nowMs: clock.nowMs(), sessions: rows.map((row) => listSession(row, content)) }
    },
    get cachedTimelines() {
      return timelines.size
    },
    get cachedEvents() {
      return timelines.calculatedSize
    },
  }
}

function timelineName(row: SessionRow): string {
  const { sessionId, topicEpoch, partition, generation, incarnation, stampUs, lastOffset } = row
  return JSON.stringify([
    sessionId,
    topicEpoch,
    partition,
    generation,
    incarnation,
    stampUs,
    lastOffset,
  ])
}

function sessionHead(
  row: SessionRow,
  rows: readonly SessionRow[],
  content: ContentLookup | undefined,
): Omit<SessionResponse, 'timeline' | 'timelineFrames' | 'nextCursor'> {
  const parts = row.parts.map((part) => summarisePart(part, content))
  const summary = parts.at(-1)
  if (summary === undefined)
    throw servingErrors.create('SERVING_SESSION_UNKNOWN', {
      expected: 'a session with an applied event',
      received: describeValue(row.sessionId),
    })
  return {
    sessionId: row.sessionId,
    source: 'speed',
    incarnation: row.incarnation,
    incarnations: incarnationsOf(rows),
    context: JSON.parse(row.contextJson) as Record<string, unknown>,
    closed: row.closed,
    clockOffsetMs: row.clockOffsetMs,
    firstReceivedAtMs: row.firstReceivedAtMs,
    lastLoggedAtMs: row.lastLoggedAtMs,
    position: {
      topicEpoch: row.topicEpoch,
      partition: row.partition,
      generation: row.generation,
      lastOffset: row.lastOffset,
    },
    summary,
    parts,
    quality: { ...row.quality, repairs: { ...row.quality.repairs } },
  }
}

function incarnationsOf(rows: readonly SessionRow[]): number[] {
  return rows.map(({ incarnation }) => incarnation)
}

function sessionUnknown({ sessionId }: SessionQuery): BackhaulError {
  return servingErrors.create('SERVING_SESSION_UNKNOWN', {
    expected: 'a session of the speed store or the history',
    received: describeValue(sessionId),
  })
}

/** The history's timeline where it shows more than what the log still holds. */
async function completeTimeline(
  live: Timeline,
  past: () => Promise<PastSessionAnswer | undefined>,
): Promise<{ readonly timeline: Timeline; readonly degraded?: Degraded[] }> {
  try {
    const timeline = (await past())?.timeline
    const isFuller = timeline !== undefined && timeline.entries.length >= live.entries.length
    return { timeline: isFuller ? timeline : live }
  } catch (error) {
    const { code, message } = unavailable(error)
    return { timeline: live, degraded: [{ code, detail: message }] }
  }
}

function page(
  timeline: Timeline,
  query: SessionQuery,
): Pick<SessionResponse, 'timeline' | 'timelineFrames' | 'nextCursor'> {
  const { entries } = timeline
  const start = query.cursor === undefined ? 0 : afterCursor(entries, query.cursor)
  const shown = entries.slice(start, start + query.pageEvents)
  const last = shown.at(-1)
  const timelineFrames = { ...timeline.frames }
  if (last === undefined || start + shown.length >= entries.length)
    return { timeline: shown, timelineFrames }
  const repeat = entries
    .slice(0, start + shown.length)
    .filter((entry) => entry.seq === last.seq && entry.offset === last.offset).length
  return {
    timeline: shown,
    timelineFrames,
    nextCursor: `${last.seq}.${last.offset}.${repeat}`,
  }
}

/** Index of the first entry beyond the cursor; entries that came meanwhile do not shift it. */
function afterCursor(entries: readonly TimelineEntry[], cursor: TimelineCursor): number {
  let repeat = 0
  const index = entries.findIndex((entry) => {
    if (entry.seq !== cursor.seq) return entry.seq > cursor.seq
    if (entry.offset !== cursor.offset) return entry.offset > cursor.offset
    return ++repeat > cursor.repeat
  })
  return index === -1 ? entries.length : index
}

function parseCursor(text: string): TimelineCursor {
  const match = /^(\d{1,7})\.(\d{1,15})\.(\d{1,7})$/.exec(text)
  if (match === null)
    throw servingErrors.create('SERVING_CURSOR_INVALID', {
      expected: 'a `nextCursor`',
      received: describeValue(text),
    })
  return { seq: Number(match[1]), offset: Number(match[2]), repeat: Number(match[3]) }
}
