import { expect, test } from 'vitest'
import { seededRandom, systemRandom } from './random.ts'

test('equal seeds give equal sequences, different seeds different ones', () => {
  const draw = (seed: number) => {
    const random = seededRandom(seed)
    return [random.next(), random.below(1_000), random.uuid()]
  }
  expect(draw(7)).toEqual(draw(7))
  expect(draw(7)).not.toEqual(draw(8))
})

test.each([
  ['seeded', seededRandom(1)],
  ['system', systemRandom],
])('%s draws stay in range and spread over it', (_name, random) => {
  const counts = Array.from({ length: 10 }, () => 0)
  for (let i = 0; i < 10_000; i++) {
    const value = random.next()
    expect(value >= 0 && value < 1).toBe(true)
    const index = random.below(10)
    counts[index] = (counts[index] ?? 0) + 1
  }
  for (const count of counts) expect(count).toBeGreaterThan(700)
  expect(random.uuid()).toMatch(
    /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
  )
})
