import { expect, test } from 'vitest'
import { inParallel } from './in-parallel.ts'

/** Ends when the test says so. */
function held() {
  const { promise, resolve } = Promise.withResolvers<void>()
  return { ended: promise, end: resolve }
}

test('results keep the order of the items, whichever ends first', async () => {
  const first = held()
  const done = inParallel([1, 2, 3], 2, async (item) => {
    if (item === 1) await first.ended
    if (item === 3) first.end()
    return item * 10
  })
  expect(await done).toEqual([10, 20, 30])
})

test('no more are under way than there are workers', async () => {
  let underWay = 0
  let most = 0
  await inParallel([1, 2, 3, 4, 5, 6], 2, async () => {
    most = Math.max(most, (underWay += 1))
    await Promise.resolve()
    underWay -= 1
  })
  expect(most).toBe(2)
})

test('after a failure nothing more is begun, and what was begun ends before it is thrown', async () => {
  const begun: number[] = []
  const second = held()
  let hasEnded = false
  const failed = inParallel([1, 2, 3, 4], 2, async (item) => {
    begun.push(item)
    if (item === 1) {
      queueMicrotask(second.end)
      throw new Error('the first')
    }
    await second.ended
    hasEnded = true
  })
  await expect(failed).rejects.toThrow('the first')
  expect({ begun, hasEnded }).toEqual({ begun: [1, 2], hasEnded: true })
})
