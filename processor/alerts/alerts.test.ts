/**
 * The evaluator on the embedded stores, from frames in the log to alerts in their topic and at the
 * webhook, on a clock that the test moves.
 */
import { createHmac } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { decodeAlert, type Alert } from '../../shared/alerts/alert.ts'
import { parseRules, type RuleInput } from '../../shared/alerts/rules.ts'
import { TOPICS } from '../../shared/log/topics.ts'
import { MINUTE_MS } from '../../shared/qoe/aggregates.ts'
import { readConfig } from '../../shared/runtime/config.ts'
import { ArmedFailpoints, type FailpointName } from '../../shared/runtime/failpoints.ts'
import { alertsConfig } from '../config.ts'
import { metricValue } from '../testing/test-doubles.ts'
import {
  CUTS,
  PARTITIONS,
  TestMachine,
  type MortalProcessor,
  type StartOptions,
} from '../testing/test-machine.ts'
import { WebhookReceiver } from '../../shared/alerts/testing/webhook-receiver.ts'
import { ALERT_TOLD_WITHIN_MS } from './limits.ts'

const SECRET = 'a secret of the webhook'
const RULE: RuleInput = {
  id: 'start-failures',
  title: 'Starts fail',
  metric: 'vsfRatio',
  cut: 'cdn',
  condition: { kind: 'threshold', direction: 'above', value: 0.2 },
  minimumSamples: 4,
  resolve: { minutes: 1 },
}

let machine: TestMachine
let receiver: WebhookReceiver | undefined

beforeEach(async () => {
  machine = await TestMachine.open()
})
afterEach(async () => {
  await machine.close()
  await receiver?.close()
  receiver = undefined
})

function alertsOf(rules: readonly RuleInput[] = [RULE], settings: Record<string, string> = {}) {
  const webhook =
    receiver === undefined
      ? {}
      : {
          PROCESSOR_ALERTS_WEBHOOK_URL: receiver.url,
          PROCESSOR_ALERTS_WEBHOOK_SECRET: SECRET,
          // The test's clock runs far ahead of a real request.
          PROCESSOR_ALERTS_WEBHOOK_TIMEOUT_MS: '60000',
        }
  return {
    config: readConfig(alertsConfig, { ...webhook, ...settings }, () => ''),
    rules: parseRules(JSON.stringify({ rules }), CUTS),
  }
}

const start = (options: StartOptions = {}) => machine.start({ alerts: alertsOf(), ...options })

let sessions = 0

/** Attempts on a CDN within the present minute; of every four, so many fail before the start. */
async function attempts(cdn: string, failing: number, count = 8): Promise<void> {
  for (let index = 0; index < count; index += 1) {
    const fails = index % 4 < failing
    await machine.send({
      sessionId: `s${sessions++}`,
      cdn,
      events: [
        { seq: 0, type: 'playbackRequest' },
        fails ? { seq: 1, type: 'playbackFail', code: 'x' } : { seq: 1, type: 'playbackStart' },
      ],
    })
  }
}

/** Moves the clock to a few seconds into the next minute, in steps that leave time for the disk. */
async function nextMinute(): Promise<void> {
  const restMs = MINUTE_MS - (machine.clock.nowMs() % MINUTE_MS)
  for (let passedMs = 0; passedMs < restMs; passedMs += 1_000) {
    await machine.clock.advance(Math.min(1_000, restMs - passedMs))
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
  await machine.pass(4_000)
}

/** Messages in the topic, by partition and offset. */
async function published(): Promise<Alert[]> {
  const alerts: Alert[] = []
  for (let partition = 0; partition < PARTITIONS; partition += 1) {
    const request = { fromOffset: 0, maxRecords: 1_000, maxBytes: 2 ** 24, waitMs: 0 }
    const { records } = await machine.ports.log.read(TOPICS.alerts, partition, request)
    for (const { value, key } of records) {
      const alert = decodeAlert(value)
      if (alert === undefined) throw new Error('a record that is no alert')
      expect(key).toBe(alert.alertId)
      alerts.push(alert)
    }
  }
  return alerts.toSorted((a, b) => a.judgedAtMs - b.judgedAtMs)
}

const untilPublished = (count: number) =>
  machine.until(async () => distinct(await published()).length >= count, `${count} alerts`, 500)

async function judgedBy({ telemetry }: MortalProcessor): Promise<number> {
  return (await metricValue(telemetry, 'processor_alerts_judged_minutes_total')) ?? 0
}

/** A rule begins with the minute that is over when it first looks. */
const untilJudged = (processor: MortalProcessor, count: number) =>
  machine.until(async () => (await judgedBy(processor)) >= count, `${count} minutes are judged`)

const distinct = (alerts: readonly Alert[]) => [...new Set(alerts.map(({ id }) => id))]

describe('the evaluator', () => {
  it('raises once what is out of bounds, on that CDN alone, and resolves it once', async () => {
    const processor = await start()
    await nextMinute()
    const minuteStartMs = Math.floor(machine.clock.nowMs() / MINUTE_MS) * MINUTE_MS
    await attempts('a', 2)
    await attempts('b', 0)
    await nextMinute()
    await untilPublished(1)
    await attempts('a', 2)
    await nextMinute()
    await attempts('a', 0)
    await nextMinute()
    await untilPublished(2)
    await nextMinute()
    const alerts = await published()
    expect(alerts).toMatchObject([
      { state: 'raised', key: { cdn: 'a' }, minuteStartMs, value: 0.5, bound: 0.2, samples: 8 },
      { state: 'resolved', reason: 'recovered', alertId: alerts[0]?.id, value: 0 },
    ])
    await processor.stop()
  })

  it('judges within a second of the rows that say that the minute is over', async () => {
    const processor = await start()
    await attempts('a', 4)
    const endMs = (Math.floor(machine.clock.nowMs() / MINUTE_MS) + 1) * MINUTE_MS
    let overAtMs = 0
    await machine.until(
      async () => {
        const rows = await machine.ports.speed.readPartitions(processor.view)
        const reached =
          rows.length < PARTITIONS ? 0 : Math.min(...rows.map((row) => row.narrowWatermarkMs))
        if (overAtMs === 0 && reached >= endMs) overAtMs = machine.clock.nowMs()
        return (await published()).length > 0
      },
      'an alert',
      125,
    )
    const [alert] = await published()
    expect(overAtMs).toBeGreaterThan(0)
    expect((alert?.judgedAtMs ?? Infinity) - overAtMs).toBeLessThanOrEqual(ALERT_TOLD_WITHIN_MS)
    await processor.stop()
  })

  it('is one of two, and the other takes over when it stops', async () => {
    const first = await start()
    const second = await start()
    await attempts('a', 4)
    await nextMinute()
    await untilPublished(1)
    const leads = async () =>
      Promise.all(
        [first, second].map(async ({ telemetry }) => {
          const metric = telemetry.registry.getSingleMetric('processor_alerts_leader')
          return (await metric?.get())?.values[0]?.value
        }),
      )
    // On a slow disk the test's clock outruns a renewal, and the lease is taken anew.
    await machine.until(async () => new Set(await leads()).size === 2, 'one of them leads', 500)
    const [survivor, leader] = (await leads())[0] === 1 ? [second, first] : [first, second]
    await leader.stop()
    await attempts('a', 0)
    await nextMinute()
    await untilPublished(2)
    expect((await published()).map(({ state }) => state)).toEqual(['raised', 'resolved'])
    await survivor.stop()
  })

  it('is succeeded soon after its death, though its clock was hours ahead', async () => {
    const first = await start({ clockOffsetMs: 2 * 60 * MINUTE_MS })
    await attempts('a', 4)
    await nextMinute()
    await untilPublished(1)
    first.kill()
    const diedAtMs = machine.clock.nowMs()
    await machine.closeStores()
    await machine.reopen()
    const second = await start()
    await attempts('a', 0)
    await nextMinute()
    await untilPublished(2)
    expect(machine.clock.nowMs() - diedAtMs).toBeLessThan(10 * MINUTE_MS)
    // The first one's times are hours ahead, too.
    const [resolved, raised] = await published()
    expect(resolved).toMatchObject({ state: 'resolved', alertId: raised?.id })
    await second.stop()
  })

  it('put to sleep between judging and telling leaves it to its heir, and says nothing later', async () => {
    const failpoints = new ArmedFailpoints()
    const sleeper = await start({ failpoints })
    await untilJudged(sleeper, 1)
    await machine.pass(5_000)
    await attempts('a', 4)
    const judgedBefore = await judgedBy(sleeper)
    let isAsleep = false
    failpoints.arm('alerts.afterState', async () => {
      if ((await judgedBy(sleeper)) === judgedBefore) return
      failpoints.arm('alerts.afterState', undefined)
      sleeper.freeze()
      isAsleep = true
    })
    await machine.until(() => isAsleep, 'it has judged the failures, and sleeps')
    let heir: MortalProcessor | undefined
    void start().then((started) => (heir = started))
    await machine.until(() => heir !== undefined, 'the group goes on without the sleeper')
    expect(await published()).toEqual([])
    await untilPublished(1)
    await attempts('a', 0)
    await nextMinute()
    await untilPublished(2)
    sleeper.thaw()
    await nextMinute()
    const alerts = await published()
    expect(alerts.map(({ state }) => state)).toEqual(['raised', 'resolved'])
    expect(alerts[1]?.alertId).toBe(alerts[0]?.id)
    for (const each of [sleeper, heir]) each?.kill()
  })

  it('ends the alerts of a rule that was changed or removed while it was away', async () => {
    const before = await start({
      alerts: alertsOf([RULE, { ...RULE, id: 'removed' }, { ...RULE, id: 'changed' }]),
    })
    await attempts('a', 4)
    await nextMinute()
    await untilPublished(3)
    await before.stop()
    const after = await start({
      alerts: alertsOf([RULE, { ...RULE, id: 'changed', minimumSamples: 100 }]),
    })
    await untilPublished(5)
    const ended = (await published()).filter(({ state }) => state === 'resolved')
    expect(ended.map(({ rule, reason }) => `${rule} ${reason}`).toSorted()).toEqual([
      'changed ruleChanged',
      'removed ruleChanged',
    ])
    await after.stop()
  })

  it('skips what it missed beyond an hour, and says so', async () => {
    const before = await start()
    await nextMinute()
    await nextMinute()
    await before.stop()
    await machine.clock.advance(100 * MINUTE_MS)
    const after = await start()
    const skipped = async () => {
      const metric = after.telemetry.registry.getSingleMetric(
        'processor_alerts_skipped_minutes_total',
      )
      return (await metric?.get())?.values.find(({ labels }) => labels['reason'] === 'away')?.value
    }
    await machine.until(async () => ((await skipped()) ?? 0) > 30, 'minutes are skipped')
    await after.stop()
  })
})

describe('an evaluator that is killed', () => {
  const STEPS: readonly FailpointName[] = [
    'alerts.afterJudge',
    'alerts.afterState',
    'alerts.afterTopic',
    'alerts.afterDelivery',
    'alerts.afterWebhook',
  ]

  it.each(STEPS)('at %s loses nothing, and repeats with the same id', async (name) => {
    receiver = await WebhookReceiver.open()
    // Steps without an alert come by often: it dies in the one that judges the failures.
    let judgedBefore = Infinity
    const counts = async () => (await judgedBy(mortal)) > judgedBefore
    const mortal = await start({ killAt: { name, times: 1, counts } })
    await untilJudged(mortal, 1)
    await machine.pass(5_000)
    await attempts('a', 4)
    judgedBefore = await judgedBy(mortal)
    await nextMinute()
    await machine.until(() => mortal.isDead, 'it is dead', 500)
    await machine.closeStores()
    await machine.reopen()
    const next = await start()
    await untilPublished(1)
    await machine.until(() => (receiver?.bodies.length ?? 0) > 0, 'the webhook has it', 500)
    await attempts('a', 0)
    await nextMinute()
    await untilPublished(2)
    await machine.until(() => distinct(receiver?.alerts ?? []).length === 2, 'both came', 500)
    const ids = distinct(await published())
    expect(ids).toHaveLength(2)
    expect(distinct(receiver.alerts)).toEqual(ids)
    await next.stop()
  })
})

describe('the webhook', () => {
  it('is signed, and gets what failed again, with the same id and in order', async () => {
    receiver = await WebhookReceiver.open()
    receiver.answers.push(500, 503, 'cut', 429)
    const processor = await start()
    await attempts('a', 4)
    await nextMinute()
    await machine.until(() => (receiver?.taken.length ?? 0) === 1, 'the first alert', 500)
    await attempts('a', 0)
    await nextMinute()
    await machine.until(() => (receiver?.taken.length ?? 0) === 2, 'both alerts', 500)
    expect(receiver.bodies).toHaveLength(6)
    expect(distinct(receiver.alerts.slice(0, 5))).toHaveLength(1)
    expect(receiver.taken.map(({ state }) => state)).toEqual(['raised', 'resolved'])
    for (const { body, headers } of receiver.bodies) {
      const timestamp = String(headers['backhaul-timestamp'])
      const signature = createHmac('sha256', SECRET).update(`${timestamp}.${body}`).digest('hex')
      expect(headers['backhaul-signature']).toBe(`v1=${signature}`)
    }
    await processor.stop()
  })

  it('that refuses an alert for good does not hold up the next', async () => {
    receiver = await WebhookReceiver.open()
    receiver.answers.push(401)
    const processor = await start()
    await attempts('a', 4)
    await nextMinute()
    await machine.until(() => (receiver?.bodies.length ?? 0) === 1, 'the first alert', 500)
    await attempts('a', 0)
    await nextMinute()
    await machine.until(() => (receiver?.taken.length ?? 0) === 1, 'the second alert', 500)
    expect(receiver.taken).toMatchObject([{ state: 'resolved' }])
    expect(receiver.bodies).toHaveLength(2)
    await processor.stop()
  })

  it('is posted to nowhere but its own address, wherever it points', async () => {
    receiver = await WebhookReceiver.open()
    receiver.answers.push(302, 307)
    const processor = await start()
    await attempts('a', 4)
    await nextMinute()
    await machine.until(() => (receiver?.bodies.length ?? 0) === 1, 'the first alert', 500)
    await attempts('a', 0)
    await nextMinute()
    await machine.until(() => (receiver?.bodies.length ?? 0) === 2, 'the second alert', 500)
    await processor.stop()
    expect(receiver.paths).toEqual(['/alerts', '/alerts'])
    expect(receiver.taken).toEqual([])
  })

  it('misses what it did not take until the deadline, which is counted', async () => {
    receiver = await WebhookReceiver.open()
    receiver.answers.push(...Array.from({ length: 1_000 }, () => 500 as const))
    const settings = { PROCESSOR_ALERTS_WEBHOOK_DEADLINE_MS: '20000' }
    const processor = await start({ alerts: alertsOf([RULE], settings) })
    await attempts('a', 4)
    await nextMinute()
    await untilPublished(1)
    const outcome = async (name: string) => {
      const metric = processor.telemetry.registry.getSingleMetric(
        'processor_alerts_webhook_posts_total',
      )
      const values = (await metric?.get())?.values ?? []
      return values.find(({ labels }) => labels['outcome'] === name)?.value
    }
    await machine.until(async () => (await outcome('expired')) === 1, 'it is given up', 500)
    expect(await outcome('delivered')).toBeUndefined()
    await processor.stop()
  })
})
