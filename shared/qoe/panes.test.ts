import { expect, test } from 'vitest'
import { COUNTER_NAMES, MINUTE_MS } from './aggregates.ts'
import { CopyOnWrite } from './copy-on-write.ts'
import { parseCut } from './cuts.ts'
import { DEFAULT_FOLD_LIMITS, type FoldOptions } from './fold.ts'
import { PaneStore } from './panes.ts'

const EVENTS = COUNTER_NAMES.indexOf('events')
const MINUTE = 1_800_000_000_000
const limits = { ...DEFAULT_FOLD_LIMITS, keysPerCutMinuteMax: 2 }
const PANE_LIFE_MS =
  limits.allowedLatenessMs + limits.sessionTimeoutMs + limits.reorderMs + limits.outOfOrdernessMs
const options: FoldOptions = {
  origin: { view: 'v', topicEpoch: 1, partition: 0, generation: 1 },
  limits,
  cuts: [parseCut('total'), parseCut('content')],
  rowRetentionMs: 1_000,
}

function storeOf() {
  const store = new PaneStore(options, new CopyOnWrite())
  store.beginRecord(10)
  const add = (contentId: string, minuteMs = MINUTE) => {
    const keySet = store.keySet({ contentId }, undefined)
    const panes = store.forWrite(keySet, minuteMs)
    for (const pane of panes) pane.add(EVENTS, 1)
    return panes
  }
  return { store, add }
}

test('a row has the stamp of its last change within the pane, and its expiry', () => {
  const { store, add } = storeOf()
  add('m')
  store.beginRecord(14)
  add('m')
  const [pane] = store.takeDirty('narrow', 10)
  expect(pane && store.row(pane)).toMatchObject({
    cut: 'total',
    key: '[]',
    minuteStartMs: MINUTE,
    stampUs: MINUTE * 1_000 + 5,
    lastOffset: 14,
    expiresAtMs: MINUTE + MINUTE_MS + 1_000,
    aggregates: { events: 2 },
  })
})

test('keys beyond the cap of a cut and minute go to other, and other minutes have their own cap', () => {
  const { store, add } = storeOf()
  for (const content of ['a', 'b', 'c', 'd', 'a']) add(content)
  add('d', MINUTE + MINUTE_MS)
  const rows = store.takeDirty('wide', 10).map((pane) => store.row(pane))
  expect(rows.map((row) => [row.minuteStartMs - MINUTE, row.key, row.aggregates.events])).toEqual([
    [0, '["a"]', 2],
    [0, '["b"]', 1],
    [0, '["other"]', 2],
    [MINUTE_MS, '["d"]', 1],
  ])
})

test('a minute is closed once the watermark is beyond its pane life, and not before', () => {
  const { store, add } = storeOf()
  store.closeUpTo(MINUTE + MINUTE_MS + PANE_LIFE_MS)
  expect(add('m')).toHaveLength(2)
  store.closeUpTo(MINUTE + MINUTE_MS + PANE_LIFE_MS + 1)
  expect(add('m')).toHaveLength(0)
  expect(add('m', MINUTE + MINUTE_MS)).toHaveLength(2)
})

test('a closed pane stays until its last row is acknowledged', () => {
  const { store, add } = storeOf()
  add('m')
  const first = store.takeDirty('narrow', 10)
  store.takeDirty('wide', 10).forEach((pane) => store.acknowledge(pane))
  add('m')
  store.closeUpTo(MINUTE + MINUTE_MS + PANE_LIFE_MS + 1)
  first.forEach((pane) => store.acknowledge(pane))
  expect(store.count).toBe(2)
  for (const width of ['narrow', 'wide'] as const)
    store.takeDirty(width, 10).forEach((pane) => store.acknowledge(pane))
  expect(store.count).toBe(0)
})

test('a held minute keeps its panes for what may still be lost', () => {
  const { store, add } = storeOf()
  add('m')
  store.hold(MINUTE)
  for (const width of ['narrow', 'wide'] as const)
    store.takeDirty(width, 10).forEach((pane) => store.acknowledge(pane))
  store.closeUpTo(MINUTE + MINUTE_MS + PANE_LIFE_MS + 1)
  expect(store.count).toBe(2)
  expect(store.forLost(store.keySet({ contentId: 'm' }, undefined), MINUTE)).toHaveLength(2)
  for (const width of ['narrow', 'wide'] as const)
    store.takeDirty(width, 10).forEach((pane) => store.acknowledge(pane))
  store.release(MINUTE)
  expect(store.count).toBe(0)
})

test('sums beyond 2^53 are exact', () => {
  const { add } = storeOf()
  const [total] = add('m')
  for (let i = 0; i < 10_000; i++) total?.addBits(1_919_999_999_999_999)
  expect(total?.aggregates().bitsPlayed).toBe(1_919_999_999_999_999n * 10_000n)
})
