import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { NewRecord } from './event-log.ts'
import {
  chunkKey,
  chunkSeekKey,
  decodeChunk,
  encodeChunk,
  parseChunkKey,
  partitionEndKey,
  recordBytes,
} from './lmdb-chunk.ts'

const text = fc.string({ unit: 'binary', maxLength: 30 })
const anyRecord: fc.Arbitrary<NewRecord> = fc.record({
  key: fc.option(text, { nil: undefined }),
  value: fc.uint8Array({ maxLength: 100 }),
  headers: fc.dictionary(text, text, { maxKeys: 3, noNullPrototype: true }),
})
const offset = fc.nat({ max: 2 ** 31 - 1 })

describe('a chunk', () => {
  it('brings back its records from any offset on, with their offsets and append time', () => {
    fc.assert(
      fc.property(
        fc.array(anyRecord, { minLength: 1 }),
        offset,
        fc.nat(),
        (records, base, skip) => {
          const chunk = encodeChunk({
            baseOffset: base,
            loggedAtMs: 1_800_000_000_123,
            records,
            bytes: sum(records),
          })
          const from = base + (skip % (records.length + 1))
          const decoded = [...decodeChunk(chunk, 7, from)]
          expect(decoded).toEqual(
            records.slice(from - base).map((record, index) => ({
              partition: 7,
              offset: from + index,
              loggedAtMs: 1_800_000_000_123,
              key: record.key,
              headers: record.headers,
              value: Buffer.from(record.value),
            })),
          )
        },
      ),
    )
  })

  it('has equal bytes for equal records, whatever the order of their headers', () => {
    const value = Buffer.from('value')
    const one: NewRecord = { key: 'k', value, headers: { a: '1', b: '2' } }
    const other: NewRecord = { key: 'k', value, headers: { b: '2', a: '1' } }
    const encode = (record: NewRecord) =>
      encodeChunk({ baseOffset: 1, loggedAtMs: 2, records: [record], bytes: sum([record]) })
    expect(encode(one).equals(encode(other))).toBe(true)
  })
})

describe('a chunk key', () => {
  it('sorts by topic, partition and last offset, whatever append time and length', () => {
    const id = fc.nat({ max: 65_535 })
    const anyKey = fc.tuple(id, id, fc.nat({ max: 2 ** 47 }), offset, offset)
    fc.assert(
      fc.property(anyKey, anyKey, (a, b) => {
        const [first, second] = [a, b].map(
          ([topic, partition, lastOffset, loggedAtMs, valueBytes]) =>
            chunkKey(topic, partition, { lastOffset, loggedAtMs, valueBytes }),
        ) as [Buffer, Buffer]
        const expected = Math.sign(a[0] - b[0] || a[1] - b[1] || a[2] - b[2])
        fc.pre(expected !== 0)
        expect(Buffer.compare(first, second)).toBe(expected)
      }),
    )
  })

  it('is found by every offset up to its last, and by none above', () => {
    fc.assert(
      fc.property(offset, offset, (lastOffset, sought) => {
        const chunk = { lastOffset, loggedAtMs: 5, valueBytes: 6 }
        const key = chunkKey(1, 2, chunk)
        expect(parseChunkKey(key)).toEqual(chunk)
        const found = Buffer.compare(key, chunkSeekKey(1, 2, sought)) >= 0
        expect(found).toBe(sought <= lastOffset)
        expect(Buffer.compare(key, partitionEndKey(1, 2))).toBe(-1)
        expect(Buffer.compare(partitionEndKey(1, 2), chunkSeekKey(1, 3, 0))).toBe(-1)
      }),
    )
  })
})

function sum(records: readonly NewRecord[]): number {
  return records.reduce((bytes, record) => bytes + (recordBytes(record) ?? Number.NaN), 0)
}
