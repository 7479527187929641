import { expect, test } from 'vitest'
import { ManualClock, systemClock } from './clock.ts'

test('a manual clock runs what falls due, in due order, and moves to the end', async () => {
  const clock = new ManualClock(1_000)
  const seen: string[] = []
  clock.after(20, () => seen.push(`b@${clock.nowMs()}`))
  clock.after(10, () => seen.push(`a@${clock.nowMs()}`))
  const stop = clock.every(15, () => seen.push(`t@${clock.nowMs()}`))
  await clock.advance(30)
  expect(seen).toEqual(['a@1010', 't@1015', 'b@1020', 't@1030'])
  stop()
  await clock.advance(100)
  expect(seen).toHaveLength(4)
  expect(clock.nowMs()).toBe(1_130)
  expect(clock.monotonicMs()).toBe(130)
})

test('a cancelled task does not run', async () => {
  const clock = new ManualClock()
  let ran = false
  clock.after(5, () => (ran = true))()
  await clock.advance(10)
  expect(ran).toBe(false)
})

test.each([
  ['manual', new ManualClock()],
  ['system', systemClock],
])('a %s sleep ends at once when its signal aborts', async (_name, clock) => {
  const abort = new AbortController()
  const slept = clock.sleep(60_000, abort.signal)
  abort.abort()
  await slept
  await clock.sleep(60_000, abort.signal)
})
