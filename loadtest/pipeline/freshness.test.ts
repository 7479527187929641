import { expect, test } from 'vitest'
import { DELAY_MAX_MS, FreshnessOfCut, type SeenRecord } from './freshness.ts'

const record = (offset: number, loggedAtMs: number, events = 1): SeenRecord => {
  return { partition: 0, offset, loggedAtMs, events, key: '[]' }
}

test('a record is as old as the first row that it is in, when that is read', () => {
  const cut = new FreshnessOfCut()
  cut.saw(0, '[]', 4, 10_900)
  cut.saw(0, '[]', 4, 11_000)
  cut.saw(0, '[]', 9, 11_400)
  cut.take(record(4, 10_500))
  cut.take(record(5, 10_600))
  expect(cut.between(0, 20_000)).toEqual({ events: 2, unseen: 0, p50Ms: 400, p99Ms: 800 })
})

test('a record that no row was seen with is told, and is older than any other', () => {
  const cut = new FreshnessOfCut()
  cut.saw(0, '[]', 4, 10_900)
  cut.take(record(4, 10_500, 98))
  cut.take(record(5, 10_600, 2))
  expect(cut.between(0, 20_000)).toEqual({
    events: 100,
    unseen: 2,
    p50Ms: 400,
    p99Ms: DELAY_MAX_MS,
  })
})

test('rows of another partition or key say nothing of a record', () => {
  const cut = new FreshnessOfCut()
  cut.saw(1, '[]', 9, 10_900)
  cut.saw(0, '["a"]', 9, 10_900)
  cut.take(record(4, 10_500))
  expect(cut.between(0, 20_000).unseen).toBe(1)
})

test('only what was appended in the time counts', () => {
  const cut = new FreshnessOfCut()
  cut.saw(0, '[]', 9, 40_000)
  cut.take(record(1, 10_000))
  cut.take(record(2, 39_000))
  expect(cut.between(30_000, 50_000)).toEqual({ events: 1, unseen: 0, p50Ms: 1_000, p99Ms: 1_000 })
})
