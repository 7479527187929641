import { describe, expect, it } from 'vitest'
import { ManualClock } from '../runtime/clock.ts'
import { awaitTopics } from './await-topics.ts'
import { topicSpec } from './event-log.contract.ts'
import type { EventLog } from './event-log.ts'
import { logErrors } from './log-errors.ts'

/** A log that answers `ensureTopics` with these failures, one after another, then well. */
function failing(codes: readonly Parameters<typeof logErrors.create>[0][]) {
  const left = [...codes]
  let calls = 0
  const log: Pick<EventLog, 'ensureTopics'> = {
    ensureTopics: async () => {
      calls += 1
      const code = left.shift()
      if (code !== undefined) throw logErrors.create(code)
    },
  }
  return { log: log as EventLog, calls: () => calls }
}

describe('waiting for the topics', () => {
  it('goes on until the log can be reached', async () => {
    const clock = new ManualClock()
    const { log, calls } = failing(['LOG_UNAVAILABLE', 'LOG_UNAVAILABLE'])
    const ready = awaitTopics(log, [topicSpec()], { clock })
    for (let round = 0; round < 4; round += 1) await clock.advance(1_000)
    await ready
    expect(calls()).toBe(3)
  })

  it('ends with what no waiting mends', async () => {
    const { log } = failing(['LOG_CREDENTIALS_REFUSED'])
    const waiting = awaitTopics(log, [topicSpec()], { clock: new ManualClock() })
    await expect(waiting).rejects.toMatchObject({ code: 'LOG_CREDENTIALS_REFUSED' })
  })

  it('ends when it is told to', async () => {
    const stop = new AbortController()
    const { log, calls } = failing(['LOG_UNAVAILABLE', 'LOG_UNAVAILABLE'])
    const waiting = awaitTopics(log, [], { clock: new ManualClock(), signal: stop.signal })
    await Promise.resolve()
    stop.abort()
    await waiting
    expect(calls()).toBe(1)
  })
})
