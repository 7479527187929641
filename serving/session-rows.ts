/** From session rows of the speed store to the shapes of the API. */
import { roundThousandths } from '../shared/qoe/metrics.ts'
import { assert } from '../shared/runtime/errors.ts'
import type { PartSummary, SessionRow } from '../shared/speed/rows.ts'
import type { SessionListItem, SessionResponse, SessionSummary } from './api-schemas.ts'
import type { ContentLookup } from './content-feed.ts'
import type { PastSessionAnswer } from './history/past-session-reader.ts'
import type { ListedPastSession, SessionTotals } from './history/sessions.ts'

/**
 * One part with the served units, media time and bits rounded from thousandths, and with the metadata
 * of its content as of its beginning.
 */
export function summarisePart(
  part: PartSummary,
  content: ContentLookup | undefined,
): SessionSummary {
  const bitsPlayed = Number((part.bitsPlayed + 500n) / 1_000n)
  const metadata =
    part.contentId === undefined ? undefined : content?.at(part.contentId, part.firstEventTimeMs)
  return {
    part: part.part,
    ...(part.contentId === undefined ? {} : { contentId: part.contentId }),
    ...(metadata === undefined ? {} : { content: { ...metadata } }),
    firstEventTimeMs: part.firstEventTimeMs,
    lastEventTimeMs: part.lastEventTimeMs,
    state: part.state,
    ...(part.endReason === undefined ? {} : { endReason: part.endReason }),
    attempt: part.attempt,
    play: part.play,
    ebvs: part.ebvs,
    ebvsLong: part.ebvsLong,
    vsf: part.vsf,
    vpf: part.vpf,
    endedPlay: part.endedPlay,
    failed: part.failed,
    ...(part.startupMs === undefined ? {} : { startupMs: part.startupMs }),
    ...(part.playerStartupMs === undefined ? {} : { playerStartupMs: part.playerStartupMs }),
    stallCount: part.stallCount,
    stallMs: part.stallMs,
    playingMs: part.playingMs,
    watchedMs: part.watchedMs,
    mediaMs: roundThousandths(part.mediaUs),
    bitsPlayed,
    averageBitrateKbps:
      part.ratedMediaUs === 0 ? null : Number(part.bitsPlayed) / part.ratedMediaUs,
    stalledTimeRatio: part.watchedMs === 0 ? null : part.stallMs / part.watchedMs,
    events: part.events,
  }
}

/** A session that only the history holds: what the live view set aside is counted in there. */
export function pastSessionHead(
  { session, timeline }: PastSessionAnswer,
  content: ContentLookup | undefined,
): Omit<SessionResponse, 'incarnations' | 'timeline' | 'timelineFrames' | 'nextCursor'> {
  const parts = session.parts.map((part) => summarisePart(part, content))
  const summary = parts.at(-1)
  assert(summary !== undefined, 'a session of the history has a part')
  const firstReceivedAtMs = Math.min(...timeline.entries.map((entry) => entry.receivedAtMs))
  return {
    sessionId: session.sessionId,
    source: 'history',
    incarnation: session.incarnation,
    context: { ...session.context },
    closed: session.closed,
    clockOffsetMs: session.clockOffsetMs,
    firstReceivedAtMs: Number.isFinite(firstReceivedAtMs)
      ? firstReceivedAtMs
      : summary.firstEventTimeMs,
    lastLoggedAtMs: session.lastLoggedAtMs,
    summary,
    parts,
    quality: { ...session.quality, late: 0, amended: 0, afterClose: 0, repairs: {} },
  }
}

interface ListedContext {
  readonly contentId?: string
  readonly contentTitle?: string
  readonly cdn?: string
  readonly country?: string
  readonly device?: { readonly type?: string }
  readonly player?: { readonly name?: string }
}

/** One line of the list of sessions. A row always has a part; its sums run over all of them. */
export function listSession(row: SessionRow, content: ContentLookup | undefined): SessionListItem {
  const { quality, contextJson, parts } = row
  const context = JSON.parse(contextJson) as ListedContext
  const sum = (field: 'stallCount' | 'stallMs' | 'watchedMs') =>
    parts.reduce((total, part) => total + part[field], 0)
  const totals: SessionTotals = {
    stallCount: sum('stallCount'),
    stallMs: sum('stallMs'),
    watchedMs: sum('watchedMs'),
    failed: parts.some((part) => part.failed === 1) ? 1 : 0,
    startupMs: parts.find((part) => part.startupMs !== undefined)?.startupMs,
  }
  return listItem({ ...row, context, latest: parts.at(-1), totals, lost: quality.lost }, content)
}

/** The same of a session that only the history holds. */
export function listPastSession(
  session: ListedPastSession,
  content: ContentLookup | undefined,
): SessionListItem {
  return listItem({ ...session, firstReceivedAtMs: session.startedAtMs }, content)
}

interface Listed extends Pick<
  SessionRow,
  'sessionId' | 'incarnation' | 'closed' | 'firstReceivedAtMs'
> {
  readonly context: ListedContext
  readonly latest: PartSummary | undefined
  readonly totals: SessionTotals
  readonly lost: number
}

function listItem(row: Listed, content: ContentLookup | undefined): SessionListItem {
  const { context, latest, totals } = row
  const { startupMs, ...sums } = totals
  const contentId = latest?.contentId ?? context.contentId
  const optional = {
    contentId,
    contentTitle:
      context.contentTitle ??
      (contentId &&
        content?.at(contentId, latest?.firstEventTimeMs ?? row.firstReceivedAtMs)?.title),
    cdn: context.cdn,
    deviceType: context.device?.type,
    player: context.player?.name,
    country: context.country,
    endReason: latest?.endReason,
    startupMs,
  }
  return {
    sessionId: row.sessionId,
    incarnation: row.incarnation,
    ...withoutUndefined(optional),
    firstReceivedAtMs: row.firstReceivedAtMs,
    lastEventTimeMs: latest?.lastEventTimeMs ?? row.firstReceivedAtMs,
    state: latest?.state ?? 'idle',
    ...sums,
    lost: row.lost,
    closed: row.closed,
  }
}

type WithoutUndefined<Fields> = { [Name in keyof Fields]?: Exclude<Fields[Name], undefined> }

function withoutUndefined<Fields extends object>(fields: Fields): WithoutUndefined<Fields> {
  return Object.fromEntries(
    Object.entries(fields).filter(([, value]) => value !== undefined),
  ) as WithoutUndefined<Fields>
}
