import { expect, test } from 'vitest'
import { addSums, differences } from './side.ts'

const made = (rows: Readonly<Record<string, readonly number[]>>) => new Map(Object.entries(rows))

test('what both made alike is no difference', () => {
  expect(differences(made({ a: [1, 2] }), made({ a: [1, 2] }))).toEqual([])
})

test('a key that one lacks, and one with other sums, are differences', () => {
  expect(differences(made({ a: [1, 2], b: [3, 4] }), made({ b: [3, 5], c: [6, 7] }))).toEqual([
    '"a": 1 2 and nothing',
    '"b": 3 4 and 3 5',
    '"c": nothing and 6 7',
  ])
})

test('partitions of a key are added up, and rows of nothing are none', () => {
  const all = new Map<string, readonly number[]>()
  addSums(all, 'a', [1, 2])
  addSums(all, 'a', [10, 20])
  addSums(all, 'b', [0, 0])
  expect(all).toEqual(made({ a: [11, 22] }))
})
