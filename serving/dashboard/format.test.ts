import { describe, expect, it } from 'vitest'
import {
  formatAge,
  formatBitrate,
  formatCount,
  formatDuration,
  formatElapsed,
  formatPercent,
  joined,
} from './format.ts'

const NARROW_SPACE = '\u202f'
const text = (quantity: { value: string; unit: string }) =>
  joined(quantity).replaceAll(NARROW_SPACE, ' ')

describe('numbers for people', () => {
  it.each([
    [0, '0'],
    [1_234, '1,234'],
    [99_999, '99,999'],
    [123_456, '123 k'],
    [1_234_567, '1.23 M'],
    [12_345_678, '12.3 M'],
  ])('count %d is %s', (count, expected) => {
    expect(text(formatCount(count))).toBe(expected)
  })

  it.each([
    [0, '0 %'],
    [0.00001, '<0.01 %'],
    [0.0123, '1.23 %'],
    [0.1234, '12.3 %'],
    [1, '100 %'],
  ])('ratio %d is %s', (ratio, expected) => {
    expect(text(formatPercent(ratio))).toBe(expected)
  })

  it.each([
    [0, '0 ms'],
    [842, '842 ms'],
    [999.6, '1.00 s'],
    [1_234, '1.23 s'],
    [12_340, '12.3 s'],
    [59_960, '1:00 min'],
    [125_000, '2:05 min'],
    [3_599_900, '1:00 h'],
    [7_500_000, '2:05 h'],
  ])('%d ms is %s', (durationMs, expected) => {
    expect(text(formatDuration(durationMs))).toBe(expected)
  })

  it.each([
    [850, '850 kbit/s'],
    [4_150, '4.15 Mbit/s'],
  ])('%d kbit/s is %s', (kbps, expected) => {
    expect(text(formatBitrate(kbps))).toBe(expected)
  })

  it('what is undefined is a dash, never a zero', () => {
    for (const format of [formatCount, formatPercent, formatDuration, formatBitrate])
      expect([text(format(null)), text(format(undefined))]).toEqual(['–', '–'])
  })

  it.each([
    [7_250, '0:07.250'],
    [3_723_004, '1:02:03.004'],
    [-1_500, '−0:01.500'],
  ])('%d ms into a session is %s', (elapsedMs, expected) => {
    expect(formatElapsed(elapsedMs)).toBe(expected)
  })

  it.each([
    [4_400, '4 s'],
    [100_000, '2 min'],
    [7_200_000, '2 h'],
    [-50, '0 s'],
  ])('an age of %d ms is %s', (ageMs, expected) => {
    expect(text(formatAge(ageMs))).toBe(expected)
  })
})
