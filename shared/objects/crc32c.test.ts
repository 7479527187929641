import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { crc32c, crc32cOfObject } from './crc32c.ts'

describe('CRC-32C', () => {
  it('gives the values of the standards', () => {
    expect(crc32c(Buffer.from('123456789'))).toBe(0xe3069283)
    // RFC 3720, appendix B.4.
    expect(crc32c(new Uint8Array(32))).toBe(0x8a9136aa)
    expect(crc32c(new Uint8Array(32).fill(0xff))).toBe(0x62a8ab43)
    expect(crc32c(Uint8Array.from({ length: 32 }, (_, index) => index))).toBe(0x46dd794e)
    expect(crc32c(new Uint8Array(0))).toBe(0)
  })

  it('is the same in one step or several, at any alignment', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat({ max: 200 }), (bytes, at) => {
        const split = Math.min(at, bytes.length)
        const first = crc32c(bytes.subarray(0, split))
        expect(crc32c(bytes.subarray(split), first)).toBe(crc32c(bytes))
      }),
    )
  })

  it('of a large object is encoded as GCS does', async () => {
    expect(await crc32cOfObject(Buffer.from('123456789'))).toBe('4waSgw==')
    const large = Buffer.alloc(2_500_000, 'xyz')
    const expected = Buffer.alloc(4)
    expected.writeUInt32BE(crc32c(large))
    expect(await crc32cOfObject(large)).toBe(expected.toString('base64'))
  })
})
