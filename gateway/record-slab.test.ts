import { expect, test } from 'vitest'
import { RECORD_SLAB_BYTES, RECORD_SLAB_SHARE } from './limits.ts'
import { RecordSlab } from './record-slab.ts'

test('records lie one behind another, none over another, in pieces of one size', () => {
  const slab = new RecordSlab()
  const taken = Array.from({ length: 300 }, (_, index) => slab.take(1 + ((index * 97) % 2_000)))
  for (const [index, bytes] of taken.entries()) bytes.fill(index % 256)
  for (const [index, bytes] of taken.entries()) {
    expect(bytes.length).toBe(1 + ((index * 97) % 2_000))
    expect(bytes.every((byte) => byte === index % 256)).toBe(true)
    expect(bytes.buffer.byteLength).toBe(RECORD_SLAB_BYTES)
  }
  const used = taken.reduce((sum, { length }) => sum + length, 0)
  const pieces = new Set(taken.map(({ buffer }) => buffer)).size
  expect(pieces).toBeLessThanOrEqual(Math.ceil(used / (RECORD_SLAB_BYTES - 2_000)))
})

test('a large record has memory of its own, and none but its own', () => {
  const slab = new RecordSlab()
  const small = slab.take(10)
  const large = slab.take(RECORD_SLAB_BYTES * RECORD_SLAB_SHARE + 1)
  expect(large.buffer.byteLength).toBe(large.length)
  expect(slab.take(10).buffer).toBe(small.buffer)
})
