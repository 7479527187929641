import { describe, expect, it } from 'vitest'
import { problemsOf } from './catalogue.ts'
import { askedBy } from './promql.ts'

describe('an expression', () => {
  it('asks for its metrics, by labels, and groups by others', () => {
    const asked = askedBy(
      'sum by (code) (rate(a_total{topic="x",code=~"y|z"}[5m])) / on (code) group_left () max(b offset 1h) > 0.1',
    )
    expect(asked).toEqual({
      selectors: [
        { metric: 'a_total', labels: ['topic', 'code'] },
        { metric: 'b', labels: [] },
      ],
      grouping: ['code', 'code'],
    })
  })

  it('is refused when it is not PromQL', () => {
    expect(() => askedBy('sum(gateway_ready')).toThrow('no PromQL')
  })
})

describe('the catalogue', () => {
  const recorded = [{ record: 'backhaul:ready', expr: 'sum by (instance) (gateway_ready)' }]

  it.each([
    ['gateway_append_ms_bucket{topic="x",le="5"}'],
    ['sum by (le, topic) (rate(gateway_append_ms_bucket{namespace="n"}[5m]))'],
    ['gateway_append_ms_count'],
    ['max by (instance) (backhaul:ready)'],
  ])('answers %s', (expression) => {
    expect(problemsOf(expression, recorded)).toEqual([])
  })

  it.each([
    ['gateway_redy', 'there is no metric gateway_redy'],
    ['gateway_ready{state="x"}', 'gateway_ready has no label state'],
    ['gateway_append_ms', 'there is no metric gateway_append_ms'],
    ['gateway_ready_count', 'there is no metric gateway_ready_count'],
    ['sum by (partition) (gateway_ready)', 'no metric here has the label partition'],
    ['backhaul:other', 'there is no metric backhaul:other'],
  ])('has no answer to %s', (expression, problem) => {
    expect(problemsOf(expression, recorded)).toEqual([problem])
  })
})
