import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { openFolderObjectStore } from '../../shared/objects/folder-object-store.ts'
import { ManualClock } from '../../shared/runtime/clock.ts'
import { REPLAY_VIEWS_MAX } from '../limits.ts'
import { rememberView, replayedViews } from './replayed-views.ts'

test('views are remembered once each, up to their bound', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'backhaul-views-'))
  const objects = await openFolderObjectStore({ folder, clock: new ManualClock() })
  const views = Array.from({ length: REPLAY_VIEWS_MAX }, (_, index) => `view-${index}`).toSorted()
  for (const view of views) await rememberView(objects, view)
  const [known = ''] = views
  await rememberView(objects, known)
  expect(await replayedViews(objects)).toEqual(views)
  await expect(rememberView(objects, 'one-more')).rejects.toMatchObject({
    code: 'BATCH_REPLAY_VIEWS_TOO_MANY',
  })
  expect(await replayedViews(objects)).toEqual(views)
  await objects.close()
  await rm(folder, { recursive: true, force: true })
})
