/**
 * The views of the speed store that replays have filled, or begun to: a view cannot be found by what
 * is in it, and an erasure must go through all of them.
 */
import type { ObjectStore } from '../../shared/objects/object-store.ts'
import { REPLAY_VIEWS_MAX } from '../limits.ts'
import { batchErrors } from '../errors.ts'
import { REPLAY_VIEWS_FOLDER, replayViewName } from '../object-names.ts'
import { createOnce, jsonBytes } from '../run-objects.ts'

/** Throws `BATCH_REPLAY_VIEWS_TOO_MANY`. */
export async function rememberView(objects: ObjectStore, view: string): Promise<void> {
  const views = await replayedViews(objects)
  if (views.length >= REPLAY_VIEWS_MAX && !views.includes(view))
    throw batchErrors.create('BATCH_REPLAY_VIEWS_TOO_MANY', {
      expected: `at most ${REPLAY_VIEWS_MAX} views of replays`,
      received: view,
    })
  await createOnce(objects, replayViewName(view), jsonBytes({ format: 1, view }))
}

export async function replayedViews(objects: ObjectStore): Promise<string[]> {
  const listed = await objects.list(REPLAY_VIEWS_FOLDER, { limit: REPLAY_VIEWS_MAX })
  return listed.map(({ name }) => name.slice(REPLAY_VIEWS_FOLDER.length, -'.json'.length))
}
