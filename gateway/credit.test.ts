import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Credit } from './credit.ts'

test('the welcome allows as many frames and bytes as the window', () => {
  const credit = new Credit({ frames: 2, bytes: 100 })
  expect(credit.allows(0, 100)).toBe(true)
  expect(credit.allows(0, 101)).toBe(false)
  credit.received(0, 60)
  expect(credit.allows(1, 40)).toBe(true)
  expect(credit.allows(1, 41)).toBe(false)
  credit.received(1, 1)
  expect(credit.allows(2, 1)).toBe(false)
})

test('an acknowledgement moves both edges, and tells the full window again', () => {
  const credit = new Credit({ frames: 2, bytes: 100 })
  credit.received(0, 60)
  credit.received(1, 40)
  credit.acknowledge(0, true)
  expect([credit.framesLeft, credit.bytesLeft]).toEqual([2, 100])
  expect(credit.allows(2, 60)).toBe(true)
  expect(credit.allows(2, 61)).toBe(false)
  expect(credit.allows(3, 1)).toBe(false)
})

test('held back, the edges stand still while acknowledgements go on, and are never withdrawn', () => {
  const credit = new Credit({ frames: 2, bytes: 100 })
  credit.received(0, 60)
  credit.acknowledge(0, false)
  expect([credit.framesLeft, credit.bytesLeft]).toEqual([1, 40])
  expect(credit.isHeldBack).toBe(true)
  expect(credit.allows(1, 40)).toBe(true)
  expect(credit.allows(2, 1)).toBe(false)
  credit.acknowledge(0, true)
  expect([credit.framesLeft, credit.bytesLeft]).toEqual([2, 100])
  expect(credit.isHeldBack).toBe(false)
})

test('frames that are sent again take their place, not a second one', () => {
  const credit = new Credit({ frames: 4, bytes: 100 })
  credit.received(0, 30)
  credit.received(1, 30)
  credit.received(2, 40)
  credit.rewindTo(1)
  expect(credit.allows(1, 70)).toBe(true)
  credit.received(1, 30)
  expect(credit.allows(2, 41)).toBe(false)
  credit.acknowledge(1, true)
  credit.rewindTo(2)
  expect(credit.allows(2, 100)).toBe(true)
})

test('a client that keeps the rule is never beyond the edge, whatever is held back or rewound', () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant('send'), bytes: fc.integer({ min: 1, max: 50 }) }),
    fc.record({ kind: fc.constant('ack'), share: fc.double({ min: 0, max: 1, noNaN: true }) }),
    fc.record({ kind: fc.constant('hold'), share: fc.double({ min: 0, max: 1, noNaN: true }) }),
    fc.record({ kind: fc.constant('rewind'), share: fc.double({ min: 0, max: 1, noNaN: true }) }),
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const credit = new Credit({ frames: 8, bytes: 100 })
      // The client's own reckoning, from what it is told alone.
      let ack = -1
      let ackBytes = 0
      let inFlight: number[] = []
      let edgeFrame = 7
      let edgeBytes = 100
      for (const each of steps) {
        const share = 'share' in each ? each.share : 0
        if (each.kind === 'send' && 'bytes' in each) {
          const frame = ack + 1 + inFlight.length
          const end = ackBytes + inFlight.reduce((sum, bytes) => sum + bytes, 0) + each.bytes
          const mayGo = frame <= edgeFrame && end <= edgeBytes
          if (credit.allows(frame, each.bytes) !== mayGo) return false
          if (!mayGo) continue
          credit.received(frame, each.bytes)
          inFlight.push(each.bytes)
        } else if (each.kind === 'rewind') {
          const keep = Math.floor(share * inFlight.length)
          if (keep === inFlight.length) continue
          credit.rewindTo(ack + 1 + keep)
          inFlight = inFlight.slice(0, keep)
        } else {
          for (const bytes of inFlight.splice(0, Math.ceil(share * inFlight.length))) {
            ack += 1
            ackBytes += bytes
          }
          credit.acknowledge(ack, each.kind === 'ack')
          edgeFrame = Math.max(edgeFrame, ack + credit.framesLeft)
          edgeBytes = Math.max(edgeBytes, ackBytes + credit.bytesLeft)
        }
      }
      return true
    }),
  )
})
