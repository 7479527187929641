import { describe, expect, it } from 'vitest'
import type { NewRecord } from '../shared/log/event-log.ts'
import { logErrors } from '../shared/log/log-errors.ts'
import { TICK_SCHEMA } from '../shared/log/record.ts'
import { ManualClock } from '../shared/runtime/clock.ts'
import { seededRandom } from '../shared/runtime/random.ts'
import { createProcessorTelemetry } from './telemetry.ts'
import { configOf, scriptedLog, silentTelemetry, turnOfTheLoop } from './testing/test-doubles.ts'
import { IdleTicker } from './ticks.ts'

function tickerOf({
  enabled = true,
  isPrimary = true,
  failures = 0,
  code = 'LOG_UNAVAILABLE' as const,
} = {}) {
  const clock = new ManualClock()
  const appended: NewRecord[] = []
  let failuresLeft = failures
  const ticker = new IdleTicker({
    partition: 0,
    log: scriptedLog({
      append: async (_topic, _partition, records) => {
        if (failuresLeft-- > 0) throw logErrors.create(code)
        appended.push(...records)
        return { baseOffset: 0, appendTimeMs: 0 }
      },
    }),
    clock,
    telemetry: createProcessorTelemetry(silentTelemetry()),
    tickIdleMs: 5_000,
    enabled,
    role: { isPrimary },
    retryContext: () => ({
      clock,
      random: seededRandom(1),
      limits: configOf(),
      signal: new AbortController().signal,
      onRetry: () => undefined,
    }),
  })
  return { ticker, clock, appended }
}

describe('ticks', () => {
  it('come once a partition was idle for long enough, and then again', async () => {
    const { ticker, clock, appended } = tickerOf()
    await clock.advance(4_999)
    await ticker.tickIfIdle()
    expect(appended).toEqual([])
    expect(ticker.untilDueMs()).toBe(1)
    await clock.advance(1)
    await ticker.tickIfIdle()
    await ticker.tickIfIdle()
    expect(appended.map(({ headers }) => headers['schema'])).toEqual([TICK_SCHEMA])
    await clock.advance(5_000)
    await ticker.tickIfIdle()
    expect(appended).toHaveLength(2)
  })

  it('wait anew after every record', async () => {
    const { ticker, clock, appended } = tickerOf()
    await clock.advance(4_000)
    ticker.recordsRead()
    await clock.advance(4_000)
    await ticker.tickIfIdle()
    expect(appended).toEqual([])
  })

  it.each([{ enabled: false }, { isPrimary: false }])('never come with %j', async (parts) => {
    const { ticker, clock, appended } = tickerOf(parts)
    await clock.advance(60_000)
    await ticker.tickIfIdle()
    expect(appended).toEqual([])
    expect(ticker.untilDueMs()).toBe(Number.POSITIVE_INFINITY)
  })

  it('are tried again after a while when the log is away', async () => {
    const { ticker, clock, appended } = tickerOf({ failures: 1 })
    await clock.advance(5_000)
    const tried = ticker.tickIfIdle()
    await turnOfTheLoop()
    await clock.advance(configOf().retryDelayMaxMs)
    await tried
    expect(appended).toEqual([])
    await ticker.tickIfIdle()
    expect(appended).toHaveLength(1)
  })
})
