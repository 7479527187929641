import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { ObjectStore } from '../../shared/objects/object-store.ts'
import { openFolderObjectStore } from '../../shared/objects/folder-object-store.ts'
import { ManualClock } from '../../shared/runtime/clock.ts'
import { REPLAY_VIEWS_MAX } from '../limits.ts'
import { rememberView, replayedViews } from './replayed-views.ts'

let folder: string
let objects: ObjectStore

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'backhaul-views-'))
  objects = await openFolderObjectStore({ folder, clock: new ManualClock() })
})
afterEach(async () => {
  await objects.close()
  await rm(folder, { recursive: true, force: true })
})

test('views are remembered once each, up to their bound', async () => {
  const views = Array.from({ length: REPLAY_VIEWS_MAX }, (_, index) => `view-${index}`).toSorted()
  for (const view of views) await rememberView(objects, view)
  const [known = ''] = views
  await rememberView(objects, known)
  expect(await replayedViews(objects)).toEqual(views)
  await expect(rememberView(objects, 'one-more')).rejects.toMatchObject({
    code: 'BATCH_REPLAY_VIEWS_TOO_MANY',
  })
  expect(await replayedViews(objects)).toEqual(views)
})

test('a view that was begun with a range is gone on with by no other', async () => {
  const range = { partition: 0, fromOffset: 0, toOffset: 5 }
  await rememberView(objects, 'of-a-range', range)
  await rememberView(objects, 'of-a-range', range)
  await rememberView(objects, 'whole')
  const taken = { code: 'BATCH_REPLAY_VIEW_TAKEN' }
  for (const other of [undefined, { ...range, partition: 1 }, { ...range, toOffset: 6 }])
    await expect(rememberView(objects, 'of-a-range', other)).rejects.toMatchObject(taken)
  await expect(rememberView(objects, 'whole', range)).rejects.toMatchObject(taken)
  expect(await replayedViews(objects)).toEqual(['of-a-range', 'whole'])
})
