/**
 * Removes a view that is not active: its rows, checkpoints and records of owners. Its id is never
 * used again, so that nothing of it can be taken for something of another. Safe to repeat.
 */
import type { Clock } from '../../shared/runtime/clock.ts'
import type { SpeedStore } from '../../shared/speed/speed-store.ts'
import { readActiveView } from '../../shared/views/active-view.ts'
import { viewErrors } from '../../shared/views/view-errors.ts'
import { markDropped, type ViewDescription } from '../../shared/views/view-registry.ts'
import { VIEW_DROP_WATCH_MS, VIEW_OBJECTS_PER_PAGE, VIEW_SESSIONS_PER_PAGE } from '../limits.ts'
import { replayViewName } from '../object-names.ts'
import type { ViewsParts } from './known-views.ts'

export interface DropParts extends ViewsParts {
  readonly clock: Clock
  /** How long rows stay after their minute, ms. */
  readonly rowRetentionMs: number
  readonly signal?: AbortSignal
  onProgress?(sessionsDone: number): void
}

export interface DroppedView {
  readonly view: string
  readonly sessions: number
  readonly checkpoints: number
}

/** Throws `VIEW_DROP_ACTIVE` and `VIEW_DROP_IN_USE`. */
export async function dropView(
  parts: DropParts,
  { view, cuts }: ViewDescription,
): Promise<DroppedView> {
  const { objects, speed, clock, rowRetentionMs } = parts
  if ((await readActiveView(objects))?.active.view === view)
    throw viewErrors.create('VIEW_DROP_ACTIVE', { received: view })
  await refuseInUse(parts, view)
  await markDropped(objects, view)
  const markedMs = clock.monotonicMs()
  const sessions = await deleteSessions(parts, view)
  const nowMs = clock.nowMs()
  await speed.deleteView(view, {
    cuts: cuts.map(({ id }) => id),
    fromMs: Math.max(0, nowMs - rowRetentionMs),
    toMs: nowMs,
  })
  const checkpoints = await deleteObjects(parts, `checkpoints/processor/${view}/`)
  await deleteObjects(parts, `processor/owners/${view}/`)
  await objects.delete(replayViewName(view))
  await clock.sleep(Math.max(0, markedMs + VIEW_DROP_WATCH_MS - clock.monotonicMs()))
  await refuseWrittenAgain(parts, view)
  return { view, sessions, checkpoints }
}

/** A processor that works on it would write again what is deleted. */
async function refuseInUse({ speed, clock }: DropParts, view: string): Promise<void> {
  const before = await stampsOf(speed, view)
  if (before === '') return
  await clock.sleep(VIEW_DROP_WATCH_MS)
  if ((await stampsOf(speed, view)) === before) return
  throw viewErrors.create('VIEW_DROP_IN_USE', {
    expected: `no progress of ${view} for ${VIEW_DROP_WATCH_MS} ms`,
    received: 'some',
  })
}

/** A processor that had begun before the view was marked, and had not told its progress yet. */
async function refuseWrittenAgain({ speed }: DropParts, view: string): Promise<void> {
  if ((await stampsOf(speed, view)) === '') return
  throw viewErrors.create('VIEW_DROP_IN_USE', {
    expected: `no progress of ${view} once its rows were deleted`,
    received: 'some: stop its processors and drop it again',
  })
}

async function stampsOf(speed: SpeedStore, view: string): Promise<string> {
  const rows = await speed.readPartitions(view)
  return rows
    .map(({ partition, generation, stampUs }) => `${partition}/${generation}@${stampUs}`)
    .toSorted()
    .join(' ')
}

async function deleteSessions(
  { speed, signal, onProgress }: DropParts,
  view: string,
): Promise<number> {
  let deleted = 0
  let afterSessionId: string | undefined
  for (;;) {
    const page = await speed.readSessions(view, {
      limit: VIEW_SESSIONS_PER_PAGE,
      ...(afterSessionId === undefined ? {} : { afterSessionId }),
    })
    if (page.length === 0) return deleted
    const ids = new Set(page.map(({ sessionId }) => sessionId))
    for (const id of ids) {
      signal?.throwIfAborted()
      await speed.deleteSession(view, id)
    }
    deleted += ids.size
    onProgress?.(deleted)
    afterSessionId = page.at(-1)?.sessionId
  }
}

async function deleteObjects({ objects, signal }: DropParts, prefix: string): Promise<number> {
  let deleted = 0
  for (;;) {
    const page = await objects.list(prefix, { limit: VIEW_OBJECTS_PER_PAGE })
    if (page.length === 0) return deleted
    for (const { name } of page) {
      signal?.throwIfAborted()
      await objects.delete(name)
    }
    deleted += page.length
  }
}
