import { describe, expect, test } from 'vitest'

import { histogramBucket, viewerRegister } from './integer-structures.ts'

describe('the bucket of a value', () => {
  test.each([
    [-5, 0],
    [0, 0],
    [127, 127],
    // e = 7: 64·1 + (128 >> 1) = 64 + 64.
    [128, 128],
    [129, 128],
    [130, 129],
    // e = 10: 64·4 + (1500 >> 4) = 256 + 93.
    [1500, 349],
    // e = 26: 64·20 + ((2^27 − 1) >> 20) = 1280 + 127, also for everything larger.
    [2 ** 27 - 1, 1407],
    [2 ** 40, 1407],
  ])('%i goes to bucket %i', (value, bucket) => {
    expect(histogramBucket(value)).toBe(bucket)
  })
})

describe('the register of a pseudonym', () => {
  test.each([
    ['0018000000000000ffffffffffffffff', 1, 1],
    ['fff1000000000000ffffffffffffffff', 4095, 4],
    ['a000000000000001ffffffffffffffff', 2560, 52],
    ['a000000000000000ffffffffffffffff', 2560, 53],
  ])('%s is register %i, rank %i', (pseudonym, register, rank) => {
    expect(viewerRegister(pseudonym)).toEqual({ register, rank })
  })
})
