import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { murmur2, partitionOf } from './partitioner.ts'

const utf8 = (text: string) => new TextEncoder().encode(text)

const textOf = (pointMax: number, maxLength: number) =>
  fc.array(fc.nat(pointMax), { maxLength }).map((points) => String.fromCodePoint(...points))
/** Of any code points, lone surrogates too. */
const anyText = textOf(0x10_ffff, 20)
/** Of code points that mostly take one byte, and are often too many for a short key. */
const narrowText = textOf(0x83, 200)

describe('murmur2', () => {
  it.each([
    ['21', -973_932_308],
    ['foobar', -790_332_482],
    ['a-little-bit-long-string', -985_981_536],
    ['a-little-bit-longer-string', -1_486_304_829],
    ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58_897_971],
    ['abc', 479_470_107],
  ])('hashes %j as Kafka’s Java client does', (key, hash) => {
    expect(murmur2(utf8(key))).toBe(hash)
  })

  it('reads a view at an odd offset of a larger buffer', () => {
    const padded = new Uint8Array(10)
    padded.set(utf8('foobar'), 3)
    expect(murmur2(padded.subarray(3, 9))).toBe(-790_332_482)
  })
})

describe('partitionOf', () => {
  it('masks the sign instead of taking the absolute value', () => {
    expect(partitionOf('21', 12)).toBe((-973_932_308 & 0x7fff_ffff) % 12)
    expect(partitionOf('21', 12)).not.toBe(973_932_308 % 12)
  })

  it('hashes the UTF-8 bytes of the key', () => {
    expect(partitionOf('séance-ü-🎬', 1_000)).toBe(
      (murmur2(Buffer.from('séance-ü-🎬', 'utf8')) & 0x7fff_ffff) % 1_000,
    )
  })

  it('takes short and long keys, ASCII or not, for their UTF-8 bytes', () => {
    const keys = fc.oneof(anyText, narrowText, fc.string({ maxLength: 200 }))
    fc.assert(
      fc.property(keys, (key) => {
        expect(partitionOf(key, 1_000)).toBe((murmur2(utf8(key)) & 0x7fff_ffff) % 1_000)
      }),
    )
  })

  it('always names an existing partition', () => {
    fc.assert(
      fc.property(anyText, fc.integer({ min: 1, max: 1_000 }), (key, count) => {
        const partition = partitionOf(key, count)
        expect(Number.isInteger(partition) && partition >= 0 && partition < count).toBe(true)
      }),
    )
  })
})
