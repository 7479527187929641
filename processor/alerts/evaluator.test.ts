import { beforeEach, describe, expect, it } from 'vitest'
import { ALERT_OUTBOX_PER_RULE_MAX } from '../../shared/alerts/limits.ts'
import { emptyRuleState, type Outgoing } from '../../shared/alerts/rule-state.ts'
import { parseRules, type AlertRule } from '../../shared/alerts/rules.ts'
import { partitionOf } from '../../shared/log/partitioner.ts'
import { ManualClock } from '../../shared/runtime/clock.ts'
import { parseCut } from '../../shared/qoe/cuts.ts'
import { noFailpoints } from '../../shared/runtime/failpoints.ts'
import { partitionRow } from '../../shared/speed/speed-store.contract.ts'
import { outgoing } from '../testing/outgoing-alert.ts'
import {
  scriptedErrors,
  scriptedLog,
  scriptedSpeed,
  silentTelemetry,
} from '../testing/test-doubles.ts'
import { AlertEvaluator } from './evaluator.ts'
import { StateBook } from './state-book.ts'
import { createAlertTelemetry } from './telemetry.ts'

const MINUTE_MS = 60_000
const TO_MS = 30_000_000 * MINUTE_MS
const ALERT_PARTITIONS = 2

/** Ids of alerts, by the partition of their topic. */
const idsOf = (partition: number, count: number) =>
  Array.from({ length: 10_000 }, (_, index) => `alert-${index}`)
    .filter((id) => partitionOf(id, ALERT_PARTITIONS) === partition)
    .slice(0, count)

let book: StateBook
let appended: { readonly partition: number; readonly ids: (string | undefined)[] }[]
/** Partitions of the topic that take nothing. */
let sick: Set<number>

function evaluator(rules: readonly AlertRule[] = []): AlertEvaluator {
  return new AlertEvaluator(
    {
      rules,
      log: scriptedLog({
        append: async (_topic, partition, records) => {
          if (sick.has(partition)) throw scriptedErrors.create('SCRIPTED_OUTAGE')
          appended.push({ partition, ids: records.map(({ key }) => key) })
          return { baseOffset: 0, appendTimeMs: TO_MS }
        },
      }),
      speed,
      view: 'view',
      partitions: 1,
      alertPartitions: ALERT_PARTITIONS,
      paneLifeMs: 90 * MINUTE_MS,
      hasWebhook: true,
      clock: new ManualClock(TO_MS),
      failpoints: noFailpoints,
      telemetry: createAlertTelemetry(silentTelemetry()),
    },
    book,
    () => undefined,
  )
}

const speed = scriptedSpeed({
  putRuleStates: async () => undefined,
  readRuleStates: async () => [],
  readPartitions: async () => [partitionRow({ partition: 0, narrowWatermarkMs: TO_MS })],
  readMinutes: async () => [],
})

beforeEach(async () => {
  book = await StateBook.load(speed, 'view')
  appended = []
  sick = new Set()
})

describe('a partition of the topic that takes nothing', () => {
  it('keeps back its own alerts alone, and the others are appended once', async () => {
    const [waits = ''] = idsOf(0, 1)
    const [goes = ''] = idsOf(1, 1)
    const outbox = [outgoing(waits), outgoing(goes)]
    book.set('stalls', { ...emptyRuleState('x', TO_MS), outbox })
    const evaluates = evaluator()
    sick.add(0)
    await expect(evaluates.step()).rejects.toThrow('SCRIPTED_OUTAGE')
    await expect(evaluates.step()).rejects.toThrow('SCRIPTED_OUTAGE')
    expect(appended).toEqual([{ partition: 1, ids: [goes] }])
    // What is in the topic may go to the webhook.
    expect(book.get('stalls')?.outbox).toMatchObject([
      { alert: { id: waits }, toTopic: true },
      { alert: { id: goes }, toTopic: false, toWebhook: true },
    ])
    sick.clear()
    await evaluates.step()
    expect(appended.slice(1)).toEqual([{ partition: 0, ids: [waits] }])
  })
})

describe('an outbox at its bound', () => {
  const ids = idsOf(0, ALERT_OUTBOX_PER_RULE_MAX)
  const outboxIds = () => book.get('stalls')?.outbox.map(({ alert }) => alert.id)
  /** One alert is open, which a rule that was removed or changed ends. */
  const stateWith = (outbox: Outgoing[]) => {
    const open = outgoing('open').alert
    const keys = { '["open"]': { breaching: 1, clearing: 0, silent: 0, unseen: 0, open } }
    return { ...emptyRuleState('x', TO_MS - MINUTE_MS), keys, outbox }
  }

  it('loses for the webhook the oldest that is in the topic, and none that is not', () => {
    const [first, second, ...others] = ids.map((id) => outgoing(id))
    if (first === undefined || second === undefined) throw new Error('two alerts')
    book.set('stalls', stateWith([first, { ...second, toTopic: false }, ...others]))
    evaluator()
    const left = outboxIds()
    expect(left).toHaveLength(ALERT_OUTBOX_PER_RULE_MAX)
    expect(left?.slice(0, -1)).toEqual(ids.filter((id) => id !== second.alert.id))
  })

  it('makes its rule wait until the topic has taken what waits there', async () => {
    const rules = parseRules(
      JSON.stringify({
        rules: [
          {
            id: 'stalls',
            title: 'Stalls',
            metric: 'stalledTimeRatio',
            cut: 'cdn',
            condition: { kind: 'threshold', direction: 'above', value: 0.1 },
          },
        ],
      }),
      [parseCut('cdn')],
    )
    book.set('stalls', stateWith(ids.map((id) => outgoing(id))))
    const evaluates = evaluator(rules)
    sick.add(0)
    await expect(evaluates.step()).rejects.toThrow('SCRIPTED_OUTAGE')
    expect(outboxIds()).toEqual(ids)
    expect(book.get('stalls')?.judgedToMs).toBe(TO_MS - MINUTE_MS)
    sick.clear()
    await evaluates.step()
    await evaluates.step()
    expect(book.get('stalls')?.judgedToMs).toBe(TO_MS)
    expect(appended.flatMap((append) => append.ids).slice(0, ids.length)).toEqual(ids)
  })
})
