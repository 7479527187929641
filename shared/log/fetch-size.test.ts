import { describe, expect, it } from 'vitest'
import { FETCH_INFLATION_MAX, FETCH_PARTITION_MIN_BYTES } from '../kafka/limits.ts'
import { FetchSize } from './fetch-size.ts'

const MIB = 2 ** 20

/** What comes of a log whose bytes stand for so many, in answers that are full. */
function readFrom(size: FetchSize, inflation: number, fetches: number): number {
  let asked = 0
  for (let fetch = 0; fetch < fetches; fetch += 1) {
    asked = size.bytesFor('t', MIB)
    size.came('t', asked, asked * inflation)
  }
  return asked
}

describe('the size of a fetch', () => {
  it('is what is wanted while nothing is known of the topic', () => {
    const size = new FetchSize()
    readFrom(size, 8, 2)
    expect(size.bytesFor('another', MIB)).toBe(MIB)
  })

  it('brings about what is wanted, whichever way batches compress', () => {
    const size = new FetchSize()
    expect(readFrom(size, 8, 2)).toBe(MIB / 8)
    expect(readFrom(size, 2, 100)).toBe(MIB / 2)
  })

  it('is what is wanted again after a while at the end of the log', () => {
    const size = new FetchSize()
    readFrom(size, 8, 2)
    for (let fetch = 0; fetch < 100; fetch += 1) size.came('t', MIB, 10)
    expect(size.bytesFor('t', MIB)).toBe(MIB)
  })

  it('grows when a batch found no room, and never falls below its bounds', () => {
    const size = new FetchSize()
    size.came('t', 1, MIB)
    expect(size.bytesFor('t', MIB)).toBe(FETCH_PARTITION_MIN_BYTES)
    expect(size.bytesFor('t', 2 ** 30)).toBe(2 ** 30 / FETCH_INFLATION_MAX)
    size.wasSqueezed('t')
    expect(size.bytesFor('t', 2 ** 30)).toBe((2 * 2 ** 30) / FETCH_INFLATION_MAX)
  })
})
