/**
 * The rules of alerts, judged by the program that Prometheus judges them with. That they belong to metrics,
 * runbooks and rows of the fault matrix is shown by `scripts/alerts/rules.test.ts`.
 */
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { ALERTS_FOLDER, readRules } from '../scripts/alerts/rules.ts'
import { dataQuality } from '../scripts/dashboards/data-quality.ts'
import { playbackQuality } from '../scripts/dashboards/playback-quality.ts'
import { system } from '../scripts/dashboards/system.ts'

const execute = promisify(execFile)
const promtool = (...args: string[]) => execute('promtool', args)

describe.each(readRules())('the rules of $name', ({ name }) => {
  it('are valid, fire on what they are for, and are quiet otherwise', async () => {
    await promtool('check', 'rules', join(ALERTS_FOLDER, `${name}.yaml`))
    await promtool('test', 'rules', join(ALERTS_FOLDER, 'tests', `${name}.yaml`))
  })
})

it.each([system, playbackQuality, dataQuality])(
  'every query of “$title” is PromQL to Prometheus itself',
  async ({ uid, rows }) => {
    const queries = rows.flatMap(({ panels }) => panels.flatMap((panel) => panel.queries))
    const rules = queries.map(({ expr }, index) => ({
      record: `query:${index}`,
      expr: expr.replaceAll('$__rate_interval', '5m'),
    }))
    const folder = mkdtempSync(join(tmpdir(), 'backhaul-queries-'))
    try {
      const file = join(folder, 'queries.yaml')
      // JSON is YAML.
      writeFileSync(file, JSON.stringify({ groups: [{ name: uid, rules }] }))
      const { stdout } = await promtool('check', 'rules', file)
      expect(stdout).toContain(`${rules.length} rules found`)
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  },
)
