import fc from 'fast-check'
import { crc32c, Reader, readRecordsBatches } from '@platformatic/kafka'
import { describe, expect, it } from 'vitest'
import type { NewRecord } from '../log/event-log.ts'
import { RecordBatchEncoder } from './record-batch.ts'

/** As a library that does not share code with the encoder reads it. */
function decode(batch: Buffer) {
  return readRecordsBatches(Reader.from(batch))
}

function plain({ key, value, headers }: NewRecord) {
  return {
    key: key === undefined ? null : Buffer.from(key).toString('hex'),
    // An empty value with a key is the end of the key: null on Kafka.
    value: key !== undefined && value.length === 0 ? null : Buffer.from(value).toString('hex'),
    headers: Object.entries(headers).map((entry) => entry.map((text) => `${Buffer.from(text)}`)),
  }
}

describe('a record batch', () => {
  const text = fc.string({ unit: 'binary', maxLength: 40 })
  const anyRecord = fc.record({
    key: fc.option(text, { nil: undefined }),
    value: fc.uint8Array({ maxLength: 400 }),
    headers: fc.dictionary(text, text, { maxKeys: 3, noNullPrototype: true }),
  })

  it('is read back as it was by an independent decoder', () => {
    const encoder = new RecordBatchEncoder()
    fc.assert(
      fc.property(fc.array(anyRecord, { minLength: 1, maxLength: 300 }), (records) => {
        const [batch, ...others] = decode(encoder.encode(records))
        expect(others).toEqual([])
        expect(batch).toMatchObject({
          firstOffset: 0n,
          attributes: 4,
          lastOffsetDelta: records.length - 1,
          firstTimestamp: 0n,
          maxTimestamp: 0n,
          producerId: -1n,
        })
        expect(batch?.records.map(({ offsetDelta }) => offsetDelta)).toEqual(
          records.map((_, index) => index),
        )
        const read = batch?.records.map(({ key, value, headers }) => ({
          key: key?.toString('hex') ?? null,
          value: value?.toString('hex') ?? null,
          headers: headers.map((entry) => entry.map((part) => `${part}`)),
        }))
        expect(read).toEqual(records.map(plain))
      }),
      { numRuns: 60 },
    )
  })

  it('carries the checksum of all that follows it', () => {
    const record = { key: 'k', value: Buffer.from('v'), headers: {} }
    const bytes = new RecordBatchEncoder().encode([record])
    expect(bytes.readUInt32BE(17)).toBe(crc32c(bytes.subarray(21)))
  })

  it('grows its buffer for records that do not fit, and is right after as before', () => {
    const encoder = new RecordBatchEncoder()
    const records = [3_000_000, 5, 2_000_000].map((length, index) => ({
      key: `key-${index}`,
      value: Buffer.alloc(length, index),
      headers: {},
    }))
    for (const sent of [records, records.slice(1, 2), records]) {
      const [batch] = decode(encoder.encode(sent))
      expect(batch?.records.map(({ value }) => value?.length)).toEqual(
        sent.map(({ value }) => value.length),
      )
    }
  })
})
