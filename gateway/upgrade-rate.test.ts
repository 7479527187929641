import { expect, test } from 'vitest'
import { ManualClock } from '../shared/runtime/clock.ts'
import { seededRandom } from '../shared/runtime/random.ts'
import { UPGRADE_RETRY_MAX_MS } from './limits.ts'
import { UpgradeRate } from './upgrade-rate.ts'

test('the burst opens at once; after that the rate, and nobody waits for ever', async () => {
  const clock = new ManualClock()
  const rate = new UpgradeRate({ perSecond: 100, burst: 50 }, clock, seededRandom(5))
  const storm = (count: number) => Array.from({ length: count }, () => rate.refusal())
  expect(storm(50).every((refusal) => refusal === undefined)).toBe(true)
  const refused = storm(100_000).map((refusal) => refusal?.retryAfterMs ?? 0)
  expect(Math.min(...refused)).toBeGreaterThanOrEqual(500)
  expect(Math.max(...refused)).toBeLessThanOrEqual(1.5 * UPGRADE_RETRY_MAX_MS)
  await clock.advance(100)
  expect(storm(11).map((refusal) => refusal === undefined)).toEqual([
    ...Array.from({ length: 10 }, () => true),
    false,
  ])
})

test('a storm of clients that do as told comes back at the rate, not all at once', async () => {
  const clock = new ManualClock()
  const perSecond = 100
  const rate = new UpgradeRate({ perSecond, burst: 100 }, clock, seededRandom(5))
  let waiting = Array.from({ length: 2_000 }, () => 0)
  let opened = 0
  const asked = new Map<number, number>()
  while (waiting.length > 0 && clock.monotonicMs() < 120_000) {
    const nowMs = clock.monotonicMs()
    const due = waiting.filter((atMs) => atMs <= nowMs)
    waiting = waiting.filter((atMs) => atMs > nowMs)
    if (nowMs > 0) {
      const second = Math.floor(nowMs / 1_000)
      asked.set(second, (asked.get(second) ?? 0) + due.length)
    }
    for (const _client of due) {
      const refusal = rate.refusal()
      if (refusal === undefined) opened += 1
      else waiting.push(nowMs + refusal.retryAfterMs)
    }
    await clock.advance(10)
  }
  expect(opened).toBe(2_000)
  expect(Math.max(...asked.values())).toBeLessThanOrEqual(4 * perSecond)
  expect(clock.monotonicMs()).toBeLessThan(60_000)
})
