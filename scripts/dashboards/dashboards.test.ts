import { describe, expect, it } from 'vitest'
import { problemsOf } from '../alerts/catalogue.ts'
import { readRules, runbookSections } from '../alerts/rules.ts'
import { dataQuality } from './data-quality.ts'
import { dashboardJson, type Dashboard } from './grafana.ts'
import { playbackQuality } from './playback-quality.ts'
import { system } from './system.ts'

const dashboards = [system, playbackQuality, dataQuality]
const records = readRules().flatMap((file) => file.records)
const panelsOf = ({ rows }: Dashboard) => rows.flatMap(({ panels }) => panels)

describe.each(dashboards)('$title', (dashboard) => {
  it('asks for metrics and labels that there are', () => {
    const queries = panelsOf(dashboard).flatMap((panel) => panel.queries)
    expect(queries.length).toBeGreaterThan(10)
    const problems = queries.flatMap(({ expr, legend }) => {
      const expression = expr.replaceAll('$__rate_interval', '5m')
      const labels = [...legend.matchAll(/\{\{(\w+)\}\}/g)].map(([, label = '']) => label)
      const grouped = labels.filter((label) => !new RegExp(`by \\([^)]*\\b${label}\\b`).test(expr))
      return [
        ...problemsOf(expression, records),
        ...grouped.map((label) => `“${legend}” needs ${label} in ${expr}`),
      ]
    })
    expect(problems).toEqual([])
  })

  it('links sections of runbooks that there are', () => {
    const linked = panelsOf(dashboard).flatMap(({ runbook }) => runbook ?? [])
    const absent = linked.filter((link) => {
      const [page = '', section] = link.split('#')
      return !runbookSections(page).some(({ title }) => title.toLowerCase() === section)
    })
    expect(absent).toEqual([])
  })

  it('places its panels beside one another, without an overlap', () => {
    const { panels } = JSON.parse(dashboardJson(dashboard)) as {
      panels: { id: number; gridPos: { x: number; y: number; w: number; h: number } }[]
    }
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length)
    const taken = new Set<string>()
    for (const { gridPos } of panels) {
      expect(gridPos.x + gridPos.w).toBeLessThanOrEqual(24)
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x += 1)
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y += 1) {
          expect(taken).not.toContain(`${x}/${y}`)
          taken.add(`${x}/${y}`)
        }
    }
  })
})
