/**
 * The rules of alerts, judged by the program that Prometheus judges them with. That they belong to metrics,
 * runbooks and rows of the fault matrix is shown by `scripts/alerts/rules.test.ts`.
 */
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, it } from 'vitest'
import { ALERTS_FOLDER, readRules } from '../scripts/alerts/rules.ts'

const execute = promisify(execFile)
const promtool = (...args: string[]) => execute('promtool', args)

describe.each(readRules())('the rules of $name', ({ name }) => {
  it('are valid, fire on what they are for, and are quiet otherwise', async () => {
    await promtool('check', 'rules', join(ALERTS_FOLDER, `${name}.yaml`))
    await promtool('test', 'rules', join(ALERTS_FOLDER, 'tests', `${name}.yaml`))
  })
})
