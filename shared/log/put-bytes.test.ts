import fc from 'fast-check'
import { expect, it } from 'vitest'
import { digitsOf, putBytes, putWhole } from './put-bytes.ts'

it('puts every whole number as its text, between its neighbours', () => {
  const edges = Array.from({ length: 16 }, (_, power) => 10 ** power).flatMap((n) => [n - 1, n])
  const whole = fc.oneof(fc.maxSafeNat(), fc.nat(20_000_000), fc.constantFrom(...edges))
  fc.assert(
    fc.property(whole, fc.nat(5), (value, at) => {
      const text = `${value}`
      expect(digitsOf(value)).toBe(text.length)
      const into = new Uint8Array(30).fill(0x2e)
      expect(putWhole(into, at, value)).toBe(at + text.length)
      expect(Buffer.from(into).toString()).toBe(`${'.'.repeat(at)}${text}`.padEnd(30, '.'))
    }),
  )
})

it('puts bytes where they are asked for', () => {
  const into = new Uint8Array(5)
  expect(putBytes(into, 1, Uint8Array.of(7, 8, 9))).toBe(4)
  expect([...into]).toEqual([0, 7, 8, 9, 0])
})
