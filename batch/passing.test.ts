import { expect, test } from 'vitest'
import { logErrors } from '../shared/log/log-errors.ts'
import { objectErrors } from '../shared/objects/object-errors.ts'
import { ManualClock } from '../shared/runtime/clock.ts'
import { seededRandom } from '../shared/runtime/random.ts'
import { cliErrors } from './cli/errors.ts'
import { batchErrors } from './errors.ts'
import { isPassing, retryWithin, type RetryWithin } from './passing.ts'

const MINUTE_MS = 60_000

/** Waiting is moving the clock. */
class ImpatientClock extends ManualClock {
  override sleep(delayMs: number): Promise<void> {
    return this.advance(delayMs)
  }
}

function contextOf(withinMs: number): RetryWithin & { readonly delaysMs: number[] } {
  const delaysMs: number[] = []
  return {
    clock: new ImpatientClock(),
    random: seededRandom(1),
    signal: new AbortController().signal,
    withinMs,
    onRetry: (_, delayMs) => delaysMs.push(delayMs),
    delaysMs,
  }
}

test('a store that is away passes; what asks for a change or another command does not', () => {
  expect(isPassing(logErrors.create('LOG_UNAVAILABLE'))).toBe(true)
  expect(isPassing(objectErrors.create('LEASE_HELD'))).toBe(true)
  expect(isPassing(objectErrors.create('OBJECT_BUCKET_MISSING'))).toBe(false)
  expect(isPassing(batchErrors.create('BATCH_DATA_LOSS'))).toBe(false)
  for (const code of [
    'BATCH_ERASE_RUN_UNFINISHED',
    'BATCH_REPLAY_RUN_UNFINISHED',
    'BATCH_RECONCILE_NO_RUN',
  ] as const)
    expect(isPassing(batchErrors.create(code)), code).toBe(false)
  expect(isPassing(cliErrors.create('CLI_NO_RUN'))).toBe(false)
  expect(isPassing(new Error('a defect'))).toBe(false)
})

test('what passes is tried again, ever later, until it succeeds', async () => {
  const context = contextOf(60 * MINUTE_MS)
  let left = 6
  const done = retryWithin(context, () =>
    (left -= 1) > 0
      ? Promise.reject(objectErrors.create('OBJECT_UNAVAILABLE'))
      : Promise.resolve('done'),
  )
  expect(await done).toBe('done')
  expect(context.delaysMs).toHaveLength(5)
  expect(Math.max(...context.delaysMs)).toBeGreaterThan(context.delaysMs[0] ?? Infinity)
})

test('no try begins after the time, and the last failure is told', async () => {
  const context = contextOf(MINUTE_MS)
  const startMs = context.clock.monotonicMs()
  const failed = retryWithin(context, () =>
    Promise.reject(logErrors.create('LOG_UNAVAILABLE', { received: 'no broker' })),
  )
  await expect(failed).rejects.toMatchObject({ code: 'LOG_UNAVAILABLE' })
  expect(context.delaysMs.length).toBeGreaterThan(2)
  expect(context.clock.monotonicMs() - startMs).toBeLessThan(MINUTE_MS)
})

test('a defect is thrown at once, and without a time there is one try', async () => {
  for (const [withinMs, error] of [
    [MINUTE_MS, new Error('a defect')],
    [0, logErrors.create('LOG_UNAVAILABLE')],
  ] as const) {
    const context = contextOf(withinMs)
    await expect(retryWithin(context, () => Promise.reject(error))).rejects.toBe(error)
    expect(context.delaysMs).toEqual([])
  }
})
