import { expect, it } from 'vitest'
import { beginRestore, createPartitionFold, restorePartitionFold } from './partition-fold.ts'
import {
  BASE_MS,
  foldOptions,
  frameRecord,
  playbackEvent,
  snapshotOf,
} from './testing/fold-harness.ts'

function foldOfSessions(count: number) {
  const fold = createPartitionFold(foldOptions())
  for (let offset = 0; offset < count; offset += 1) {
    const context = { sessionId: `s${offset}`, cdn: 'a', viewerPseudonym: 'f'.repeat(32) }
    const events = [playbackEvent('playbackRequest', 0, BASE_MS)]
    fold.apply(frameRecord({ offset, loggedAtMs: BASE_MS, context, events }))
  }
  return fold
}

it('is read in slices to the same fold as in one go', () => {
  const bytes = snapshotOf(foldOfSessions(5))
  const restore = beginRestore(foldOptions(), bytes)
  let slices = 1
  let restored = restore.next(2)
  for (; restored === undefined; restored = restore.next(2)) slices += 1
  expect(slices).toBeGreaterThan(3)
  expect(restored.status).toEqual(restorePartitionFold(foldOptions(), bytes).status)
  expect(Buffer.from(snapshotOf(restored)).toString()).toBe(Buffer.from(bytes).toString())
})

it('is refused without its header, of another version, and with what it does not know', () => {
  const begin = (text: string) => () => beginRestore(foldOptions(), Buffer.from(text))
  expect(begin('')).toThrow('without its header')
  expect(begin('{"k":"pane"}\n')).toThrow('without its header')
  expect(begin('{"k":"fold","version":99}\n')).toThrow('snapshot version 99, expected 1')
  const header = Buffer.from(snapshotOf(createPartitionFold(foldOptions()))).toString()
  expect(() => begin(`${header}{"k":"other"}\n`)().next(1)).toThrow('unknown snapshot entry other')
})
