/**
 * Rules of alerts, metrics, runbooks and the rows of the fault matrix belong together: no rule asks for
 * a metric that is not there, none lacks a runbook or a test, and every row that can last has a rule.
 */
import { execFile } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'

const ROOT = join(import.meta.dirname, '..')
const RULES = join(ROOT, 'helm', 'backhaul', 'alerts')
const GROUPS = ['gateway', 'processor', 'batch']
/** An idle partition is none that an operator can do anything about. */
const ROWS_WITHOUT_ALERT = [18]
const ROWS = 34

const execute = promisify(execFile)
const promtool = (...args: string[]) => execute('promtool', args)
const textOf = (...path: string[]) => readFileSync(join(...path), 'utf8')
const captures = (text: string, pattern: RegExp) =>
  [...text.matchAll(pattern)].map(([, captured = '']) => captured)

const rulesOf = (group: string) => textOf(RULES, `${group}.yaml`)
const alertsOf = (group: string) => captures(rulesOf(group), /- alert: (\w+)/g)

it('every file of rules is one of these', () => {
  const files = readdirSync(RULES).filter((name) => name.endsWith('.yaml'))
  expect(files.toSorted()).toEqual(GROUPS.map((group) => `${group}.yaml`).toSorted())
})

it('every row of the fault matrix has an alert, but those that need none', () => {
  const named = GROUPS.flatMap((group) => captures(rulesOf(group), /faults: '([\d, ]+)'/g))
  const rows = new Set(named.flatMap((text) => text.split(', ').map(Number)))
  const expected = Array.from({ length: ROWS }, (_, index) => index + 1)
  const needed = expected.filter((row) => !ROWS_WITHOUT_ALERT.includes(row))
  expect([...rows].toSorted((a, b) => a - b)).toEqual(needed)
})

describe.each(GROUPS)('the rules of the %s', (group) => {
  it('are valid, fire on what they are for, and are quiet otherwise', async () => {
    await promtool('check', 'rules', join(RULES, `${group}.yaml`))
    await promtool('test', 'rules', join(RULES, 'tests', `${group}.yaml`))
  })

  it('ask for metrics that there are', () => {
    const known = new Set(captures(textOf(ROOT, 'docs', 'metrics.md'), /^\| `(\w+)` \|/gm))
    const pattern = /\b((?:gateway|processor|batch|log_kafka)_[a-z_]+)\b/g
    const asked = captures(rulesOf(group), pattern)
    expect(asked.length).toBeGreaterThanOrEqual(alertsOf(group).length)
    expect(asked.filter((name) => !known.has(name))).toEqual([])
  })

  it('have each a test that sees it fire, a runbook, and rows that they are for', () => {
    const alerts = alertsOf(group)
    const tests = textOf(RULES, 'tests', `${group}.yaml`)
    expect(alerts.filter((alert) => !tests.includes(alert))).toEqual([])
    const runbook = `docs/runbooks/${group}.md`
    const linked = captures(rulesOf(group), /runbook: (\S+)/g)
    expect(linked).toEqual(alerts.map((alert) => `${runbook}#${alert.toLowerCase()}`))
    expect(captures(textOf(ROOT, runbook), /^## (\w+)$/gm)).toEqual(alerts)
    expect(captures(rulesOf(group), /(faults: )/g)).toHaveLength(alerts.length)
    expect(textOf(ROOT, 'docs', 'faults.md')).toContain(`(runbooks/${group}.md)`)
  })
})
