import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { seededRandom, type Random } from '../runtime/random.ts'
import { sparseRegisters } from './testing/aggregates-arbitrary.ts'
import type { SparseRegisters } from './aggregates.ts'
import { estimateDistinct, mergeRegisters, registerOf } from './registers.ts'

const pseudonyms = fc.stringMatching(/^[0-9a-f]{32}$/)

function randomPseudonym(random: Random): string {
  const word = () =>
    random
      .below(2 ** 32)
      .toString(16)
      .padStart(8, '0')
  return word() + word() + word() + word()
}

function registersOf(list: Iterable<string>): SparseRegisters {
  const ranks = new Map<number, number>()
  for (const pseudonym of list) {
    const { register, rank } = registerOf(pseudonym)
    ranks.set(register, Math.max(ranks.get(register) ?? 0, rank))
  }
  return [...ranks].sort(([left], [right]) => left - right)
}

describe('registerOf', () => {
  it.each([
    ['0008000000000000ffffffffffffffff', 0x000, 1],
    ['fff7000000000000ffffffffffffffff', 0xfff, 2],
    ['abc0000180000000ffffffffffffffff', 0xabc, 20],
    ['1230000080000000ffffffffffffffff', 0x123, 21],
    ['1230000000000001ffffffffffffffff', 0x123, 52],
    ['1230000000000000ffffffffffffffff', 0x123, 53],
  ])('reads %s as register %i, rank %i', (pseudonym, register, rank) => {
    expect(registerOf(pseudonym)).toEqual({ register, rank })
  })

  it('agrees with counting the zeros of the 52 bits one by one', () => {
    const zeroPadded = fc
      .tuple(fc.integer({ min: 0, max: 13 }), pseudonyms)
      .map(
        ([zeros, digits]) => digits.slice(0, 3) + '0'.repeat(zeros) + digits.slice(3, 32 - zeros),
      )
    fc.assert(
      fc.property(zeroPadded, (pseudonym) => {
        const bits = BigInt(`0x${pseudonym.slice(3, 16)}`)
          .toString(2)
          .padStart(52, '0')
        const firstOne = bits.indexOf('1')
        expect(registerOf(pseudonym)).toEqual({
          register: Number(`0x${pseudonym.slice(0, 3)}`),
          rank: firstOne === -1 ? 53 : firstOne + 1,
        })
      }),
    )
  })
})

describe('mergeRegisters', () => {
  it('equals the registers of all pseudonyms together', () => {
    fc.assert(
      fc.property(fc.array(pseudonyms), fc.array(pseudonyms), (left, right) => {
        expect(mergeRegisters([registersOf(left), registersOf(right)])).toEqual(
          registersOf([...left, ...right]),
        )
      }),
    )
  })

  it('is commutative, associative and idempotent', () => {
    fc.assert(
      fc.property(sparseRegisters, sparseRegisters, sparseRegisters, (a, b, c) => {
        const merged = mergeRegisters([a, b, c])
        expect(mergeRegisters([c, b, a])).toEqual(merged)
        expect(mergeRegisters([mergeRegisters([a, b]), c])).toEqual(merged)
        expect(mergeRegisters([a, mergeRegisters([b, c])])).toEqual(merged)
        expect(mergeRegisters([merged, a, merged])).toEqual(merged)
      }),
    )
  })
})

describe('estimateDistinct', () => {
  it('is 0 of nothing and exact for a handful', () => {
    expect(estimateDistinct([])).toBe(0)
    for (let viewers = 1; viewers <= 16; viewers++)
      expect(
        estimateDistinct(Array.from({ length: viewers }, (_, register) => [register, 1])),
      ).toBe(viewers)
  })

  it.each([100, 1_000, 5_000, 10_000, 20_000, 100_000])(
    'is within a twentieth of %i random pseudonyms',
    (viewers) => {
      const random = seededRandom(viewers)
      function* audience() {
        for (let index = 0; index < viewers; index++) yield randomPseudonym(random)
      }
      const estimate = estimateDistinct(registersOf(audience()))
      expect(Number.isInteger(estimate)).toBe(true)
      expect(Math.abs(estimate - viewers) / viewers).toBeLessThan(0.05)
    },
  )

  it('counts empty registers below two and a half viewers a register, ranks above', () => {
    const ranked = (registers: number, rank: number): SparseRegisters =>
      Array.from({ length: registers }, (_, register) => [register, rank])
    expect(estimateDistinct(ranked(4_095, 1))).toBe(34_070)
    expect(estimateDistinct(ranked(4_095, 3))).toBe(23_589)
  })

  it('stays finite when every register is full', () => {
    const full: SparseRegisters = Array.from({ length: 4_096 }, (_, register) => [register, 53])
    expect(Number.isFinite(estimateDistinct(full))).toBe(true)
    expect(estimateDistinct(full)).toBeGreaterThan(1e15)
  })
})
