/** Sessions from the tables `sessions`, `events` and `event_copies`: what the speed side has let go. */
import type { FoldLimits } from '../../shared/qoe/fold.ts'
import { clampCorrected, correctedMs } from '../../shared/qoe/clock-offset.ts'
import type { PartSummary } from '../../shared/speed/rows.ts'
import { objectFromColumns } from '../../shared/warehouse/column-objects.ts'
import { contextColumns, eventColumns } from '../../shared/warehouse/event-columns.ts'
import type { Row, Select } from '../../shared/warehouse/warehouse.ts'
import type { TimelineEntry } from '../api-schemas.ts'
import type { Timeline } from '../session-timeline.ts'
import { inTimelineOrder, replayStates, type Draft } from '../timeline-labels.ts'
import { utcDate } from '../../shared/warehouse/minute-rows.ts'
import { integerOf, optionalIntegerOf, textOf } from '../../shared/warehouse/row-values.ts'
import { partFromRow } from '../../shared/warehouse/session-rows.ts'

/** One incarnation of a session id. */
export interface PastSession {
  readonly sessionId: string
  readonly incarnation: number
  readonly context: Record<string, unknown>
  readonly parts: readonly PartSummary[]
  readonly quality: {
    readonly lost: number
    readonly duplicates: number
    readonly rejected: number
  }
  readonly closed: boolean
  readonly clockOffsetMs: number
  readonly lastLoggedAtMs: number
}

const DAY_MS = 24 * 60 * 60_000
/** A list looks for parts of its sessions this long before and after its range. */
const VIEWER_PARTS_WITHIN_MS = 7 * DAY_MS
/** Columns of the event that are no field of its own. */
const OWN_PLACE: ReadonlySet<string> = new Set(['seq', 'at_ms', 'type'])
const FIELD_COLUMNS = eventColumns.filter(({ name }) => !OWN_PLACE.has(name))
const PLACE_COLUMNS = [
  'log_partition',
  'log_offset',
  'log_index',
  'received_at_ms',
  'logged_at_ms',
  'sent_at_ms',
  'content_id',
]

export function selectSession(sessionId: string, limit: number): Select {
  return {
    sql: `SELECT *\nFROM sessions\nWHERE session_id = @session_id\nORDER BY incarnation DESC, part DESC\nLIMIT @max_rows`,
    parameters: { session_id: sessionId, max_rows: limit },
  }
}

export interface PastViewerSelection {
  readonly viewerPseudonym: string
  /** Session time of a session's first event; the end is exclusive. */
  readonly fromMs: number
  readonly toMs: number
  readonly limit: number
}

/** A session as a list shows it: the latest part, and what is summed over all of them. */
export interface ListedPastSession extends Pick<
  PastSession,
  'sessionId' | 'incarnation' | 'context' | 'closed'
> {
  /** Of its first event. */
  readonly startedAtMs: number
  readonly latest: PartSummary
  readonly totals: SessionTotals
  readonly lost: number
}

export interface SessionTotals extends Pick<
  PartSummary,
  'stallCount' | 'stallMs' | 'watchedMs' | 'failed'
> {
  /** Of the first part that began to play. */
  readonly startupMs: number | undefined
}

/**
 * Sessions that began in the range and whose latest part is of the viewer, newest first: a row each,
 * however many parts it has. Parts that are days away from the range are not looked for.
 */
export function selectViewerSessions(of: PastViewerSelection): Select {
  return {
    sql: `WITH parts AS (
  SELECT *
  FROM sessions
  WHERE start_date BETWEEN CAST(@from_date AS DATE) AND CAST(@to_date AS DATE)
    AND session_id IN (
      SELECT session_id
      FROM sessions
      WHERE viewer_pseudonym = @viewer
        AND start_date BETWEEN CAST(@from_date AS DATE) AND CAST(@to_date AS DATE)
    )
),
totals AS (
  SELECT session_id, incarnation, MIN(first_event_time_ms) AS started_ms, MAX(part) AS last_part,
    MIN(CASE WHEN startup_ms IS NULL THEN NULL ELSE part END) AS startup_part,
    SUM(stall_count) AS total_stall_count, SUM(stall_ms) AS total_stall_ms,
    SUM(watched_ms) AS total_watched_ms, MAX(failed) AS any_failed
  FROM parts
  GROUP BY session_id, incarnation
)
SELECT l.*, t.started_ms, t.total_stall_count, t.total_stall_ms, t.total_watched_ms, t.any_failed,
  b.startup_ms AS first_startup_ms
FROM totals AS t
JOIN parts AS l
  ON l.session_id = t.session_id AND l.incarnation = t.incarnation AND l.part = t.last_part
LEFT JOIN parts AS b
  ON b.session_id = t.session_id AND b.incarnation = t.incarnation AND b.part = t.startup_part
WHERE l.viewer_pseudonym = @viewer AND t.started_ms >= @from_ms AND t.started_ms < @to_ms
ORDER BY t.started_ms DESC, t.session_id, t.incarnation
LIMIT @max_sessions`,
    parameters: {
      viewer: of.viewerPseudonym,
      from_ms: of.fromMs,
      to_ms: of.toMs,
      from_date: utcDate(Math.max(0, of.fromMs - VIEWER_PARTS_WITHIN_MS)),
      to_date: utcDate(of.toMs + VIEWER_PARTS_WITHIN_MS),
      max_sessions: of.limit,
    },
  }
}

/** One session a row of `selectViewerSessions`. */
export function listedPastSession(row: Row): ListedPastSession {
  return {
    sessionId: textOf(row, 'session_id') ?? '',
    incarnation: integerOf(row, 'incarnation'),
    context: objectFromColumns(row, contextColumns),
    closed: row['closed'] === true,
    startedAtMs: integerOf(row, 'started_ms'),
    latest: partFromRow(row),
    totals: {
      stallCount: integerOf(row, 'total_stall_count'),
      stallMs: integerOf(row, 'total_stall_ms'),
      watchedMs: integerOf(row, 'total_watched_ms'),
      failed: integerOf(row, 'any_failed') === 0 ? 0 : 1,
      startupMs: optionalIntegerOf(row, 'first_startup_ms'),
    },
    lost: integerOf(row, 'lost'),
  }
}

/** Incarnations in the order of the rows, which descend by part. */
export function pastSessions(rows: readonly Row[]): PastSession[] {
  const byIncarnation = Map.groupBy(
    rows,
    (row) => `${integerOf(row, 'incarnation')} ${textOf(row, 'session_id')}`,
  )
  return [...byIncarnation.values()].flatMap((newestFirst) => {
    const parts = newestFirst.toReversed()
    const last = parts.at(-1)
    if (last === undefined) return []
    return {
      sessionId: textOf(last, 'session_id') ?? '',
      incarnation: integerOf(last, 'incarnation'),
      context: objectFromColumns(last, contextColumns),
      parts: parts.map(partFromRow),
      quality: {
        lost: integerOf(last, 'lost'),
        duplicates: integerOf(last, 'duplicates'),
        rejected: integerOf(last, 'rejected'),
      },
      closed: last['closed'] === true,
      clockOffsetMs: integerOf(last, 'clock_offset_ms'),
      lastLoggedAtMs: Math.max(...parts.map((row) => integerOf(row, 'last_logged_at_ms'))),
    }
  })
}

/** All copies of a session's events in the order of its timeline, at most `limit`. */
export function selectTimeline(session: PastSession, limit: number): Select {
  const { sql, parameters } = copiesOf(session)
  return {
    sql: `${sql}\nORDER BY seq, log_offset, log_index\nLIMIT @max_rows`,
    parameters: { ...parameters, max_rows: limit },
  }
}

/** How many frames those copies came in. */
export function selectFrameCount(session: PastSession): Select {
  const { sql, parameters } = copiesOf(session)
  return {
    sql: `SELECT COUNT(*) AS frames
FROM (SELECT DISTINCT log_partition, log_offset FROM (${sql}) AS copies) AS frames`,
    parameters,
  }
}

function copiesOf({ sessionId, incarnation, parts, lastLoggedAtMs }: PastSession) {
  const columns = [...eventColumns.map(({ name }) => name), ...PLACE_COLUMNS].join(', ')
  const ofSession = `session_id = @session_id AND incarnation = @incarnation
  AND received_date BETWEEN CAST(@from_date AS DATE) AND CAST(@to_date AS DATE)`
  const firstMs = Math.min(...parts.map((part) => part.firstEventTimeMs))
  return {
    sql: `SELECT 'applied' AS status, ${columns} FROM events WHERE ${ofSession}
UNION ALL
SELECT kind AS status, ${columns} FROM event_copies WHERE ${ofSession}`,
    parameters: {
      session_id: sessionId,
      incarnation,
      // Session time is at most the clock step ahead of arrival, and a repeat comes soon or never.
      from_date: utcDate(Math.max(0, firstMs - DAY_MS)),
      to_date: utcDate(lastLoggedAtMs + DAY_MS),
    },
  }
}

/** The timeline of the copies read; `framesTotal` = frames of the whole session. */
export function timelineFromRows(
  rows: readonly Row[],
  session: PastSession,
  framesTotal: number | undefined,
  limits: FoldLimits,
): Timeline {
  const drafts = rows.map((row) => draftOf(row, session.clockOffsetMs, limits))
  drafts.sort(inTimelineOrder)
  replayStates(
    drafts.filter(({ entry }) => entry.status === 'applied'),
    limits,
  )
  const shown = new Set(rows.map((row) => `${row['log_partition']}@${row['log_offset']}`)).size
  const total = framesTotal ?? shown
  return {
    entries: drafts.map(({ entry }) => entry),
    frames: { total, expired: 0, beyondLimit: total - shown },
  }
}

function draftOf(row: Row, clockOffsetMs: number, limits: FoldLimits): Draft {
  const receivedAtMs = integerOf(row, 'received_at_ms')
  const status = textOf(row, 'status') as TimelineEntry['status']
  const place = {
    seq: integerOf(row, 'seq'),
    receivedAtMs,
    loggedAtMs: integerOf(row, 'logged_at_ms'),
    offset: integerOf(row, 'log_offset'),
    status,
  }
  const contentId = textOf(row, 'content_id')
  const atMs = optionalIntegerOf(row, 'at_ms')
  if (status === 'rejected' || atMs === undefined)
    return {
      contentId,
      entry: { ...place, type: 'rejected', eventTimeMs: receivedAtMs, fields: {} },
    }
  const frameOffsetMs = receivedAtMs - integerOf(row, 'sent_at_ms')
  const corrected = correctedMs({ atMs, frameOffsetMs, receivedAtMs }, clockOffsetMs, limits)
  return {
    contentId,
    entry: {
      ...place,
      type: textOf(row, 'type') ?? '',
      atMs,
      eventTimeMs: Math.round(clampCorrected(corrected, receivedAtMs, limits)),
      fields: objectFromColumns(row, FIELD_COLUMNS),
    },
  }
}
