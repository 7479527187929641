/**
 * The views of the speed store that replays have filled, or begun to: a view cannot be found by what
 * is in it, and an erasure must go through all of them.
 */
import type { ObjectStore } from '../../shared/objects/object-store.ts'
import { BackhaulError } from '../../shared/runtime/errors.ts'
import { REPLAY_VIEWS_MAX } from '../limits.ts'
import { batchErrors } from '../errors.ts'
import { REPLAY_VIEWS_FOLDER, replayViewName } from '../object-names.ts'
import { createOnce, jsonBytes } from '../run-objects.ts'

/** Offsets of one partition of `playback.events`; `toOffset` is exclusive. */
export interface ViewRange {
  readonly partition: number
  readonly fromOffset: number
  readonly toOffset: number
}

/**
 * The range stays with the view: a replay that was killed leaves rows of it, which one of another
 * range would not write over. Throws `BATCH_REPLAY_VIEW_TAKEN` for another range than before, and
 * `BATCH_REPLAY_VIEWS_TOO_MANY`.
 */
export async function rememberView(
  objects: ObjectStore,
  view: string,
  range?: ViewRange,
): Promise<void> {
  const views = await replayedViews(objects)
  if (views.length >= REPLAY_VIEWS_MAX && !views.includes(view))
    throw batchErrors.create('BATCH_REPLAY_VIEWS_TOO_MANY', {
      expected: `at most ${REPLAY_VIEWS_MAX} views of replays`,
      received: view,
    })
  const ofRange = range && {
    partition: range.partition,
    fromOffset: range.fromOffset,
    toOffset: range.toOffset,
  }
  try {
    await createOnce(objects, replayViewName(view), jsonBytes({ format: 1, view, range: ofRange }))
  } catch (cause) {
    if (!(cause instanceof BackhaulError) || cause.code !== 'BATCH_OBJECT_DIFFERS') throw cause
    throw batchErrors.create('BATCH_REPLAY_VIEW_TAKEN', {
      expected: 'a new view, or the range with which its replay was begun',
      received: view,
      cause,
    })
  }
}

export async function replayedViews(objects: ObjectStore): Promise<string[]> {
  const listed = await objects.list(REPLAY_VIEWS_FOLDER, { limit: REPLAY_VIEWS_MAX })
  return listed.map(({ name }) => name.slice(REPLAY_VIEWS_FOLDER.length, -'.json'.length))
}
