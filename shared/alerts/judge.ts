/**
 * Judges one minute by one rule: a pure function of the rule, what is known of it, and what it sees
 * of the minute. Minutes are judged in order, each once.
 *
 *              forMinutes out of bounds                resolve.minutes well within bounds
 *   quiet ───────────────────────────────► open ───────────────────────────────────────────► quiet
 *     ▲                                      │          silentMinutes without enough samples
 *     └──────────────────────────────────────┘
 */
import { boundsOf, learn, verdictOf, type Bounds, type Verdict } from './bounds.ts'
import { alertId, type Alert } from './alert.ts'
import {
  ALERT_KEYS_PER_RULE_MAX,
  ALERT_OPEN_PER_RULE_MAX,
  ALERT_RESOLVED_PER_RULE_MAX,
  ALERT_UNSEEN_MINUTES_MAX,
} from './limits.ts'
import type { RuleReadings } from './readings.ts'
import { readMetric, SAMPLE_BASES, type MetricReading } from './rule-metrics.ts'
import { openAlerts, type KeyState, type RuleState } from './rule-state.ts'
import type { AlertRule } from './rules.ts'
import { MINUTE_MS } from '../qoe/aggregates.ts'

export interface JudgedMinute {
  readonly minuteStartMs: number
  readonly nowMs: number
  readonly readings: RuleReadings
}

export interface Judgement {
  /** With the minute judged; its outbox is the one before. */
  readonly state: RuleState
  /** Resolved ones first, so that what is over makes room. */
  readonly alerts: readonly Alert[]
  /** Keys that were forgotten, and alerts that were not raised, because of a bound. */
  readonly keysDropped: number
  readonly notRaised: number
}

const QUIET: KeyState = { breaching: 0, clearing: 0, silent: 0, unseen: 0 }

export function judgeMinute(rule: AlertRule, before: RuleState, minute: JudgedMinute): Judgement {
  const { now, lastWeek } = minute.readings
  const names = new Set([...now.keys(), ...Object.keys(before.keys), ...lastWeek.keys()])
  const nothing = readMetric(rule.metric, [])
  const raised: Alert[] = []
  const resolved: Alert[] = []
  const kept = new Map<string, { state: KeyState; samples: number }>()
  let openCount = openAlerts(before).length
  let notRaised = 0
  for (const key of [...names].toSorted()) {
    const reading = now.get(key) ?? nothing
    const past = { state: before.keys[key] ?? QUIET, lastWeek: lastWeek.get(key)?.value ?? null }
    const seen = assess(rule, reading, past)
    const next = advance(rule, past.state, { ...seen, isSeen: now.has(key) })
    const message = describe(rule, key, minute, seen)
    if (next.ends !== undefined && past.state.open !== undefined) {
      resolved.push(message('resolved', next.ends, past.state.open))
      openCount -= 1
    } else if (next.begins && openCount >= ALERT_OPEN_PER_RULE_MAX) notRaised += 1
    else if (next.begins) {
      const alert = message('raised', 'condition', undefined)
      next.state.open = alert
      raised.push(alert)
      openCount += 1
    }
    if (isWorthKeeping(next.state)) kept.set(key, { state: next.state, samples: seen.samples })
  }
  const { keys, dropped } = bounded(kept)
  const state: RuleState = {
    ...before,
    judgedToMs: minute.minuteStartMs + MINUTE_MS,
    keys,
    resolved: [...before.resolved, ...resolved].slice(-ALERT_RESOLVED_PER_RULE_MAX),
  }
  return { state, alerts: [...resolved, ...raised], keysDropped: dropped, notRaised }
}

/** Ends every open alert of a rule that was changed or removed. */
export function endRule(before: RuleState, nowMs: number): Judgement {
  const minuteStartMs = before.judgedToMs
  const alerts = Object.entries(before.keys).flatMap(([key, { open }]): Alert[] => {
    if (open === undefined) return []
    const id = alertId({ rule: open.rule, key, minuteStartMs }, 'resolved')
    const end = { state: 'resolved', reason: 'ruleChanged', minuteStartMs } as const
    return [{ ...open, ...end, id, judgedAtMs: nowMs }]
  })
  const resolved = [...before.resolved, ...alerts].slice(-ALERT_RESOLVED_PER_RULE_MAX)
  return { state: { ...before, keys: {}, resolved }, alerts, keysDropped: 0, notRaised: 0 }
}

interface Assessment extends MetricReading {
  readonly bounds: Bounds | undefined
  readonly verdict: Verdict | 'unknown'
}

function assess(
  rule: AlertRule,
  reading: MetricReading,
  past: { readonly state: KeyState; readonly lastWeek: number | null },
): Assessment {
  const { condition, metric, minimumSamples, resolve } = rule
  const { value } = reading
  const recent = past.state.baseline
  const bounds = boundsOf(condition, { lastWeek: past.lastWeek, recent }, resolve.hysteresis)
  // A count that fell rests on what it fell from.
  const samples =
    SAMPLE_BASES[metric] === 'count'
      ? Math.max(reading.samples, bounds?.baseline ?? 0)
      : reading.samples
  const isKnown = value !== null && bounds !== undefined && samples >= minimumSamples
  const verdict = isKnown ? verdictOf(value, bounds, condition.direction) : 'unknown'
  return { value, samples, bounds, verdict }
}

interface Advance {
  readonly state: KeyState
  readonly begins: boolean
  readonly ends: 'recovered' | 'silent' | undefined
}

function advance(
  rule: AlertRule,
  before: KeyState,
  seen: Assessment & { readonly isSeen: boolean },
): Advance {
  const { verdict } = seen
  const isOpen = before.open !== undefined
  const state: KeyState = {
    ...before,
    breaching: verdict === 'breach' ? before.breaching + 1 : 0,
    clearing: !isOpen || verdict === 'breach' || verdict === 'between' ? 0 : before.clearing,
    silent: isOpen && verdict === 'unknown' ? before.silent + 1 : 0,
    unseen: seen.isSeen ? 0 : before.unseen + 1,
  }
  if (isOpen && verdict === 'clear') state.clearing += 1
  learnFrom(rule, state, seen)
  const ends = isOpen ? endOf(rule, state) : undefined
  if (ends !== undefined) {
    delete state.open
    state.clearing = 0
    state.silent = 0
  }
  return { state, ends, begins: !isOpen && state.breaching >= rule.forMinutes }
}

function endOf({ resolve }: AlertRule, state: KeyState): Advance['ends'] {
  if (state.clearing >= resolve.minutes) return 'recovered'
  return state.silent >= resolve.silentMinutes ? 'silent' : undefined
}

/** What is out of bounds teaches nothing, until it has been so for long: then it is the normal. */
function learnFrom({ condition, minimumSamples }: AlertRule, state: KeyState, seen: Assessment) {
  if (condition.kind !== 'ewma' || seen.value === null) return
  const isNew = seen.bounds === undefined
  if (isNew && state.baseline === undefined && seen.samples < minimumSamples) return
  if (state.breaching > 0 && state.breaching <= condition.relearnMinutes) return
  state.baseline = learn(state.baseline, seen.value, condition.halfLifeMinutes)
}

function describe(
  rule: AlertRule,
  key: string,
  { minuteStartMs, nowMs }: JudgedMinute,
  { value, samples, bounds }: Assessment,
) {
  return (state: Alert['state'], reason: Alert['reason'], open: Alert | undefined): Alert => {
    const id = alertId({ rule: rule.id, key, minuteStartMs }, state)
    const values = JSON.parse(key) as string[]
    return {
      id,
      alertId: open?.alertId ?? id,
      state,
      reason,
      rule: rule.id,
      title: rule.title,
      severity: rule.severity,
      metric: rule.metric,
      cut: rule.cut.id,
      key: Object.fromEntries(
        rule.cut.dimensions.map((dimension, index) => [dimension, values[index] ?? '']),
      ),
      minuteStartMs,
      raisedMinuteStartMs: open?.raisedMinuteStartMs ?? minuteStartMs,
      value,
      bound: bounds?.bound ?? null,
      baseline: bounds?.baseline ?? null,
      samples,
      judgedAtMs: nowMs,
    }
  }
}

function isWorthKeeping(state: KeyState): boolean {
  if (state.open !== undefined || state.breaching > 0) return true
  return state.baseline !== undefined && state.unseen <= ALERT_UNSEEN_MINUTES_MAX
}

/** Open alerts stay, then what is out of bounds, then what rests on most. */
function bounded(kept: ReadonlyMap<string, { state: KeyState; samples: number }>) {
  const rank = ({ state }: { state: KeyState }) =>
    (state.open === undefined ? 0 : 2) + (state.breaching > 0 ? 1 : 0)
  const entries = [...kept]
  if (entries.length > ALERT_KEYS_PER_RULE_MAX)
    entries.sort(
      ([a, left], [b, right]) =>
        rank(right) - rank(left) || right.samples - left.samples || (a < b ? -1 : 1),
    )
  const keys = Object.fromEntries(
    entries.slice(0, ALERT_KEYS_PER_RULE_MAX).map(([key, { state }]) => [key, state]),
  )
  return { keys, dropped: Math.max(0, entries.length - ALERT_KEYS_PER_RULE_MAX) }
}
