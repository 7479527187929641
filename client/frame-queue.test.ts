import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  cutFrames,
  frameBody,
  frameBytesAtMost,
  framePrefix,
  FrameQueue,
  recutFrame,
  utf8Length,
} from './frame-queue.ts'
import type { PlaybackEvent } from './protocol-types.ts'

const customs = fc
  .array(fc.string({ unit: 'binary', maxLength: 80 }), { minLength: 1, maxLength: 40 })
  .map((values) =>
    values.map((value, seq): PlaybackEvent => ({ seq, type: 'custom', at: seq, name: 'n', value })),
  )
const bounds = fc.record({
  bytesMax: fc.integer({ min: 200, max: 4_000 }),
  eventsMax: fc.integer({ min: 1, max: 50 }),
})

describe('cutting frames', () => {
  test('keeps every event once and in order, within both bounds, at any two cuts', () => {
    fc.assert(
      fc.property(customs, bounds, bounds, (events, first, second) => {
        const once = cutFrames({ sessionId: 'säßion' }, events, first)
        const twice = once.frames.map((frame) => recutFrame(frame, second))
        const frames = twice.flatMap((cut) => cut.frames)
        for (const frame of frames) {
          expect(frame.events.length).toBeLessThanOrEqual(second.eventsMax)
          expect(frameBytesAtMost(frame)).toBeLessThanOrEqual(second.bytesMax)
          const text =
            framePrefix(Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER) + frameBody(frame)
          expect(Buffer.byteLength(text)).toBe(frameBytesAtMost(frame))
          expect(JSON.parse(text)).toMatchObject({ session: { sessionId: 'säßion' } })
        }
        const lost = [...once.tooLarge, ...twice.flatMap((cut) => cut.tooLarge)]
        const kept = frames.flatMap((frame) => frame.events)
        expect(kept.map((event) => event.seq)).toEqual(
          kept.map((event) => event.seq).toSorted((a, b) => a - b),
        )
        expect([...kept, ...lost].map((event) => event.json).toSorted()).toEqual(
          events.map((event) => JSON.stringify(event)).toSorted(),
        )
      }),
    )
  })

  test('a frame takes as many events as fit: one byte less and the last moves on', () => {
    const events = [0, 1, 2].map((seq): PlaybackEvent => ({ seq, type: 'sessionEnd', at: 7 }))
    const session = { sessionId: 's' }
    const whole = cutFrames(session, events, { bytesMax: 10_000, eventsMax: 10 }).frames
    expect(whole).toHaveLength(1)
    const bytes = whole[0] === undefined ? 0 : frameBytesAtMost(whole[0])
    const cutAt = (bytesMax: number) =>
      cutFrames(session, events, { bytesMax, eventsMax: 10 }).frames.map(
        (frame) => frame.events.length,
      )
    expect(cutAt(bytes)).toEqual([3])
    expect(cutAt(bytes - 1)).toEqual([2, 1])
  })
})

test('utf8Length counts as TextEncoder does', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      const json = JSON.stringify(text)
      expect(utf8Length(json)).toBe(new TextEncoder().encode(json).length)
    }),
  )
  expect(utf8Length('aé€😀')).toBe(1 + 2 + 3 + 4)
})

test('the queue counts frames, events and bytes through pushes, replacements and removals', () => {
  const queue = new FrameQueue()
  const events = [0, 1, 2, 3].map((seq): PlaybackEvent => ({ seq, type: 'sessionEnd', at: 7 }))
  const cutInto = (eventsMax: number) =>
    cutFrames({ sessionId: 's' }, events, { bytesMax: 10_000, eventsMax }).frames
  queue.push(cutInto(4))
  queue.push(cutInto(4))
  queue.replace(0, cutInto(1))
  expect([queue.frames, queue.events]).toEqual([5, 8])
  expect(queue.from(1)).toHaveLength(4)
  expect(queue.first(2)).toEqual(cutInto(1).slice(0, 2))
  expect(queue.removeFirst(5)).toHaveLength(5)
  expect([queue.frames, queue.events, queue.bytes]).toEqual([0, 0, 0])
})
