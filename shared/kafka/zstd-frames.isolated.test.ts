import { randomBytes } from 'node:crypto'
import type * as Zlib from 'node:zlib'
import { createZstdCompress, zstdCompressSync } from 'node:zlib'
import { expect, test, vi } from 'vitest'
import { decompressZstd } from './zstd-frames.ts'

const zlib = vi.hoisted(() => ({ pieces: [] as (number | undefined)[] }))
vi.mock('node:zlib', async (importOriginal) => {
  const real = await importOriginal<typeof Zlib>()
  return {
    ...real,
    zstdDecompressSync(data: Buffer, options?: { readonly chunkSize?: number }) {
      zlib.pieces.push(options?.chunkSize)
      return real.zstdDecompressSync(data, options)
    },
  }
})

const SIZES = [
  0, 1, 255, 256, 257, 16_383, 16_384, 16_385, 65_535, 65_792, 65_793, 300_000, 3_000_000,
]
const text = (bytes: number) => Buffer.alloc(bytes, '{"seq":1,"type":"heartbeat","at":17e11}')

test.each(SIZES)('%i bytes come back, compressible or not', (bytes) => {
  for (const content of [text(bytes), randomBytes(bytes)])
    expect(decompressZstd(zstdCompressSync(content)).equals(content)).toBe(true)
})

test('a frame that says its length is read in one piece of that length', () => {
  for (const bytes of [16_385, 65_793, 3_000_000]) {
    zlib.pieces.length = 0
    decompressZstd(zstdCompressSync(text(bytes)))
    expect(zlib.pieces).toEqual([bytes + 1])
  }
})

test('a frame that does not say its length comes back whole', async () => {
  const stream = createZstdCompress()
  const compressed: Buffer[] = []
  stream.on('data', (piece: Buffer) => compressed.push(piece))
  stream.write(text(200_000))
  stream.end(text(100_000))
  await new Promise((resolve) => stream.once('end', resolve))
  const whole = Buffer.concat([text(200_000), text(100_000)])
  expect(decompressZstd(Buffer.concat(compressed)).equals(whole)).toBe(true)
})

test('a length that is not true costs no more than a piece, and changes nothing', () => {
  const content = text(70_000)
  const compressed = zstdCompressSync(content)
  const lying = Buffer.from(compressed)
  lying.writeUInt32LE(0xffff_ffff, 5)
  zlib.pieces.length = 0
  expect(() => decompressZstd(lying)).toThrow('too much memory')
  expect(zlib.pieces).toEqual([16 * 1024 * 1024])
})

test('what is not zstd is refused', () => {
  const data = Buffer.from('not zstd at all, and long enough to have a header')
  expect(() => decompressZstd(data)).toThrow('Unknown frame descriptor')
})
