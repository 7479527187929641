import { describe, expect, it } from 'vitest'
import { parseCut } from '../qoe/cuts.ts'
import { MINUTE_MS } from '../qoe/aggregates.ts'
import type { Alert } from './alert.ts'
import { endRule, judgeMinute, type Judgement } from './judge.ts'
import {
  ALERT_KEYS_PER_RULE_MAX,
  ALERT_OPEN_PER_RULE_MAX,
  ALERT_RESOLVED_PER_RULE_MAX,
} from './limits.ts'
import type { MetricReading } from './rule-metrics.ts'
import { decodeRuleState, emptyRuleState, encodeRuleState, openAlerts } from './rule-state.ts'
import { parseRules, type AlertRule, type RuleInput } from './rules.ts'

const START_MS = 30_000_000 * MINUTE_MS
const A = '["a"]'
const cuts = ['total', 'cdn'].map(parseCut)

function rule(overrides: Partial<RuleInput> = {}): AlertRule {
  const input: RuleInput = {
    id: 'stalls',
    title: 'Stalls',
    metric: 'stalledTimeRatio',
    cut: 'cdn',
    condition: { kind: 'threshold', direction: 'above', value: 0.1 },
    ...overrides,
  }
  const [parsed] = parseRules(JSON.stringify({ rules: [input] }), cuts)
  if (parsed === undefined) throw new Error('no rule')
  return parsed
}

type Minute = Readonly<Record<string, number | Partial<MetricReading>>>

/** Judges one minute after another. */
class Bench {
  readonly rule: AlertRule
  state
  minute = 0

  constructor(of: AlertRule) {
    this.rule = of
    this.state = emptyRuleState(of.definition, START_MS)
  }

  judge(minute: Minute, lastWeek: Minute = {}): Judgement {
    const judgement = judgeMinute(this.rule, this.state, {
      minuteStartMs: START_MS + this.minute++ * MINUTE_MS,
      nowMs: START_MS + this.minute * MINUTE_MS + 250,
      readings: { now: readings(minute), lastWeek: readings(lastWeek) },
    })
    // As the store would hand it back.
    const stored = decodeRuleState(encodeRuleState(judgement.state))
    if (stored === undefined) throw new Error('a state that cannot be read')
    this.state = stored
    return judgement
  }

  /** What a row of values of one key raises and resolves. */
  play(values: readonly (number | Partial<MetricReading>)[], key = A): string[] {
    return values.flatMap((value, index) =>
      this.judge({ [key]: value }).alerts.map(({ state, reason }) => `${index} ${state} ${reason}`),
    )
  }
}

function readings(minute: Minute): Map<string, MetricReading> {
  const entries = Object.entries(minute).map(([key, value]): [string, MetricReading] => [
    key,
    typeof value === 'number' ? { value, samples: 100 } : { value: 0.5, samples: 100, ...value },
  ])
  return new Map(entries)
}

describe('a threshold', () => {
  it('raises after as many minutes in a row as the rule says, once', () => {
    const bench = new Bench(rule({ forMinutes: 3 }))
    expect(bench.play([0.2, 0.2, 0.05, 0.2, 0.2, 0.2, 0.2])).toEqual(['5 raised condition'])
  })

  it('is exceeded by more than its value, not by its value', () => {
    expect(new Bench(rule()).play([0.1])).toEqual([])
    expect(new Bench(rule()).play([0.100_001])).toEqual(['0 raised condition'])
  })

  it('resolves after minutes in a row that are below it by the hysteresis', () => {
    const bench = new Bench(rule({ resolve: { minutes: 2, hysteresis: 0.2 } }))
    // 0.09 is within the hysteresis: neither out of bounds nor over.
    const minutes = [0.2, 0.07, 0.09, 0.07, 0.2, 0.07, 0.08, 0.07]
    expect(bench.play(minutes)).toEqual(['0 raised condition', '6 resolved recovered'])
  })

  it('below a value holds for what falls under it', () => {
    const condition = { kind: 'threshold', direction: 'below', value: 100 } as const
    const bench = new Bench(rule({ condition, resolve: { minutes: 1, hysteresis: 0.1 } }))
    expect(bench.play([100, 99, 105, 110])).toEqual(['1 raised condition', '3 resolved recovered'])
  })

  it('judges every key by itself, in one order', () => {
    const bench = new Bench(rule())
    const keys = (judgement: Judgement) => judgement.alerts.map(({ key }) => key['cdn'])
    expect(keys(bench.judge({ '["b"]': 0.5, [A]: 0.5, '["c"]': 0 }))).toEqual(['a', 'b'])
    expect(keys(bench.judge({ '["b"]': 0.5, [A]: 0.5, '["c"]': 0.5 }))).toEqual(['c'])
  })
})

describe('too few samples', () => {
  it('raise nothing, and begin the minutes in a row anew', () => {
    const bench = new Bench(rule({ forMinutes: 2, minimumSamples: 50 }))
    const few = { value: 0.9, samples: 49 }
    const enough = { value: 0.9, samples: 50 }
    expect(bench.play([few, few, enough, few, enough, enough])).toEqual(['5 raised condition'])
  })

  it('neither hold an open alert nor end it, until it was silent for long', () => {
    const bench = new Bench(rule({ resolve: { silentMinutes: 3, minutes: 1 } }))
    const few = { value: null, samples: 0 }
    expect(bench.play([0.2, few, few, 0.2, few, few, few])).toEqual([
      '0 raised condition',
      '6 resolved silent',
    ])
  })

  it('are what a key without any row has', () => {
    const bench = new Bench(rule({ resolve: { silentMinutes: 2 } }))
    bench.judge({ [A]: 0.2 })
    expect(bench.judge({}).alerts).toEqual([])
    expect(bench.judge({}).alerts).toMatchObject([{ state: 'resolved', reason: 'silent' }])
    expect(bench.state.keys).toEqual({})
  })
})

describe('the change against last week', () => {
  const drop = rule({
    metric: 'concurrentPlays',
    condition: { kind: 'weekChange', direction: 'below', ratio: 0.5 },
  })

  it('holds for a key that fell by more than the ratio, to nothing too', () => {
    const at = (value: number) => ({ [A]: { value, samples: value } })
    expect(new Bench(drop).judge(at(50), at(100)).alerts).toEqual([])
    expect(new Bench(drop).judge(at(49), at(100)).alerts).toMatchObject([
      { value: 49, bound: 50, baseline: 100, samples: 100 },
    ])
    expect(new Bench(drop).judge({}, at(100)).alerts).toMatchObject([{ value: 0 }])
  })

  it('says nothing without a minute of last week, or one of few plays', () => {
    expect(new Bench(drop).judge({ [A]: 10 }).alerts).toEqual([])
    expect(new Bench(drop).judge({ [A]: { value: 0, samples: 0 } }, { [A]: 24 }).alerts).toEqual([])
  })
})

describe('the deviation from the key’s recent past', () => {
  const ewma = { kind: 'ewma', direction: 'below', deviations: 3, learnMinutes: 10 } as const
  const falls = (overrides: Partial<typeof ewma> & { relearnMinutes?: number } = {}) =>
    rule({
      metric: 'concurrentPlays',
      condition: { ...ewma, leastRatio: 0.2, ...overrides },
      resolve: { minutes: 1 },
    })
  const steady = Array.from({ length: 20 }, (_, index) => 100 + (index % 3))

  it('says nothing before it has learnt', () => {
    expect(new Bench(falls()).play([100, 100, 100, 1])).toEqual([])
  })

  it('holds for a sudden drop and ends when the level is back', () => {
    const bench = new Bench(falls())
    expect(bench.play([...steady, 95, 60, 60, 100])).toEqual([
      '21 raised condition',
      '23 resolved recovered',
    ])
  })

  it('does not learn from what is out of bounds, until that has lasted', () => {
    const bench = new Bench(falls({ relearnMinutes: 5 }))
    bench.play(steady)
    const mean = () => bench.state.keys[A]?.baseline?.mean
    const before = mean()
    bench.play([10, 10, 10, 10, 10])
    expect(mean()).toBe(before)
    const levels = Array.from({ length: 200 }, () => 10)
    expect(bench.play(levels)).toEqual([expect.stringContaining('resolved recovered')])
    expect(mean()).toBeLessThan(15)
  })
})

describe('the messages of an alert', () => {
  it('have ids of rule, key, minute and state, and share the id of the alert', () => {
    const first = new Bench(rule({ resolve: { minutes: 1 } }))
    const second = new Bench(rule({ resolve: { minutes: 1 } }))
    const ids = (bench: Bench) =>
      [0.2, 0, 0.2].flatMap((value) => bench.judge({ [A]: value }).alerts.map(({ id }) => id))
    const found = ids(first)
    expect(ids(second)).toEqual(found)
    expect(new Set(found).size).toBe(3)
    expect(first.state.resolved).toMatchObject([{ alertId: found[0], id: found[1] }])
    expect(openAlerts(first.state)).toMatchObject([{ alertId: found[2], id: found[2] }])
  })

  it('end with a rule that was changed', () => {
    const bench = new Bench(rule())
    const [raised] = bench.judge({ [A]: 0.5 }).alerts
    const ended = endRule(bench.state, START_MS)
    expect(ended.alerts).toMatchObject([
      { alertId: raised?.id, state: 'resolved', reason: 'ruleChanged' },
    ])
    expect(openAlerts(ended.state)).toEqual([])
  })
})

describe('the bounds of a rule', () => {
  const many = (count: number, value: number): Minute =>
    Object.fromEntries(Array.from({ length: count }, (_, index) => [`["k${index}"]`, value]))

  it('keep alerts beyond those that may be open from being raised, and count them', () => {
    const bench = new Bench(rule({ resolve: { minutes: 1 } }))
    const judged = bench.judge(many(ALERT_OPEN_PER_RULE_MAX + 5, 0.5))
    expect(judged.alerts).toHaveLength(ALERT_OPEN_PER_RULE_MAX)
    expect(judged.notRaised).toBe(5)
    // One is over: one of those that waited takes its place.
    const open = openAlerts(bench.state)[0] as Alert
    const key = JSON.stringify([open.key['cdn']])
    const next = bench.judge({ ...many(ALERT_OPEN_PER_RULE_MAX + 5, 0.5), [key]: 0 })
    expect(next.alerts.map(({ state }) => state)).toEqual(['resolved', 'raised'])
  })

  it('keep the keys that matter most, and count the others', () => {
    const bench = new Bench(rule({ forMinutes: 2 }))
    const judged = bench.judge(many(ALERT_KEYS_PER_RULE_MAX + 7, 0.5))
    expect(judged.keysDropped).toBe(7)
    expect(Object.keys(bench.state.keys)).toHaveLength(ALERT_KEYS_PER_RULE_MAX)
  })

  it('keep the newest of the resolved', () => {
    const bench = new Bench(rule({ resolve: { minutes: 1 } }))
    for (let round = 0; round < ALERT_RESOLVED_PER_RULE_MAX + 3; round += 1) bench.play([0.5, 0])
    expect(bench.state.resolved).toHaveLength(ALERT_RESOLVED_PER_RULE_MAX)
  })
})
