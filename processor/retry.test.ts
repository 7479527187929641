import { describe, expect, it } from 'vitest'
import { ManualClock } from '../shared/runtime/clock.ts'
import { seededRandom } from '../shared/runtime/random.ts'
import { retry, type RetryContext } from './retry.ts'
import { scriptedErrors, turnOfTheLoop } from './testing/test-doubles.ts'

const limits = { retryDelayMs: 100, retryDelayMaxMs: 5_000 }

function contextOf(clock: ManualClock, signal = new AbortController().signal) {
  const retried: string[] = []
  const context: RetryContext = {
    clock,
    random: seededRandom(1),
    limits,
    signal,
    onRetry: (error, attempt) => retried.push(`${error.code} ${attempt}`),
  }
  return { context, retried }
}

describe('retry', () => {
  it('repeats a call until it succeeds and reports each repeat', async () => {
    const clock = new ManualClock()
    const { context, retried } = contextOf(clock)
    let calls = 0
    const done = retry(context, async () => {
      calls += 1
      if (calls < 4) throw scriptedErrors.create('SCRIPTED_OUTAGE')
      return calls
    })
    for (let turn = 0; turn < 10; turn += 1) {
      await clock.advance(limits.retryDelayMaxMs)
      await turnOfTheLoop()
    }
    expect(await done).toBe(4)
    expect(retried).toEqual(['SCRIPTED_OUTAGE 0', 'SCRIPTED_OUTAGE 1', 'SCRIPTED_OUTAGE 2'])
  })

  it('does not repeat a call that can never succeed', async () => {
    const { context, retried } = contextOf(new ManualClock())
    const call = () => Promise.reject(scriptedErrors.create('SCRIPTED_DEFECT'))
    await expect(retry(context, call)).rejects.toThrow('SCRIPTED_DEFECT')
    expect(retried).toEqual([])
  })

  it('gives a call up when the signal aborts, in the middle of a delay too', async () => {
    const ending = new AbortController()
    const { context } = contextOf(new ManualClock(), ending.signal)
    const call = () => Promise.reject(scriptedErrors.create('SCRIPTED_OUTAGE'))
    const repeated = retry(context, call)
    await turnOfTheLoop()
    ending.abort(new Error('ended'))
    await expect(repeated).rejects.toThrow('ended')
  })
})
