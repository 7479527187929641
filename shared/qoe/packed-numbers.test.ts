import { expect, it } from 'vitest'
import { orUndefined, packedNumbers } from './packed-numbers.ts'

class Box extends packedNumbers({ widthMm: 1, heightMm: Number.NaN }) {
  label = ''
}

it('begins with the first values, each object with its own', () => {
  const [box, other] = [new Box(), new Box()]
  box.widthMm += 2 ** 40
  box.heightMm = 0.5
  expect([box.widthMm, box.heightMm]).toEqual([2 ** 40 + 1, 0.5])
  expect([other.widthMm, orUndefined(other.heightMm)]).toEqual([1, undefined])
})
