import { afterEach, describe, expect, it } from 'vitest'
import { alertId, encodeAlert, type Alert } from '../shared/alerts/alert.ts'
import { emptyRuleState, encodeRuleState, type RuleState } from '../shared/alerts/rule-state.ts'
import type { EventLog, LogRecord } from '../shared/log/event-log.ts'
import { logErrors } from '../shared/log/log-errors.ts'
import { systemClock } from '../shared/runtime/clock.ts'
import { AlertFeed } from './alert-feed.ts'
import { alertsResponseSchema } from './api-schemas.ts'
import { DEFAULT_SERVING_LIMITS } from './limits.ts'
import { NOW_MS, startTestServing, stopTestServings } from './testing/test-serving.ts'
import { MemorySpeedStore, TEST_VIEW } from './testing/test-stores.ts'

afterEach(stopTestServings)

function alert(cdn: string, overrides: Partial<Alert> = {}): Alert {
  const minuteStartMs = NOW_MS - 90_000
  const id = alertId({ rule: 'stalls', key: cdn, minuteStartMs }, 'raised')
  return {
    id,
    alertId: id,
    state: 'raised',
    reason: 'condition',
    rule: 'stalls',
    title: 'Stalls',
    severity: 'warning',
    metric: 'stalledTimeRatio',
    cut: 'cdn',
    key: { cdn },
    minuteStartMs,
    raisedMinuteStartMs: minuteStartMs,
    value: 0.2,
    bound: 0.1,
    baseline: null,
    samples: 100,
    judgedAtMs: NOW_MS,
    ...overrides,
  }
}

describe('GET /v1/alerts', () => {
  const quiet = { breaching: 0, clearing: 0, silent: 0, unseen: 0 }
  const keep = (speed: MemorySpeedStore, ruleId: string, state: Partial<RuleState>) => {
    const stateJson = encodeRuleState({ ...emptyRuleState('x', NOW_MS), ...state })
    return speed.putRuleStates([
      { view: TEST_VIEW, ruleId, stampUs: 1, expiresAtMs: NOW_MS * 2, stateJson },
    ])
  }

  it('lists what is open, worst first, and what was resolved, newest first', async () => {
    const speed = new MemorySpeedStore()
    await keep(speed, 'one', {
      keys: { a: { ...quiet, open: alert('a') }, b: quiet },
      resolved: [
        alert('b', { id: 'old', state: 'resolved', minuteStartMs: NOW_MS - 600_000 }),
        alert('c', { id: 'new', state: 'resolved' }),
      ],
    })
    await keep(speed, 'two', {
      keys: { d: { ...quiet, open: alert('d', { severity: 'critical' }) } },
    })
    const { serving } = await startTestServing({ speed, limits: { alertsOpenMax: 1 } })
    const response = await fetch(`${serving.url}/v1/alerts`)
    const answer = alertsResponseSchema.parse(await response.json())
    expect(answer).toMatchObject({ open: [{ key: { cdn: 'd' } }], openTotal: 2 })
    expect(answer.resolved.map(({ id }) => id)).toEqual(['new', 'old'])
  })

  it('lists nothing where no rule was ever judged, and takes no parameters', async () => {
    const { serving } = await startTestServing()
    const answer = await (await fetch(`${serving.url}/v1/alerts`)).json()
    expect(answer).toEqual({ nowMs: NOW_MS, open: [], openTotal: 0, resolved: [] })
    expect((await fetch(`${serving.url}/v1/alerts?cdn=a`)).status).toBe(400)
  })
})

describe('the alert feed', () => {
  /** One partition; reads of it follow the script, then wait for the end. */
  function scripted(reads: (readonly Alert[] | Error)[]) {
    const asked: number[] = []
    const log: Pick<EventLog, 'describeTopic' | 'offsets' | 'read'> = {
      describeTopic: () => Promise.resolve({ topicId: 't', partitions: 1 }),
      offsets: () => Promise.resolve({ start: 40, end: 7 }),
      read(_topic, partition, { fromOffset, signal }) {
        asked.push(fromOffset)
        const next = reads.shift()
        if (next instanceof Error) return Promise.reject(next)
        if (next === undefined)
          return new Promise((resolve) => {
            signal?.addEventListener('abort', () => resolve({ records: [], endOffset: 0 }))
          })
        const records = next.map((one, index): LogRecord => ({
          partition,
          offset: fromOffset + index,
          loggedAtMs: NOW_MS,
          key: one.alertId,
          value: encodeAlert(one),
          headers: {},
        }))
        return Promise.resolve({ records, endOffset: fromOffset + records.length })
      },
    }
    return { log, asked }
  }

  async function follow(reads: (readonly Alert[] | Error)[], heard: string[]) {
    const expected = reads.length
    const { log, asked } = scripted(reads)
    let failures = 0
    const feed = new AlertFeed({
      log,
      clock: systemClock,
      limits: { ...DEFAULT_SERVING_LIMITS, alertFeedRetryMs: 1 },
      telemetry: { alertFeedFailed: () => void (failures += 1) },
    })
    await feed.begin(({ id }) => void heard.push(id))
    await expect.poll(() => asked.length).toBeGreaterThan(expected)
    await feed.stop()
    return { asked, failures }
  }

  it('begins at the end of the topic and hands on each message once', async () => {
    const heard: string[] = []
    const one = alert('a', { id: 'one' })
    const two = alert('b', { id: 'two' })
    const { asked } = await follow([[one, two], [one]], heard)
    expect(heard).toEqual(['one', 'two'])
    expect(asked).toEqual([7, 9, 10])
  })

  it('goes on after a failure, and where the log begins when it has let go of what was next', async () => {
    const heard: string[] = []
    const gone = logErrors.create('LOG_OFFSET_OUT_OF_RANGE')
    const down = logErrors.create('LOG_UNAVAILABLE')
    const { asked, failures } = await follow([down, gone, [alert('a', { id: 'one' })]], heard)
    expect(heard).toEqual(['one'])
    expect(asked).toEqual([7, 7, 40, 41])
    expect(failures).toBe(2)
  })
})
