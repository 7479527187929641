/** The checks of a chart see what is wrong with one. */
import { afterEach, beforeAll, beforeEach, expect, it } from 'vitest'
import { Chart, KUBERNETES_VERSIONS } from './chart.ts'
import { TinyChart } from './testing/tiny-chart.ts'
import { prepareChartTools, type ChartTools } from './tools.ts'

const EXAMPLE = 'plain-values.yaml'
const NEGATIVE = 'negative/no-title.yaml'
const [OLDEST = ''] = KUBERNETES_VERSIONS

let tools: ChartTools
let tiny: TinyChart
let chart: Chart

beforeAll(() => {
  tools = prepareChartTools()
})
beforeEach(() => {
  tiny = new TinyChart()
  chart = new Chart(tiny.folder, tools)
})
afterEach(() => tiny.remove())

const validate = () => chart.validate(chart.render(EXAMPLE, OLDEST).ofKubernetes, OLDEST)

it('a good chart passes all of them', () => {
  expect(chart.examples).toEqual([EXAMPLE])
  expect(chart.negatives).toEqual([NEGATIVE])
  chart.lint(EXAMPLE)
  validate()
  expect(chart.unittest()).toBe(1)
  chart.refuse(NEGATIVE)
})

it('lint sees a template that cannot be read', () => {
  tiny.spoil('templates/title.yaml', '| quote }}', '| quote')
  expect(() => chart.lint(EXAMPLE)).toThrow('title.yaml')
})

it('lint sees an example that the schema forbids', () => {
  tiny.write(`ci/${EXAMPLE}`, 'title: 7\n')
  expect(() => chart.lint(EXAMPLE)).toThrow(/title.*string/)
})

it.each([
  ['an unknown field', 'data:', 'dada:', 'dada'],
  ['a value of another type', 'name: title', 'name: 7', 'metadata.name'],
  ['a kind that there is not', 'kind: ConfigMap', 'kind: ConfigMop', 'ConfigMop'],
])('validation sees %s', (_what, text, by, told) => {
  tiny.spoil('templates/title.yaml', text, by)
  expect(validate).toThrow(told)
})

it('resources that others define are set apart', () => {
  tiny.spoil('templates/title.yaml', 'apiVersion: v1', 'apiVersion: keda.sh/v1alpha1')
  const { ofKubernetes, custom } = chart.render(EXAMPLE, OLDEST)
  expect([ofKubernetes.length, custom.length]).toEqual([0, 1])
})

it("the chart's own tests are run, and fail when they should", () => {
  tiny.spoil('tests/title_test.yaml', 'value: mine', 'value: yours')
  expect(() => chart.unittest()).toThrow('yours')
})

it('a chart without tests of its own has none', () => {
  tiny.write('tests/title_test.yaml', '')
  expect(chart.unittest()).toBe(0)
})

it.each([
  ['values that are accepted', '# expect: a title is required\ntitle: a\n', 'was accepted'],
  ['another reason', '# expect: a subtitle is required\ntitle: ""\n', 'a title is required'],
  ['values that say nothing', 'title: ""\n', 'must begin with'],
])('a refusal is missed: %s', (_what, text, told) => {
  tiny.write(`ci/${NEGATIVE}`, text)
  expect(() => chart.refuse(NEGATIVE)).toThrow(told)
})
