import { execFile } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'

const LOAD = join(import.meta.dirname, 'load.ts')
const TIMEOUT_MS = 300_000

let results: string
beforeAll(() => (results = mkdtempSync(join(tmpdir(), 'backhaul-load-'))))
afterAll(() => rmSync(results, { recursive: true, force: true }))

interface Ended {
  readonly code: number
  readonly output: string
}

function load(...args: readonly string[]): Promise<Ended> {
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [LOAD, ...args, '--results', results],
      { timeout: TIMEOUT_MS },
      (error, stdout, stderr) =>
        resolve({ code: error === null ? 0 : Number(error.code ?? 1), output: stdout + stderr }),
    )
  })
}

test(
  'connections break under load, and what was sent is acknowledged and in Kafka, once',
  async () => {
    const asked = ['reconnect-storm', '--eps', '4000', '--minutes', '0.5', '--connections', '40']
    const { code, output } = await load(...asked)
    expect(output).toContain('sent = acknowledged = in Kafka  yes')
    expect(code, output).toBe(0)
    const [file] = readdirSync(results).filter((name) => name.endsWith('.json'))
    const report = JSON.parse(readFileSync(join(results, file ?? ''), 'utf8')) as {
      summary: { eventsSent: number; reconnects: number }
      inKafka: { distinctEvents: number; foreignEvents: number }
    }
    expect(report.summary.eventsSent).toBe(120_000)
    expect(report.summary.reconnects).toBeGreaterThanOrEqual(40)
    expect(report.inKafka).toMatchObject({ distinctEvents: 120_000, foreignEvents: 0 })
  },
  TIMEOUT_MS,
)

test('what cannot be asked is told with the usage', async () => {
  const unknown = await load('sideways')
  expect(unknown.code).toBe(1)
  expect(unknown.output).toContain('there is no scenario "sideways"')
  expect(unknown.output).toContain('usage: npm run loadtest -- SCENARIO')
  const tooMuch = await load('steady', '--minutes', '1000000')
  expect(tooMuch.output).toContain('--minutes is a number up to')
})
