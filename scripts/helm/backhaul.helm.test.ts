/** The chart of helm/backhaul: every example of its values is good, and what is wrong is refused. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
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

it('takes the values that docs/gke.md tells to type', () => {
  const guide = readFileSync(join(FOLDER, '..', '..', 'docs', 'gke.md'), 'utf8')
  const [, typed] = /^cat > values\.yaml <<YAML\n([\s\S]*?)^YAML$/m.exec(guide) ?? []
  const folder = mkdtempSync(join(tmpdir(), 'backhaul-typed-values-'))
  try {
    const path = join(folder, 'values.yaml')
    writeFileSync(path, (typed ?? '').replaceAll(/\$[A-Z]+/g, 'backhaul.example'))
    const values = relative(chart.pathOf('.'), path)
    chart.lint(values)
    const [oldest = ''] = KUBERNETES_VERSIONS
    expect(chart.render(values, oldest).custom.join()).toContain('backhaul.example')
  } finally {
    rmSync(folder, { recursive: true })
  }
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
