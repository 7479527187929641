import fc from 'fast-check'
import { expect, test } from 'vitest'
import { AckWindow } from './ack-window.ts'

test('the edge waits for the frame that is missing, then takes all at once', () => {
  const window = new AckWindow(4)
  expect(window.settle(1)).toBe(false)
  expect(window.settle(2)).toBe(false)
  expect(window.edge).toBe(-1)
  expect(window.settle(0)).toBe(true)
  expect(window.edge).toBe(2)
})

test('what is forgotten has to be settled again', () => {
  const window = new AckWindow(4)
  window.settle(0)
  window.settle(2)
  window.forgetFrom(2)
  window.settle(1)
  expect(window.edge).toBe(1)
  window.settle(2)
  expect(window.edge).toBe(2)
})

test('a frame outside the window is a defect, at both ends', () => {
  const window = new AckWindow(4)
  window.settle(0)
  expect(() => window.settle(0)).toThrow('assertion failed')
  expect(() => window.settle(5)).toThrow('assertion failed')
  window.settle(4)
})

test('in any order of settling the edge is the end of the run without gaps', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 70 }).chain((size) =>
        fc.record({
          size: fc.constant(size),
          rounds: fc.array(
            fc.shuffledSubarray(
              Array.from({ length: size }, (_, index) => index),
              { minLength: 0 },
            ),
            { maxLength: 6 },
          ),
        }),
      ),
      ({ size, rounds }) => {
        const window = new AckWindow(size)
        const settled = new Set<number>()
        for (const round of rounds) {
          const base = window.edge + 1
          for (const index of round) {
            const frame = base + index
            // Within a round the edge moves on: what is behind it is settled already.
            if (settled.has(frame)) continue
            window.settle(frame)
            settled.add(frame)
            let edge = -1
            while (settled.has(edge + 1)) edge += 1
            expect(window.edge).toBe(edge)
          }
        }
      },
    ),
  )
})
