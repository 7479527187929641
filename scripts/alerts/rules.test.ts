/**
 * Rules of alerts, metrics, runbooks, tests and the rows of the fault matrix belong together: take one
 * away, and one of these fails. `loadtest/alert-rules.alerts.test.ts` has the rules judged.
 */
import { describe, expect, it } from 'vitest'
import { labelsIn, problemsOf } from './catalogue.ts'
import { faultRows, MATRIX_ROWS, readRules, runbookSections, testedAlerts } from './rules.ts'

const PARTS = ['Symptom', 'Impact', 'Check', 'Action', 'Verify']
const files = readRules()
const records = files.flatMap((file) => file.records)
const alerts = files.flatMap((file) => file.alerts)

it('names are used once', () => {
  const names = [...alerts.map(({ alert }) => alert), ...records.map(({ record }) => record)]
  expect(names.length).toBeGreaterThan(80)
  expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([])
})

it('every row of the fault matrix has an alert, and each names the rows that it is for', () => {
  const byRow = new Map<string, string[]>()
  for (const { alert, annotations } of alerts)
    for (const row of annotations.faults.split(', '))
      byRow.set(row, [...(byRow.get(row) ?? []), alert])
  const told = faultRows()
  const matrix = Array.from({ length: MATRIX_ROWS }, (_, index) => `${index + 1}`)
  expect([...told.keys()].filter((row) => /^\d+$/.test(row))).toEqual(matrix)
  const sorted = (rows: ReadonlyMap<string, readonly string[]>) =>
    Object.fromEntries([...rows].map(([row, names]) => [row, names.toSorted()]))
  expect(sorted(told)).toEqual(sorted(byRow))
})

describe.each(files)('the rules of $name', ({ name, alerts: own, records: recorded }) => {
  it('asks for metrics and labels that there are', () => {
    const problems = [...own, ...recorded].flatMap(({ expr }) => problemsOf(expr, records))
    expect(problems).toEqual([])
  })

  it('says labels that its alerts have', () => {
    const absent = own.flatMap(({ alert, expr, annotations }) => {
      const said = `${annotations.summary} ${annotations.description}`
      const labels = [...said.matchAll(/\$labels\.(\w+)/g)].map(([, label = '']) => label)
      return labels
        .filter((label) => !labelsIn(expr, records).includes(label))
        .map((label) => `${alert} has no label ${label}`)
    })
    expect(absent).toEqual([])
  })

  it('has cases in which each alert is quiet, and then fires', () => {
    const { fires, quietBefore } = testedAlerts(name)
    const names = own.map(({ alert }) => alert)
    expect(names.filter((alert) => !fires.has(alert))).toEqual([])
    expect(names.filter((alert) => !quietBefore.has(alert))).toEqual([])
  })

  it('has a page of runbooks with a section for each alert, and no other', () => {
    const linked = own.map(({ annotations }) => annotations.runbook_url)
    const page = `docs/runbooks/${name}.md`
    expect(linked).toEqual(own.map(({ alert }) => `${page}#${alert.toLowerCase()}`))
    const sections = runbookSections(`${name}.md`)
    expect(sections).toEqual(own.map(({ alert }) => ({ title: alert, parts: PARTS })))
  })
})
