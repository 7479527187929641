import fc from 'fast-check'
import { expect, test } from 'vitest'
import { DeadlineHeap } from './deadline-heap.ts'

test('deadlines come out in order, ties by order, and only those before the time asked', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(50), { maxLength: 60 }), fc.nat(50), (keys, nowMs) => {
      const heap = new DeadlineHeap<{ order: number }>()
      keys.forEach((keyMs, order) => heap.push(keyMs, { order }))
      const popped: [number, number][] = []
      for (let due = heap.popBefore(nowMs); due !== undefined; due = heap.popBefore(nowMs))
        popped.push([due.keyMs, due.item.order])
      const expected = keys
        .map((keyMs, order): [number, number] => [keyMs, order])
        .filter(([keyMs]) => keyMs < nowMs)
        .sort((a, b) => a[0] - b[0] || a[1] - b[1])
      expect(popped).toEqual(expected)
      expect(heap.size).toBe(keys.length - expected.length)
    }),
  )
})
