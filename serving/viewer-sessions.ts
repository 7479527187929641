/**
 * `GET /v1/viewers/{pseudonym}/sessions`: first those of the speed store, newest first by arrival,
 * then those that only the history still holds, newest first by their first event. Neither side says
 * of the other's sessions when they began there, so a page never mixes orders: it goes through the
 * live ones, and the history leaves out what has a live row.
 */
import { paneLifeOf } from '../shared/qoe/fold.ts'
import { describeValue } from '../shared/runtime/errors.ts'
import { currentSessionRows } from '../shared/speed/current-sessions.ts'
import type { RowOrigin, SessionRow } from '../shared/speed/rows.ts'
import type { Degraded, ViewerSession, ViewerSessionsResponse } from './api-schemas.ts'
import { viewerOf } from '../shared/speed/session-viewer.ts'
import { createErasedSessions } from './erased-sessions.ts'
import { servingErrors } from './errors.ts'
import { unavailable, type History } from './history/history.ts'
import { readPastViewerSessions } from './history/past-session-reader.ts'
import type { ListedPastSession } from './history/sessions.ts'
import type { ServingLimits } from './limits.ts'
import { invalidParameter, parseCount, parseParameters, parseTimeMs } from './query-parameters.ts'
import { listPastSession, listSession } from './session-rows.ts'
import type { SessionsContext } from './sessions.ts'

export interface ViewerSessionsQuery {
  readonly viewerPseudonym: string
  readonly fromMs: number
  /** Exclusive. */
  readonly toMs: number
  readonly limit: number
  readonly cursor: ViewerCursor | undefined
}

/** Where the next page begins. */
interface ViewerCursor {
  readonly side: 'speed' | 'history'
  /** Start of the last session given … */
  readonly startMs: number
  /** … and how many that began then were given. */
  readonly given: number
}

const PARAMETERS = { single: ['from', 'to', 'limit', 'cursor'], repeated: [] } as const
const PSEUDONYM = /^[0-9a-f]{32}$/

export function parseViewerSessionsQuery(
  viewerPseudonym: string,
  queryText: string,
  { limits, nowMs }: { readonly limits: ServingLimits; readonly nowMs: number },
): ViewerSessionsQuery {
  if (!PSEUDONYM.test(viewerPseudonym))
    throw invalidParameter('the viewer', 'a pseudonym, 32 lower-case hex digits', viewerPseudonym)
  const parameters = parseParameters(queryText, PARAMETERS, limits.queryMaxChars)
  const [from, to, cursor] = ['from', 'to', 'cursor'].map((name) => parameters.get(name))
  const toMs = to ? parseTimeMs('to', to) : nowMs + 1
  const fromMs = from ? parseTimeMs('from', from) : Math.max(0, toMs - limits.rangeMaxMs)
  if (fromMs >= toMs || toMs - fromMs > limits.rangeMaxMs)
    throw servingErrors.create('SERVING_RANGE_INVALID', {
      expected: `from < to, at most ${limits.rangeMaxMs} ms apart`,
      received: `${toMs - fromMs} ms`,
    })
  return {
    viewerPseudonym,
    fromMs,
    toMs,
    limit: parseCount('limit', parameters.get('limit'), {
      otherwise: limits.viewerSessionsDefault,
      max: limits.viewerSessionsMax,
    }),
    cursor: cursor ? parseCursor(cursor, { fromMs, toMs, limits }) : undefined,
  }
}

export type ListViewerSessions = (query: ViewerSessionsQuery) => Promise<ViewerSessionsResponse>

/** Sessions of one side. */
interface Page {
  readonly sessions: readonly ViewerSession[]
  /** Absent at the end of the side. */
  readonly next?: ViewerCursor
}

export function createViewerSessionsApi(context: SessionsContext): ListViewerSessions {
  const { clock, foldLimits, history } = context
  return async (query) => {
    const { limit, cursor, viewerPseudonym, fromMs, toMs } = query
    const head = { nowMs: clock.nowMs(), viewerPseudonym, fromMs, toMs }
    const live = cursor?.side === 'history' ? { sessions: [] } : await livePage(query, context)
    const answer = (sessions: readonly ViewerSession[], next?: ViewerCursor) => ({
      ...head,
      sessions: [...sessions],
      ...(next && { nextCursor: `${next.side}.${next.startMs}.${next.given}` }),
    })
    if (live.next !== undefined) return answer(live.sessions, live.next)
    // What is younger than a pane's life is in no history.
    if (history === undefined || fromMs >= clock.nowMs() - paneLifeOf(foldLimits))
      return answer(live.sessions)
    const start =
      cursor?.side === 'history'
        ? cursor
        : ({ side: 'history', startMs: toMs - 1, given: 0 } as const)
    const room = limit - live.sessions.length
    if (room === 0) return answer(live.sessions, start)
    try {
      const past = await pastPage({ ...query, limit: room, cursor: start }, { ...context, history })
      return answer([...live.sessions, ...past.sessions], past.next)
    } catch (error) {
      // The page can be asked for again when the history answers.
      return { ...answer(live.sessions, start), degraded: [noteOf(error)] }
    }
  }
}

async function livePage(query: ViewerSessionsQuery, context: SessionsContext): Promise<Page> {
  const { speed, view, content } = context
  const rows = await speed.readViewerSessions({ view, ...asked(query) })
  const shown = await createErasedSessions(context.erasures).withoutErased(
    await currentRows(given(rows, query), context),
  )
  return {
    sessions: shown.map((row) => ({ ...listSession(row, content), source: 'speed' })),
    ...(rows.length >= asked(query).limit && {
      next: cursorBehind(
        'speed',
        rows.map((row) => row.firstReceivedAtMs),
      ),
    }),
  }
}

/** A row that a rebuild has written anew may be on another page: its session is asked. */
async function currentRows(
  rows: readonly SessionRow[],
  { speed, view }: SessionsContext,
): Promise<SessionRow[]> {
  const progress = await speed.readPartitions(view)
  const isNewest = await Promise.all(
    rows.map(async ({ sessionId, incarnation, topicEpoch, partition, generation }) => {
      const isOf = (other: RowOrigin) =>
        other.topicEpoch === topicEpoch && other.partition === partition
      if (!progress.some((other) => isOf(other) && other.generation > generation)) return true
      const current = currentSessionRows(await speed.readSession(view, sessionId)).filter(isOf)
      return current.some((row) => row.generation === generation && row.incarnation === incarnation)
    }),
  )
  return rows.filter((_, index) => isNewest[index])
}

async function pastPage(
  query: ViewerSessionsQuery,
  context: SessionsContext & { readonly history: History },
): Promise<Page> {
  const { content } = context
  const { sessions, hasMore } = await readPastViewerSessions(asked(query), context)
  const candidates = await createErasedSessions(context.erasures).pastWithoutErased(
    given(sessions, query),
  )
  const live = await Promise.all(
    candidates.map(({ sessionId }) => listedRows(sessionId, query, context)),
  )
  return {
    sessions: candidates
      .filter((session, index) => !isAmong(live[index] ?? [], session))
      .map((session) => ({ ...listPastSession(session, content), source: 'history' })),
    ...(hasMore && {
      next: cursorBehind(
        'history',
        sessions.map((session) => session.startedAtMs),
      ),
    }),
  }
}

/** Of a session the rows that the live list shows: one stored before there was that list has no entry in it. */
async function listedRows(
  sessionId: string,
  { viewerPseudonym }: ViewerSessionsQuery,
  { speed, view, limits }: SessionsContext,
): Promise<SessionRow[]> {
  const rows = (await speed.readSession(view, sessionId)).filter(
    (row) => viewerOf(row) === viewerPseudonym,
  )
  const lists = await Promise.all(
    [...new Set(rows.map((row) => row.firstReceivedAtMs))].map((fromMs) =>
      speed.readViewerSessions({
        view,
        viewerPseudonym,
        fromMs,
        toMs: fromMs + 1,
        limit: limits.viewerSessionsAtOnceMax,
      }),
    ),
  )
  return lists.flat().filter((row) => row.sessionId === sessionId)
}

function isAmong(rows: readonly SessionRow[], { incarnation }: ListedPastSession): boolean {
  return rows.some((row) => row.incarnation === incarnation)
}

/** A page asks again for those that began with the last one of the page before. */
function asked({ viewerPseudonym, fromMs, toMs, limit, cursor }: ViewerSessionsQuery) {
  return {
    viewerPseudonym,
    fromMs,
    toMs: cursor === undefined ? toMs : cursor.startMs + 1,
    limit: limit + (cursor?.given ?? 0),
  }
}

function given<Item>(items: readonly Item[], { cursor }: ViewerSessionsQuery): readonly Item[] {
  return items.slice(cursor?.given ?? 0)
}

function cursorBehind(side: ViewerCursor['side'], startsMs: readonly number[]): ViewerCursor {
  const startMs = startsMs.at(-1) ?? 0
  return { side, startMs, given: startsMs.filter((one) => one === startMs).length }
}

function parseCursor(
  text: string,
  bounds: Pick<ViewerSessionsQuery, 'fromMs' | 'toMs'> & { readonly limits: ServingLimits },
): ViewerCursor {
  const match = /^(speed|history)\.(\d{1,15})\.(\d{1,5})$/.exec(text)
  const [startMs, given] = [Number(match?.[2]), Number(match?.[3])]
  const isWithin = startMs >= bounds.fromMs && startMs < bounds.toMs
  if (match === null || !isWithin || given > bounds.limits.viewerSessionsAtOnceMax)
    throw servingErrors.create('SERVING_CURSOR_INVALID', {
      expected: 'a `nextCursor` of the same range',
      received: describeValue(text),
    })
  return { side: match[1] === 'history' ? 'history' : 'speed', startMs, given }
}

function noteOf(error: unknown): Degraded {
  const { code, message } = unavailable(error)
  return { code, detail: message }
}
