/**
 * Rewrites live rows that are lost or wrong from the history, without what the live view has listed
 * as set aside: with it, the next such event would be a difference that its list does not explain.
 * Minutes go as one row of partition −1, which readers take instead of all others, and only such as
 * no pane can still change; a session's row under the stamp that it has, or has in the log when it
 * is lost, so that a later change of the fold still wins. Whoever calls it holds the lease of the
 * batch: no other repair, no run and no erasure is under way.
 */
import { MINUTE_MS } from '../../shared/qoe/aggregates.ts'
import { currentSessionRows } from '../../shared/speed/current-sessions.ts'
import { REPAIR_PARTITION } from '../../shared/speed/row-merge.ts'
import type { MinuteRow, SessionRow } from '../../shared/speed/rows.ts'
import type { SpeedStore } from '../../shared/speed/speed-store.ts'
import { RECONCILE_ROWS_PER_WRITE } from '../limits.ts'
import type { MinuteDefect, SessionDefect, Unexplained } from './explain.ts'
import { rebuildSessions, type LostSessionsParts } from './lost-sessions.ts'
import { ALL_KEYS } from './minutes.ts'
import { incarnationId, parseIncarnationId, type ComparedSession } from './sessions.ts'

export interface RepairParts extends LostSessionsParts {
  readonly speed: SpeedStore
  readonly paneLifeMs: number
  /** Throws when the lease is lost. */
  assertMayWrite(): void
}

export interface Repaired {
  readonly minutes: number
  readonly sessions: number
  /**
   * Defects that were left: minutes that a pane may still change, minutes that are known as the sum
   * over more keys than a cut may have, what the history does not know of sessions of which something
   * came after the cut, and minutes and sessions of which the history is the wrong side.
   */
  readonly left: number
}

export async function repair(
  parts: RepairParts,
  { minutes, sessions }: Unexplained,
): Promise<Repaired> {
  const minuteRows = minutes.flatMap((defect) => repairedMinute(parts, defect))
  for (const rows of chunks(minuteRows)) {
    parts.assertMayWrite()
    await parts.speed.putMinutes(rows)
  }
  const wrongLive = sessions.filter(({ restated }) => restated === undefined)
  await rewriteWrong(parts, wrongLive)
  const left = sessions.length - wrongLive.length + (await rewriteLost(parts, wrongLive))
  return {
    minutes: minuteRows.length,
    sessions: sessions.length - left,
    left: minutes.length - minuteRows.length + left,
  }
}

function repairedMinute(parts: RepairParts, defect: MinuteDefect): MinuteRow[] {
  const { view, asOf, paneLifeMs, rowRetentionMs } = parts
  const { cut, key, minuteMs, toWrite, restated } = defect
  if (restated !== undefined) return []
  const endMs = minuteMs + MINUTE_MS
  if (key === ALL_KEYS || endMs + paneLifeMs >= asOf.watermarkMs) return []
  return [
    {
      view,
      // Of two repairs of a minute readers take that of the higher epoch.
      topicEpoch: asOf.topicEpoch,
      partition: REPAIR_PARTITION,
      generation: 0,
      cut,
      key,
      minuteStartMs: minuteMs,
      aggregates: toWrite,
      // A later repair wins; runs of a minute are fewer than its microseconds.
      stampUs: minuteMs * 1_000 + asOf.run,
      lastOffset: 0,
      expiresAtMs: endMs + rowRetentionMs,
    },
  ]
}

/** Rows that are there and wrong keep what only the fold knows. */
async function rewriteWrong(
  { speed, assertMayWrite }: RepairParts,
  sessions: readonly SessionDefect[],
): Promise<void> {
  const rows = sessions.flatMap(({ liveRow, toWrite }) =>
    liveRow === undefined || toWrite === undefined ? [] : [withHistory(liveRow, toWrite)],
  )
  for (const page of chunks(rows)) {
    assertMayWrite()
    await speed.putSessions(page, [])
  }
}

/**
 * Sessions of which one side has no row. One that the history does not know goes whole, and what the
 * history knows of its session id comes back; what came after the cut would not, so such a session
 * is left for the repair after the next run. Resolves with the defects that were left.
 */
async function rewriteLost(
  parts: RepairParts,
  sessions: readonly SessionDefect[],
): Promise<number> {
  const { speed, view, assertMayWrite } = parts
  const unknown = new Set<string>()
  const lost = new Set<string>()
  for (const { sessionId, incarnation, liveRow, history } of sessions) {
    if (liveRow === undefined) lost.add(incarnationId(sessionId, incarnation))
    if (history === undefined) unknown.add(sessionId)
  }
  const changed = await changedAfterCut(parts, unknown)
  for (const sessionId of changed) unknown.delete(sessionId)
  for (const sessionId of unknown) {
    assertMayWrite()
    await speed.deleteSession(view, sessionId)
  }
  const ids = new Set([...unknown, ...[...lost].map((id) => parseIncarnationId(id).sessionId)])
  for await (const { row, positions } of rebuildSessions(parts, [...ids])) {
    const { sessionId, incarnation } = row
    if (!unknown.has(sessionId) && !lost.has(incarnationId(sessionId, incarnation))) continue
    assertMayWrite()
    await speed.putSessions([row], positions)
  }
  const isLeft = ({ sessionId, history }: SessionDefect) =>
    history === undefined && changed.has(sessionId)
  return sessions.filter(isLeft).length
}

/** Those of the sessions of which a row that counts is not below the cut. */
async function changedAfterCut(
  { speed, view, asOf }: RepairParts,
  sessionIds: ReadonlySet<string>,
): Promise<Set<string>> {
  const changed = new Set<string>()
  for (const sessionId of sessionIds) {
    const rows = currentSessionRows(await speed.readSession(view, sessionId))
    if (!rows.every((row) => asOf.isBelowCut(row))) changed.add(sessionId)
  }
  return changed
}

function withHistory(row: SessionRow, history: ComparedSession): SessionRow {
  const { parts, closed, lost, duplicates, rejected, clockOffsetMs, lastLoggedAtMs } = history
  return {
    ...row,
    parts,
    closed,
    clockOffsetMs,
    lastLoggedAtMs,
    quality: { ...row.quality, lost, duplicates, rejected },
  }
}

function* chunks<Item>(items: readonly Item[]): Generator<readonly Item[]> {
  for (let first = 0; first < items.length; first += RECONCILE_ROWS_PER_WRITE)
    yield items.slice(first, first + RECONCILE_ROWS_PER_WRITE)
}
