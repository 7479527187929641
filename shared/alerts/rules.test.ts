import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { DEFAULT_CUT_IDS, parseCut } from '../qoe/cuts.ts'
import { RULE_METRICS, SAMPLE_BASES } from './rule-metrics.ts'
import { DEFAULT_RULES } from './default-rules.ts'
import { defaultRules, loadRules, parseRules } from './rules.ts'

const cuts = DEFAULT_CUT_IDS.map(parseCut)
const RULE = {
  id: 'stalls',
  title: 'Stalls',
  metric: 'stalledTimeRatio',
  cut: 'cdn',
  condition: { kind: 'threshold', direction: 'above', value: 0.1 },
}
const parse = (...rules: object[]) => parseRules(JSON.stringify({ rules }), cuts)

describe('a file of alert rules', () => {
  it('is filled up with the defaults', () => {
    expect(parse(RULE)).toMatchObject([
      {
        severity: 'warning',
        windowMinutes: 1,
        minimumSamples: 25,
        forMinutes: 1,
        judge: 'closing',
        settleMs: 0,
        resolve: { minutes: 3, hysteresis: 0.2, silentMinutes: 15 },
      },
    ])
    expect(parse({ ...RULE, metric: 'concurrentPlays' })).toMatchObject([{ settleMs: 30_000 }])
  })

  it.each([
    ['an unknown key', { ...RULE, treshold: 1 }, 'rules[0]: Unrecognized key: "treshold"'],
    [
      'an unknown key within a condition',
      { ...RULE, condition: { ...RULE.condition, values: 2 } },
      'rules[0].condition: Unrecognized key: "values"',
    ],
    ['an unknown metric', { ...RULE, metric: 'stalls%' }, 'rules[0].metric'],
    ['a value of the wrong type', { ...RULE, forMinutes: '3' }, 'rules[0].forMinutes'],
    ['a value out of its range', { ...RULE, windowMinutes: 61 }, 'rules[0].windowMinutes'],
    ['an unknown kind of condition', { ...RULE, condition: { kind: 'x' } }, 'rules[0].condition'],
    ['a dimension beside the cut', { ...RULE, where: { content: ['m'] } }, 'where.content'],
    ['viewers where none are counted', { ...RULE, cut: 'content', metric: 'distinctViewers' }, ''],
  ])('is refused for %s, which is named', (_, rule, path) => {
    expect(() => parse(rule)).toThrow(
      expect.objectContaining({
        code: 'ALERT_RULES_INVALID',
        message: expect.stringContaining(path) as string,
      }),
    )
  })

  it('is refused for an id that is there twice', () => {
    expect(() => parse(RULE, RULE)).toThrow('rules[1].id: "stalls" is there twice')
  })

  it('is refused for a cut that is not configured, and says which are', () => {
    expect(() => parse({ ...RULE, cut: 'isp' })).toThrow(
      'ALERT_CUT_UNKNOWN: an alert rule must watch a configured cut; expected rules[0].cut to be one of total, content',
    )
  })

  it('is refused for a rule that names more keys than are remembered of one', () => {
    const [cut] = cuts.filter(({ dimensions }) => dimensions.length === 2)
    const [first = '', second = ''] = cut?.dimensions ?? []
    const values = (count: number) => Array.from({ length: count }, (_, index) => `v${index}`)
    const pinning = (firsts: number, seconds: number) => ({
      ...RULE,
      cut: cut?.id,
      where: { [first]: values(firsts), [second]: values(seconds) },
    })
    expect(parse(pinning(20, 50))).toHaveLength(1)
    expect(() => parse(RULE, { ...pinning(21, 48), id: 'wide' })).toThrow(
      expect.objectContaining({
        code: 'ALERT_RULES_INVALID',
        message: expect.stringContaining(
          `expected rules[1].where to name at most 1000 keys of the cut ${cut?.id}, received 1008`,
        ) as string,
      }),
    )
    // A dimension that is left open names no key.
    expect(parse({ ...RULE, cut: cut?.id, where: { [first]: values(64) } })).toHaveLength(1)
  })

  it('is refused when it cannot be read or is no JSON', () => {
    const unreadable = expect.objectContaining({ code: 'ALERT_RULES_UNREADABLE' }) as Error
    expect(() => loadRules('absent.json', cuts, (path) => readFileSync(path, 'utf8'))).toThrow(
      unreadable,
    )
    expect(() => parseRules('{', cuts)).toThrow(unreadable)
    expect(() => parseRules(' '.repeat(1_048_577), cuts)).toThrow(unreadable)
  })
})

describe('the default rules', () => {
  it('hold for the default cuts, and shrink with the configured ones', () => {
    expect(defaultRules(cuts)).toHaveLength(DEFAULT_RULES.length)
    const few = defaultRules([parseCut('cdn')])
    expect(few.length).toBeGreaterThan(4)
    expect(few.every(({ cut }) => cut.id === 'cdn')).toBe(true)
  })
})

describe('docs/alerts.md', () => {
  const page = readFileSync(join(import.meta.dirname, '../../docs/alerts.md'), 'utf8')

  it('has an example that is a valid file', () => {
    const [example] = [...page.matchAll(/```json\n(\{\s*"rules"[\s\S]*?)```/g)]
    expect(parseRules(example?.[1] ?? '', cuts).length).toBeGreaterThan(1)
  })

  it('lists every default rule and every metric that is not its own samples', () => {
    for (const { id } of DEFAULT_RULES) expect(page).toContain(`\`${id}\``)
    const others = RULE_METRICS.filter((metric) => SAMPLE_BASES[metric] !== 'count')
    for (const metric of others) expect(page).toContain(`\`${metric}\``)
  })
})
