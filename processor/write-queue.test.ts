import { describe, expect, it } from 'vitest'
import { MARKS_PER_QUEUE_MAX } from './limits.ts'
import { WriteQueue, type DurableRows, type Pacing } from './write-queue.ts'

const atOnce: Pacing = { markEveryMs: 1_000, delayMs: 0, spread: false }

function queueOf(pacing: Pacing) {
  const reached: number[] = []
  const durable: DurableRows[] = []
  const since: { oldestLoggedAtMs: number | undefined } = { oldestLoggedAtMs: undefined }
  const clock = { nowMs: 0 }
  let skipped = 0
  const queue = new WriteQueue({
    name: 'narrow',
    pacing,
    onReached: ({ offset }) => reached.push(offset),
    onDurable: (done) => durable.push(done),
    takeOldestLoggedAtMs: () => since.oldestLoggedAtMs,
    now: () => clock.nowMs,
    onMarkSkipped: () => (skipped += 1),
  })
  const mark = (offset: number, waiting: number, nowMs: number) =>
    queue.mark({ offset, watermarkMs: offset }, waiting, nowMs)
  return { queue, reached, durable, since, clock, mark, skipped: () => skipped }
}

describe('a write queue', () => {
  it('sets a mark as often as its pacing says', () => {
    const { queue, reached } = queueOf(atOnce)
    for (const nowMs of [0, 250, 500, 999, 1_000, 1_250, 2_000])
      queue.markByTime({ offset: nowMs, watermarkMs: 0 }, 0, nowMs)
    expect(reached).toEqual([0, 1_000, 2_000])
  })

  it('has nothing due before a mark, and everything up to it after', () => {
    const { queue, mark } = queueOf(atOnce)
    expect(queue.due(5, 0)).toBe(0)
    mark(10, 5, 0)
    expect(queue.due(8, 0)).toBe(5)
  })

  it('tells how long after a mark its rows were durable, and of when they are, where there were any', () => {
    const { queue, mark, durable, clock, since } = queueOf(atOnce)
    mark(10, 0, 0)
    since.oldestLoggedAtMs = 7
    mark(20, 2, 0)
    const flight = queue.began(2, 0)
    clock.nowMs = 70
    queue.ended(flight)
    mark(30, 0, 70)
    expect(durable).toEqual([{ rows: 2, afterMs: 70, oldestLoggedAtMs: 7 }])
  })

  it('reaches a mark when all entries before it are durable, in whatever order they ended', () => {
    const { queue, mark, reached } = queueOf(atOnce)
    mark(10, 3, 0)
    const first = queue.began(2, 0)
    const second = queue.began(1, 0)
    mark(20, 1, 100)
    queue.ended(second)
    expect(reached).toEqual([])
    queue.ended(first)
    expect(reached).toEqual([10])
    queue.ended(queue.began(1, 100))
    expect(reached).toEqual([10, 20])
  })

  it('delays what is due', () => {
    const { queue, mark } = queueOf({ markEveryMs: 250, delayMs: 5_000, spread: false })
    mark(10, 4, 1_000)
    expect(queue.due(4, 5_999)).toBe(0)
    expect(queue.due(4, 6_000)).toBe(4)
  })

  it('spreads what is due evenly and never gives it in one go', () => {
    const { queue, mark } = queueOf({ markEveryMs: 10_000, delayMs: 0, spread: true })
    mark(10, 1_000, 0)
    const taken: number[] = []
    let waiting = 1_000
    for (let nowMs = 250; nowMs <= 10_000; nowMs += 250) {
      const due = queue.due(waiting, nowMs)
      taken.push(due)
      queue.ended(queue.began(due, nowMs))
      waiting -= due
    }
    expect(waiting).toBe(0)
    expect(Math.max(...taken)).toBe(25)
  })

  it('goes on with the next mark’s entries after those of a spread mark', () => {
    const { queue, mark } = queueOf({ markEveryMs: 1_000, delayMs: 0, spread: true })
    mark(10, 10, 0)
    mark(20, 30, 1_000)
    expect(queue.due(30, 1_500)).toBe(20)
  })

  it('counts on no entries that left it for another queue', () => {
    const { queue, mark, reached } = queueOf(atOnce)
    mark(10, 3, 0)
    expect(queue.due(1, 0)).toBe(1)
    queue.ended(queue.began(1, 0))
    expect(reached).toEqual([10])
  })

  it('tells how long its oldest write is under way', () => {
    const { queue } = queueOf(atOnce)
    expect(queue.oldestFlightMs(500)).toBe(0)
    const flight = queue.began(1, 500)
    queue.began(1, 700)
    expect(queue.oldestFlightMs(1_000)).toBe(500)
    queue.ended(flight)
    expect(queue.oldestFlightMs(1_000)).toBe(300)
  })

  it('remembers a bounded number of marks, skips further ones, and catches up', () => {
    const { queue, mark, reached, skipped } = queueOf(atOnce)
    for (let offset = 1; offset <= MARKS_PER_QUEUE_MAX + 2; offset += 1) mark(offset, 1, offset)
    expect(skipped()).toBe(2)
    queue.ended(queue.began(1, 0))
    expect(reached.at(-1)).toBe(MARKS_PER_QUEUE_MAX)
    mark(1_000, 0, 0)
    expect(reached.at(-1)).toBe(1_000)
  })
})
