import { beforeEach, describe, expect, it } from 'vitest'
import { ManualClock } from '../shared/runtime/clock.ts'
import { CatchUp } from './catch-up.ts'
import { CATCH_UP_AFTER_MS, CATCH_UP_WAIT_MAX_MS } from './limits.ts'

describe('a partition that catches up', () => {
  let clock: ManualClock
  let lastLoggedAtMs: number
  let isAtEnd: boolean
  let catchUp: CatchUp

  const lagBy = (lagMs: number) => (lastLoggedAtMs = clock.nowMs() - lagMs)
  const batchAtEnd = (atEnd: boolean) => {
    isAtEnd = atEnd
    catchUp.batchFolded()
  }

  beforeEach(() => {
    clock = new ManualClock()
    isAtEnd = false
    catchUp = new CatchUp({
      clock,
      lastLoggedAtMs: () => lastLoggedAtMs,
      isAtEnd: () => isAtEnd,
    })
  })

  it('lets rows wait as long as it lags, from the age on at which they count as stale', () => {
    lagBy(CATCH_UP_AFTER_MS - 1)
    expect(catchUp.waitMs()).toBe(0)
    lagBy(CATCH_UP_AFTER_MS)
    expect(catchUp.waitMs()).toBe(CATCH_UP_AFTER_MS)
    lagBy(CATCH_UP_AFTER_MS + 5_000)
    expect(catchUp.waitMs()).toBe(CATCH_UP_AFTER_MS + 5_000)
  })

  it('lets no row wait longer than its bound, however far it lags', () => {
    lagBy(7 * 24 * 60 * 60_000)
    expect(catchUp.waitMs()).toBe(CATCH_UP_WAIT_MAX_MS)
  })

  it('follows as soon as it comes to the end of the log', async () => {
    lagBy(40_000)
    batchAtEnd(false)
    expect(catchUp.waitMs()).toBe(40_000)
    batchAtEnd(true)
    expect(catchUp.waitMs()).toBe(0)
  })

  it('is behind only when it has not come to the end for a while, whatever the clocks say', async () => {
    lagBy(2 * 60 * 60_000)
    batchAtEnd(true)
    batchAtEnd(false)
    await clock.advance(CATCH_UP_AFTER_MS - 1)
    expect(catchUp.waitMs()).toBe(0)
    await clock.advance(1)
    expect(catchUp.waitMs()).toBe(CATCH_UP_WAIT_MAX_MS)
  })

  it('is not behind when a clock is early', () => {
    lagBy(-60_000)
    expect(catchUp.waitMs()).toBe(0)
  })
})
