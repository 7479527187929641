import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import {
  createErasureReader,
  ERASURES_REFRESH_MS,
  type ErasureReader,
} from '../shared/objects/erasures.ts'
import { openFolderObjectStore } from '../shared/objects/folder-object-store.ts'
import type { ObjectStore } from '../shared/objects/object-store.ts'
import { ManualClock } from '../shared/runtime/clock.ts'
import type { SessionRow } from '../shared/speed/rows.ts'
import { createErasedSessions } from './erased-sessions.ts'
import { TEST_EPOCH_MS, TestPartition } from './testing/test-partition.ts'
import { TEST_VIEW } from './testing/test-stores.ts'

const PSEUDONYM = 'a'.repeat(32)
const ERASED_AT_MS = TEST_EPOCH_MS + 60_000
let folder: string
let objects: ObjectStore
let clock: ManualClock
let reader: ErasureReader

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'backhaul-erased-'))
  clock = new ManualClock()
  objects = await openFolderObjectStore({ folder, clock })
  reader = createErasureReader(objects, clock)
})
afterEach(async () => {
  await objects.close()
  await rm(folder, { recursive: true, force: true })
})

const write = (name: string, value: object) =>
  objects.create(`erasures/v/${name}`, Buffer.from(JSON.stringify(value)))
const record = { erasedAtMs: ERASED_AT_MS, pseudonyms: [PSEUDONYM] }

async function shown(change: Partial<SessionRow>): Promise<number> {
  const partition = new TestPartition().frame({
    loggedAtMs: TEST_EPOCH_MS,
    events: [{ seq: 0, type: 'playbackRequest', at: TEST_EPOCH_MS - 10 }],
  })
  await partition.flush()
  const rows = await partition.speed.readSession(TEST_VIEW, 's-1')
  const [row] = rows
  if (row === undefined) throw new Error('the partition has a session')
  return (await createErasedSessions(reader).withoutErased([{ ...row, ...change }])).length
}
const ofViewer = { contextJson: JSON.stringify({ sessionId: 's-1', viewerPseudonym: PSEUDONYM }) }

it('hides what began before the request, and shows what the viewer did later', async () => {
  expect(await shown(ofViewer)).toBe(1)
  await write('0001-record.json', record)
  await clock.advance(ERASURES_REFRESH_MS)
  expect(await shown({ ...ofViewer, firstReceivedAtMs: ERASED_AT_MS })).toBe(0)
  expect(await shown({ ...ofViewer, firstReceivedAtMs: ERASED_AT_MS + 1 })).toBe(1)
  expect(await shown({})).toBe(1)
})

it('hides the sessions of a plan for good, and heeds no proof', async () => {
  await write('0001-plan.json', { erasedAtMs: ERASED_AT_MS, sessions: ['s-1'] })
  await write('0001-proof.json', { sessions: 1 })
  expect(await shown({ firstReceivedAtMs: ERASED_AT_MS + 1 })).toBe(0)
})

it('shows nothing while a record cannot be read', async () => {
  await write('0001-record.json', { erasedAtMs: 'soon' })
  await expect(shown({})).rejects.toMatchObject({ code: 'ERASURE_RECORD_INVALID' })
})
