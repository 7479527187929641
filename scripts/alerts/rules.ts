/** The rules of `helm/backhaul/alerts/`, and what belongs to them: tests, runbooks, rows of the fault matrix. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'
import { z } from 'zod'

export const ALERTS_FOLDER = join(import.meta.dirname, '..', '..', 'helm', 'backhaul', 'alerts')
const RUNBOOKS = join(import.meta.dirname, '..', '..', 'docs', 'runbooks')
const FAULTS_PAGE = join(import.meta.dirname, '..', '..', 'docs', 'faults.md')

/** Rows of the fault matrix: docs/faults.md has for each the alerts that tell of it, and the tests. */
export const MATRIX_ROWS = 34

const durationSchema = z.string().regex(/^\d+[smhd]$/)
const text = z.string().min(1)
const alertSchema = z.strictObject({
  alert: z.string().regex(/^Backhaul[A-Za-z]+$/),
  expr: text,
  for: durationSchema.optional(),
  keep_firing_for: durationSchema.optional(),
  labels: z.strictObject({ severity: z.enum(['P0', 'P1', 'P2', 'P3']) }),
  annotations: z.strictObject({
    summary: text,
    description: text,
    faults: text,
    runbook_url: text,
  }),
})
const recordSchema = z.strictObject({ record: z.string().regex(/^backhaul:/), expr: text })
const fileSchema = z.strictObject({
  groups: z.array(
    z.strictObject({ name: text, rules: z.array(z.union([alertSchema, recordSchema])) }),
  ),
})

export interface RuleFile {
  /** Of the file, without its ending. */
  readonly name: string
  readonly alerts: readonly z.infer<typeof alertSchema>[]
  readonly records: readonly z.infer<typeof recordSchema>[]
}

/** Throws on a rule that lacks what every rule has, or has something else. */
export function readRules(): RuleFile[] {
  const files = readdirSync(ALERTS_FOLDER).filter((file) => file.endsWith('.yaml'))
  return files.map((file) => {
    const { groups } = fileSchema.parse(parse(readFileSync(join(ALERTS_FOLDER, file), 'utf8')))
    const rules = groups.flatMap((group) => group.rules)
    return {
      name: file.replace('.yaml', ''),
      alerts: rules.flatMap((rule) => ('alert' in rule ? [rule] : [])),
      records: rules.flatMap((rule) => ('record' in rule ? [rule] : [])),
    }
  })
}

const testsSchema = z.object({
  tests: z.array(
    z.object({
      alert_rule_test: z
        .array(z.object({ alertname: text, exp_alerts: z.array(z.unknown()) }))
        .default([]),
      promql_expr_test: z
        .array(z.object({ expr: text, exp_samples: z.array(z.object({ labels: text })) }))
        .default([]),
    }),
  ),
})

/** Alerts that a case of promtool sees fire, and those that one sees quiet and firing within it. */
export function testedAlerts(file: string): { fires: Set<string>; quietBefore: Set<string> } {
  const path = join(ALERTS_FOLDER, 'tests', `${file}.yaml`)
  const { tests } = testsSchema.parse(parse(readFileSync(path, 'utf8')))
  const fires = new Set<string>()
  const quietBefore = new Set<string>()
  for (const { alert_rule_test: alerts, promql_expr_test: all } of tests) {
    // What a recorded ratio is at a moment says nothing of alerts.
    const expressions = all.filter(({ expr }) => expr.includes('ALERTS{alertstate="firing"}'))
    const firing = [
      ...alerts.flatMap((one) => (one.exp_alerts.length > 0 ? [one.alertname] : [])),
      ...expressions.flatMap((one) => one.exp_samples.map(({ labels }) => alertIn(labels))),
    ]
    // The case looks at another moment at which the alert is not there.
    const isQuietAtTimes = (alert: string) =>
      alerts.some((one) => one.alertname === alert && one.exp_alerts.length === 0) ||
      expressions.some((one) => one.exp_samples.every(({ labels }) => alertIn(labels) !== alert))
    for (const alert of firing) {
      fires.add(alert)
      if (isQuietAtTimes(alert)) quietBefore.add(alert)
    }
  }
  return { fires, quietBefore }
}

function alertIn(labels: string): string {
  return /alertname="(\w+)"/.exec(labels)?.[1] ?? ''
}

export interface RunbookSection {
  readonly title: string
  /** The bold words that its paragraphs begin with, in order. */
  readonly parts: readonly string[]
}

/** Sections of a page of `docs/runbooks/`; empty where there is no such page. */
export function runbookSections(page: string): RunbookSection[] {
  if (!readdirSync(RUNBOOKS).includes(page)) return []
  const [, ...sections] = readFileSync(join(RUNBOOKS, page), 'utf8').split(/^## /m)
  return sections.map((section) => ({
    title: section.slice(0, section.indexOf('\n')),
    parts: [...section.matchAll(/^\*\*(\w+)\.\*\* \S/gm)].map(([, part = '']) => part),
  }))
}

/** Rows of the table of alerts in `docs/faults.md`: of each its alerts. */
export function faultRows(): Map<string, string[]> {
  const page = readFileSync(FAULTS_PAGE, 'utf8')
  const table = page.slice(page.indexOf('\n## Alerts\n'))
  const rows = [...table.matchAll(/^\| ([\w ]+?) +\|[^|]+\| (Backhaul[\w, ]+?) +\|$/gm)]
  return new Map(rows.map(([, row = '', alerts = '']) => [row, alerts.split(', ')]))
}
