/**
 * Compares the session rows of two views as of the offsets that both have come to. Sessions lie in
 * either view in an order of its own, so each page of one is looked up in the other, and then those
 * that only the other has are looked for. Sessions by viewer are an index of these rows.
 */
import { isDeepStrictEqual } from 'node:util'
import { currentSessionRows } from '../../shared/speed/current-sessions.ts'
import type { SessionRow } from '../../shared/speed/rows.ts'
import type { SpeedStore } from '../../shared/speed/speed-store.ts'
import {
  VIEW_DIFFERENCES_LISTED_MAX,
  VIEW_SESSIONS_COMPARED_MAX,
  VIEW_SESSIONS_PER_PAGE,
} from '../limits.ts'

export interface SessionSide {
  readonly view: string
  /** Sessions that began before may lack what came before the view's first record. */
  readonly beganMs: number
}

export interface SessionsOf {
  readonly sides: readonly [SessionSide, SessionSide]
  /** By partition: session rows of both views cover every record below. */
  readonly offsets: readonly number[]
  /** Of the first arrival, the end not included. */
  readonly range: { readonly fromMs: number; readonly toMs: number }
}

type Values = Readonly<Record<string, unknown>>

export interface SessionDifference {
  readonly sessionId: string
  readonly incarnation: number
  /** Differing fields by name; absent where the view has no row. */
  readonly left?: Values
  readonly right?: Values
}

export interface SessionsComparison {
  readonly compared: number
  readonly equal: number
  readonly different: number
  /** A record beyond the common offsets changed them. */
  readonly pending: number
  /** A view may have begun in the middle of them. */
  readonly incomplete: number
  /** Whether there are more than `VIEW_SESSIONS_COMPARED_MAX`, of which the rest was not looked at. */
  readonly hasMore: boolean
  /** The first `VIEW_DIFFERENCES_LISTED_MAX`. */
  readonly differences: readonly SessionDifference[]
}

interface Tally {
  compared: number
  equal: number
  pending: number
  incomplete: number
  readonly differences: SessionDifference[]
}

export async function compareSessions(
  speed: SpeedStore,
  of: SessionsOf,
  onProgress: (sessions: number) => void = () => undefined,
): Promise<SessionsComparison> {
  const [left, right] = of.sides
  const tally: Tally = { compared: 0, equal: 0, pending: 0, incomplete: 0, differences: [] }
  let seen = 0
  let hasMore = false
  for (const [here, there] of [
    [left, right],
    [right, left],
  ] as const) {
    let seenHere = 0
    for await (const page of pagesOf(speed, here.view)) {
      hasMore ||= seenHere >= VIEW_SESSIONS_COMPARED_MAX
      if (seenHere >= VIEW_SESSIONS_COMPARED_MAX) break
      const sessions = [...Map.groupBy(page, ({ sessionId }) => sessionId)]
      const looked = await Promise.all(sessions.map(([id]) => speed.readSession(there.view, id)))
      for (const [index, [, rows]] of sessions.entries()) {
        const others = looked[index] ?? []
        // What both views have was compared when the first one's was read.
        if (here === left) compareSession(rows, others, of, tally)
        else if (others.length === 0) compareSession([], rows, of, tally)
      }
      seenHere += sessions.length
      onProgress((seen += sessions.length))
    }
  }
  const { compared, equal } = tally
  return { ...tally, different: compared - equal, hasMore }
}

async function* pagesOf(speed: SpeedStore, view: string): AsyncGenerator<SessionRow[], void> {
  for (let afterSessionId: string | undefined; ;) {
    const page = await speed.readSessions(view, {
      limit: VIEW_SESSIONS_PER_PAGE,
      ...(afterSessionId === undefined ? {} : { afterSessionId }),
    })
    afterSessionId = page.at(-1)?.sessionId
    if (afterSessionId === undefined) return
    yield page
  }
}

/** All incarnations of one session id, as either view has them. */
function compareSession(
  left: readonly SessionRow[],
  right: readonly SessionRow[],
  { sides, offsets, range }: SessionsOf,
  tally: Tally,
): void {
  const [ofLeft, ofRight] = [byIncarnation(left), byIncarnation(right)]
  const beganMs = Math.max(sides[0].beganMs, sides[1].beganMs)
  const firstMs = Math.min(...[...left, ...right].map((row) => row.firstReceivedAtMs))
  for (const key of new Set([...ofLeft.keys(), ...ofRight.keys()])) {
    const rows = [ofLeft.get(key), ofRight.get(key)] as const
    const present = rows.filter((row) => row !== undefined)
    const isWithin = present.some(
      ({ firstReceivedAtMs: atMs }) => atMs >= range.fromMs && atMs < range.toMs,
    )
    if (!isWithin) continue
    // Incarnations are numbered by offset: a view that began in the middle has others.
    if (firstMs < beganMs) tally.incomplete += 1
    else if (present.some((row) => row.lastOffset >= (offsets[row.partition] ?? 0)))
      tally.pending += 1
    else compareRows(rows, tally)
  }
}

function byIncarnation(rows: readonly SessionRow[]): Map<string, SessionRow> {
  const keyed = currentSessionRows(rows).map(
    (row) => [`${row.topicEpoch}/${row.partition}/${row.incarnation}`, row] as const,
  )
  return new Map(keyed)
}

function compareRows(
  [left, right]: readonly [SessionRow | undefined, SessionRow | undefined],
  tally: Tally,
): void {
  tally.compared += 1
  const values = [left && comparable(left), right && comparable(right)] as const
  if (isDeepStrictEqual(...values)) {
    tally.equal += 1
    return
  }
  const { sessionId, incarnation } = left ?? right ?? {}
  if (sessionId === undefined || incarnation === undefined) return
  if (tally.differences.length === VIEW_DIFFERENCES_LISTED_MAX) return
  const [ofLeft = {}, ofRight = {}] = values
  const names = Object.keys({ ...ofLeft, ...ofRight }).filter(
    (name) => !isDeepStrictEqual(ofLeft[name], ofRight[name]),
  )
  const only = (of: Values) => Object.fromEntries(names.map((name) => [name, of[name]]))
  tally.differences.push({
    sessionId,
    incarnation,
    ...(left && { left: only(ofLeft) }),
    ...(right && { right: only(ofRight) }),
  })
}

/** What a row says of its session; where it is from and when it expires is each view's own. */
function comparable(row: SessionRow): Values {
  const { view: _view, generation: _generation, expiresAtMs: _expiresAtMs, ...said } = row
  return said
}
