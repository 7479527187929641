import fc from 'fast-check'
import { expect, test } from 'vitest'
import { RateLimit } from './rate-limit.ts'

test('the burst goes at once, then the sustained rate', () => {
  const limit = new RateLimit({ perSecond: 10, burst: 4 }, 0)
  expect([0, 0, 0, 0, 0].map((nowMs) => limit.take(nowMs))).toEqual([true, true, true, true, false])
  expect(limit.take(99)).toBe(false)
  expect(limit.take(100)).toBe(true)
})

test('who is refused waits for what is missing, and for half the burst', () => {
  const limit = new RateLimit({ perSecond: 10, burst: 4 }, 0)
  limit.spend(4)
  expect(limit.waitMs(1, 0)).toBe(200)
  expect(limit.waitMs(3, 0)).toBe(300)
  expect(limit.waitMs(100, 0)).toBe(400)
  expect(limit.waitMs(4, 10_000)).toBe(0)
})

test('tokens are there or not, as many as are asked for', () => {
  const limit = new RateLimit({ perSecond: 1_000, burst: 500 }, 0)
  expect([limit.has(500, 0), limit.has(501, 0)]).toEqual([true, false])
  limit.spend(300)
  expect([limit.has(200, 0), limit.has(201, 0), limit.has(201, 1)]).toEqual([true, false, true])
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
