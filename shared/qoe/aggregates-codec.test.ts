import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decodeAggregates, encodeAggregates } from './aggregates-codec.ts'
import { minuteAggregates } from './testing/aggregates-arbitrary.ts'
import type { MinuteAggregates } from './aggregates.ts'
import { EMPTY_AGGREGATES, mergeAggregates } from './merge.ts'

describe('encodeAggregates', () => {
  it('leaves out what is zero or empty', () => {
    expect(encodeAggregates(EMPTY_AGGREGATES)).toBe('{}')
    expect(encodeAggregates({ ...EMPTY_AGGREGATES, plays: 2, bitsPlayed: 5n })).toBe(
      '{"plays":2,"bitsPlayed":"5"}',
    )
  })

  it('has a fixed order of fields, whatever the order of the object’s', () => {
    const aggregates: MinuteAggregates = {
      ...EMPTY_AGGREGATES,
      viewerRegisters: [[17, 3]],
      concurrentViewers: [0, 0, 0, 0, 0, 1],
      concurrentPlays: [0, 1, 1, 1, 1, 0],
      startupHistogram: [[134, 1]],
      bitsPlayed: 48_000_000n,
      late: 1,
      sessions: 2,
    }
    const reversed = Object.fromEntries(Object.entries(aggregates).reverse())
    const text =
      '{"sessions":2,"late":1,"bitsPlayed":"48000000","startupHistogram":[[134,1]],' +
      '"concurrentPlays":[0,1,1,1,1,0],"concurrentViewers":[0,0,0,0,0,1],"viewerRegisters":[[17,3]]}'
    expect(encodeAggregates(aggregates)).toBe(text)
    expect(encodeAggregates(reversed as unknown as MinuteAggregates)).toBe(text)
  })

  it('gives equal text to equal values, however they were merged', () => {
    fc.assert(
      fc.property(minuteAggregates, minuteAggregates, (a, b) => {
        expect(encodeAggregates(mergeAggregates([a, b]))).toBe(
          encodeAggregates(mergeAggregates([b, a])),
        )
      }),
    )
  })
})

describe('decodeAggregates', () => {
  it('gives back what was encoded', () => {
    fc.assert(
      fc.property(minuteAggregates, (aggregates) => {
        const text = encodeAggregates(aggregates)
        expect(decodeAggregates(text)).toEqual(aggregates)
        expect(encodeAggregates(decodeAggregates(text))).toBe(text)
      }),
    )
  })

  it('keeps bits beyond 2^53 exact', () => {
    const aggregates = { ...EMPTY_AGGREGATES, bitsPlayed: 2n ** 63n - 1n }
    expect(decodeAggregates(encodeAggregates(aggregates)).bitsPlayed).toBe(
      9_223_372_036_854_775_807n,
    )
  })

  it.each([
    ['no JSON', '{', /must be JSON/],
    ['an array', '[]', /must be a JSON object/],
    ['null', 'null', /must be a JSON object/],
    ['an unknown field', '{"players":1}', /no field players/],
    ['a field of the prototype', '{"__proto__":{}}', /no field __proto__/],
    ['an explicit zero', '{"plays":0}', /plays must be a positive whole number/],
    ['a negative counter', '{"plays":-1}', /plays must be/],
    ['a fraction', '{"stallMs":1.5}', /stallMs must be/],
    ['a counter in text', '{"plays":"1"}', /plays must be/],
    ['a counter beyond the exact integers', '{"mediaUs":9007199254740992}', /mediaUs must be/],
    ['bits as a number', '{"bitsPlayed":5}', /bitsPlayed must be/],
    ['bits of zero', '{"bitsPlayed":"0"}', /bitsPlayed must be/],
    ['bits with a leading zero', '{"bitsPlayed":"05"}', /bitsPlayed must be/],
    ['bits in another base', '{"bitsPlayed":"0x5"}', /bitsPlayed must be/],
    ['five instants', '{"concurrentPlays":[1,0,0,0,0]}', /concurrentPlays must be 6 counts/],
    ['seven instants', '{"concurrentPlays":[1,0,0,0,0,0,0]}', /concurrentPlays must be/],
    ['instants all zero', '{"concurrentViewers":[0,0,0,0,0,0]}', /concurrentViewers must be/],
    ['a negative zero', '{"concurrentViewers":[1,-0,0,0,0,0]}', /concurrentViewers must be/],
    ['an empty histogram', '{"startupHistogram":[]}', /startupHistogram must hold/],
    ['a histogram as an object', '{"startupHistogram":{}}', /startupHistogram must hold/],
    ['a bucket of three', '{"startupHistogram":[[1,2,3]]}', /startupHistogram must be pairs/],
    ['a bucket twice', '{"startupHistogram":[[1,2],[1,2]]}', /in ascending order/],
    ['descending buckets', '{"startupHistogram":[[2,2],[1,2]]}', /in ascending order/],
    ['a bucket without a count', '{"startupHistogram":[[1,0]]}', /startupHistogram must be/],
    ['a bucket beyond the last', '{"startupHistogram":[[1408,1]]}', /within its bounds/],
    ['a register beyond the last', '{"viewerRegisters":[[4096,1]]}', /viewerRegisters must be/],
    ['a rank beyond the highest', '{"viewerRegisters":[[1,54]]}', /viewerRegisters must be/],
  ])('refuses %s', (_, text, message) => {
    expect(() => decodeAggregates(text)).toThrow(message)
  })

  it('accepts the highest bucket, register and rank', () => {
    const text = '{"startupHistogram":[[1407,1]],"viewerRegisters":[[4095,53]]}'
    expect(encodeAggregates(decodeAggregates(text))).toBe(text)
  })

  it('reads nothing but its own text: any other throws', () => {
    fc.assert(
      fc.property(fc.oneof(fc.json(), fc.string()), (text) => {
        expect(canonicalOrError(text)).toEqual(expect.toBeOneOf([expect.any(Error), text]))
      }),
    )
  })
})

function canonicalOrError(text: string): unknown {
  try {
    const decoded = decodeAggregates(text)
    return encodeAggregates(decoded)
  } catch (error) {
    return error
  }
}
