import fc from 'fast-check'
import { expect, test } from 'vitest'
import { SeqTracker } from './seq-tracker.ts'

/** Settles a seq that is new, as a session does: at once at the mark, or ahead of it. */
function settle(tracker: SeqTracker<string>, seq: number): string[] {
  const turns: string[] = []
  tracker.insertAhead({ seq, waiting: `${seq}` })
  for (let entry = tracker.takeAtMark(); entry !== undefined; entry = tracker.takeAtMark())
    if (entry.waiting !== undefined) {
      turns.push(entry.waiting)
      tracker.markSeen(entry.seq)
    }
  return turns
}

test('events have their turn in seq order, whatever the order they come in', () => {
  fc.assert(
    fc.property(
      fc.shuffledSubarray(
        Array.from({ length: 30 }, (_, seq) => seq),
        { minLength: 30 },
      ),
      (order) => {
        const tracker = new SeqTracker<string>(4)
        const turns = order.flatMap((seq) => settle(tracker, seq))
        expect(turns.map(Number)).toEqual(Array.from({ length: 30 }, (_, seq) => seq))
        expect(tracker.missingCount).toBe(0)
        expect(tracker.waitingCount).toBe(0)
      },
    ),
  )
})

test('a gap that is skipped is remembered, and what fills it leaves the range', () => {
  const tracker = new SeqTracker<string>(4)
  expect(settle(tracker, 5)).toEqual([])
  expect(tracker.lowestWaiting()).toBe('5')
  tracker.skipLowestGap()
  expect(tracker.mark).toBe(5)
  expect(tracker.standing(3)).toBe('skipped')
  tracker.leaveSkipped(3)
  expect(['known', 'skipped', 'skipped']).toEqual([3, 2, 4].map((seq) => tracker.standing(seq)))
  expect(tracker.standing(5)).toBe('known')
  expect(tracker.standing(6)).toBe('new')
})

test('beyond the bound on ranges the lowest is forgotten, and everything below with it', () => {
  const tracker = new SeqTracker<string>(2)
  for (const seq of [2, 5, 8]) {
    tracker.insertAhead({ seq, waiting: `${seq}` })
    tracker.skipLowestGap()
    expect(tracker.takeAtMark()?.seq).toBe(seq)
  }
  expect(tracker.state().skipped).toEqual([
    [3, 4],
    [6, 7],
  ])
  expect([0, 1, 2].map((seq) => tracker.standing(seq))).toEqual(['forgotten', 'forgotten', 'known'])
})

test('a rejected seq fills its gap without waiting', () => {
  const tracker = new SeqTracker<string>(4)
  tracker.insertAhead({ seq: 1, waiting: undefined })
  expect(tracker.waitingCount).toBe(0)
  expect(tracker.lowestWaiting()).toBeUndefined()
  expect(settle(tracker, 0)).toEqual(['0'])
  expect(tracker.mark).toBe(2)
})

test('a restored tracker goes on as the original would', () => {
  const tracker = new SeqTracker<string>(4)
  for (const seq of [0, 3, 7, 4]) settle(tracker, seq)
  const copy = SeqTracker.restore<string>(structuredClone(tracker.state()), 4)
  for (const each of [tracker, copy]) {
    each.skipLowestGap()
    expect(each.takeAtMark()?.seq).toBe(3)
  }
  expect(copy.state()).toEqual(tracker.state())
  expect(copy.waitingCount).toBe(tracker.waitingCount)
})
