import fc from 'fast-check'
import { expect, test } from 'vitest'
import { RateLimit } from './rate-limit.ts'

test('the burst goes at once, then the sustained rate', () => {
  const limit = new RateLimit({ perSecond: 10, burst: 3 }, 0)
  expect([0, 0, 0, 0].map((nowMs) => limit.take(nowMs))).toEqual([true, true, true, false])
  expect(limit.waitMs(1, 0)).toBe(100)
  expect(limit.take(99)).toBe(false)
  expect(limit.take(100)).toBe(true)
  expect(limit.waitMs(100, 100)).toBe(300)
  expect(limit.waitMs(3, 10_000)).toBe(0)
})

test('in any window no more is taken than the burst and the rate allow', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 50 }),
      fc.integer({ min: 1, max: 50 }),
      fc.array(fc.integer({ min: 0, max: 200 }), { maxLength: 300 }),
      (perSecond, burst, gapsMs) => {
        const limit = new RateLimit({ perSecond, burst }, 0)
        let nowMs = 0
        let taken = 0
        for (const gapMs of gapsMs) {
          nowMs += gapMs
          if (limit.take(nowMs)) taken += 1
        }
        expect(taken).toBeLessThanOrEqual(burst + (nowMs * perSecond) / 1_000 + 1e-6)
      },
    ),
  )
})

test('after the wait that was told there is a token', () => {
  const limit = new RateLimit({ perSecond: 3, burst: 2 }, 0)
  let nowMs = 0
  for (let round = 0; round < 100; round++) {
    while (limit.take(nowMs));
    nowMs += limit.waitMs(1, nowMs)
    expect(limit.take(nowMs)).toBe(true)
  }
})
