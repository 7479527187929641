/**
 * Alert rules of a run, and what an evaluator of them must leave, whichever processes ran it: what its
 * durable state says was raised and resolved is in `playback.alerts`, and nothing else is.
 */
import { alertsConfig, type AlertSettings } from '../../processor/config.ts'
import { decodeAlert, type Alert } from '../../shared/alerts/alert.ts'
import { decodeRuleState, type RuleState } from '../../shared/alerts/rule-state.ts'
import { parseRules, type RuleInput } from '../../shared/alerts/rules.ts'
import { TOPICS } from '../../shared/log/topics.ts'
import { MINUTE_MS } from '../../shared/qoe/aggregates.ts'
import type { Cut } from '../../shared/qoe/cuts.ts'
import { readConfig } from '../../shared/runtime/config.ts'
import { assert } from '../../shared/runtime/errors.ts'
import type { MemoryLog } from './memory-log.ts'
import type { MemorySpeedStore } from './memory-speed-store.ts'
import { START_MS } from './scheduler.ts'

/** The run's first minute is judged by then, in its faulty time. */
export const ALERTS_INPUT_MIN_MS = 64_000
const SETTLE_MS = 10_000
const events = { metric: 'events', minimumSamples: 0, resolve: { minutes: 1 } } as const

/** The first holds before the run and not in it, the others in it, key by key. */
const RULES: readonly RuleInput[] = [
  {
    ...events,
    id: 'nobody',
    title: 'Nobody plays',
    cut: 'total',
    condition: { kind: 'threshold', direction: 'below', value: 1 },
    settleMs: SETTLE_MS,
  },
  ...['cdn', 'content'].map((cut): RuleInput => {
    const condition = { kind: 'threshold', direction: 'above', value: 0 } as const
    return { ...events, id: `anybody-by-${cut}`, title: 'Somebody plays', cut, condition }
  }),
]

export function alertSettings(cuts: readonly Cut[]): AlertSettings {
  return {
    config: readConfig(alertsConfig, {}, () => ''),
    rules: parseRules(JSON.stringify({ rules: RULES }), cuts),
  }
}

/** Whether every rule has judged the run's first minute, and has nothing left to say. */
export function areAllTold({ ruleStates }: MemorySpeedStore): boolean {
  return RULES.every(({ id }) => {
    const state = decodeRuleState(ruleStates.get(id)?.stateJson ?? '')
    return (
      state !== undefined && state.judgedToMs >= START_MS + MINUTE_MS && state.outbox.length === 0
    )
  })
}

/** What is in `playback.alerts`, by id: a message that was sent again has that of the first. */
export function alertsTold(log: MemoryLog, partitions: number): ReadonlyMap<string, Alert> {
  const told = new Map<string, Alert>()
  for (let partition = 0; partition < partitions; partition += 1)
    for (const { value } of log.records(TOPICS.alerts, partition)) {
      const alert = decodeAlert(value)
      assert(alert !== undefined, 'a record of playback.alerts is an alert')
      if (!told.has(alert.id)) told.set(alert.id, alert)
    }
  return told
}

export function alertViolations(
  { log, speed }: { readonly log: MemoryLog; readonly speed: MemorySpeedStore },
  partitions: number,
): string[] {
  const told = alertsTold(log, partitions)
  const known = new Set([...speed.ruleStates.values()].flatMap((row) => idsIn(row.stateJson)))
  return [
    ...[...known].filter((id) => !told.has(id)).map((id) => `alert ${id} was told to nobody`),
    ...[...told.values()]
      .filter(({ id }) => !known.has(id))
      .map((alert) => `${nameOf(alert)} was told, and no rule stands so`),
    ...outOfTurn([...told.values()]),
  ]
}

/** Of every alert that the rule remembers: that it was raised, and if so that it was resolved. */
function idsIn(stateJson: string): string[] {
  const state: RuleState | undefined = decodeRuleState(stateJson)
  if (state === undefined) return []
  const open = Object.values(state.keys).flatMap((key) =>
    key.open === undefined ? [] : key.open.id,
  )
  return [...open, ...state.resolved.flatMap(({ id, alertId }) => [alertId, id])]
}

/** Each alert is raised, then resolved at most once; of a key none is raised while another is open. */
function outOfTurn(told: readonly Alert[]): string[] {
  const byKey = Map.groupBy(told, ({ rule, key }) => JSON.stringify([rule, key]))
  return [...byKey.values()].flatMap((alerts) => {
    let open: string | undefined
    return alerts
      .toSorted((a, b) => a.minuteStartMs - b.minuteStartMs)
      .flatMap((alert) => {
        const isInTurn = alert.state === 'raised' ? open === undefined : open === alert.alertId
        open = alert.state === 'raised' ? alert.alertId : undefined
        return isInTurn ? [] : [`${nameOf(alert)} was told out of turn`]
      })
  })
}

function nameOf({ rule, key, minuteStartMs, state }: Alert): string {
  return `${rule} ${JSON.stringify(key)} ${state} at ${minuteStartMs - START_MS}`
}
