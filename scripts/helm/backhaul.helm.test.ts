/** The chart of helm/backhaul: every example of its values is good, and what is wrong is refused. */
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { Chart, KUBERNETES_VERSIONS } from './chart.ts'
import { prepareChartTools } from './tools.ts'

const FOLDER = join(import.meta.dirname, '..', '..', 'helm', 'backhaul')
const NEGATIVES_MIN = 10

const chart = new Chart(FOLDER, prepareChartTools())

it('has the examples that its readers are pointed to', () => {
  const named = ['minimal-values.yaml', 'production-values.yaml', 'all-on-values.yaml']
  expect(chart.examples).toEqual(expect.arrayContaining(named))
})

describe.each(chart.examples)('%s', (values) => {
  it('passes helm lint', () => chart.lint(values))

  it.each(KUBERNETES_VERSIONS)('is good for Kubernetes %s', (version) => {
    const { ofKubernetes } = chart.render(values, version)
    expect(ofKubernetes.length).toBeGreaterThan(0)
    chart.validate(ofKubernetes, version)
  })
})

it('passes tests of its own', ({ task }) => {
  const tests = chart.unittest()
  expect(tests).toBeGreaterThan(0)
  task.meta.told = `${tests} tests of the chart's own`
})

it(`has ${NEGATIVES_MIN} files of values that must be refused`, () => {
  expect(chart.negatives.length).toBeGreaterThanOrEqual(NEGATIVES_MIN)
})

it.each(chart.negatives)('%s is refused for its reason', (values) => chart.refuse(values))
