import fc from 'fast-check'
import { zstdDecompressSync } from 'node:zlib'
import { expect, it, test, vi } from 'vitest'
import { ZstdContext } from './zstd-context.ts'

test('one context serves all calls on the Node that this is pinned to', () => {
  expect(new ZstdContext().isReused).toBe(true)
})

test('on a Node that has no such call it compresses all the same', () => {
  const get = vi.spyOn(Reflect, 'get').mockReturnValue(undefined)
  const context = new ZstdContext()
  get.mockRestore()
  expect(context.isReused).toBe(false)
  const input = Buffer.from('{"a":1}'.repeat(100))
  expect(zstdDecompressSync(context.compress(input)).equals(input)).toBe(true)
})

it('compresses whatever comes, each call a frame of its own', () => {
  const context = new ZstdContext()
  const text = fc.string({ maxLength: 3_000 }).map((each) => Buffer.from(each.repeat(20)))
  const noise = fc.uint8Array({ maxLength: 3_000 }).map((each) => Buffer.from(each))
  fc.assert(
    fc.property(fc.oneof(text, noise), (input) => {
      expect(zstdDecompressSync(context.compress(input)).equals(input)).toBe(true)
    }),
  )
  expect(context.isReused).toBe(true)
})

it('makes room for what is larger, and for what does not become smaller', () => {
  const context = new ZstdContext()
  // A linear congruential generator: bytes without a pattern that zstd finds.
  let state = 1
  const noise = Buffer.from(
    Uint8Array.from({ length: 2_000_000 }, () => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
      return state >>> 24
    }),
  )
  for (const bytes of [0, 1, 262_144, 2_000_000, 5]) {
    const input = noise.subarray(0, bytes)
    expect(zstdDecompressSync(context.compress(input)).equals(input), `${bytes}`).toBe(true)
  }
  expect(context.isReused).toBe(true)
})
