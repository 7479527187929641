/** Runs k6 with the load's settings: a line each second while it runs, its metrics at the end. */
import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { LoadSettings, SecondOfLoad } from '../k6/settings.ts'

export interface LoadSummary {
  readonly eventsSent: number
  readonly eventsAcknowledged: number
  readonly errors: number
  readonly slowed: number
  readonly reconnects: number
  readonly ackP50Ms: number
  readonly ackP99Ms: number
  readonly ackMaxMs: number
  /** Every threshold that k6 was given held. */
  readonly passed: boolean
}

const SCRIPT = join(import.meta.dirname, '..', 'k6', 'main.ts')
const SECOND_LINE = /second (\{.*?\})/
const OUTPUT_KEPT_CHARS = 20_000

export async function runK6(
  program: string,
  settings: Omit<LoadSettings, 'summaryPath'>,
  onSecond: (second: SecondOfLoad) => void,
): Promise<LoadSummary> {
  const folder = mkdtempSync(join(tmpdir(), 'backhaul-k6-'))
  const summaryPath = join(folder, 'summary.json')
  try {
    const load: LoadSettings = { ...settings, summaryPath }
    const { code, output } = await run(program, load, onSecond)
    if (!existsSync(summaryPath)) throw new Error(`k6 ended with ${code}:\n${output}`)
    return readSummary(summaryPath, code === 0)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function run(program: string, load: LoadSettings, onSecond: (second: SecondOfLoad) => void) {
  const args = ['run', '--quiet', '--no-usage-report', '--log-format', 'raw', SCRIPT]
  const child = spawn(program, args, {
    env: { ...process.env, LOAD: JSON.stringify(load) },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  const take = (line: string) => {
    const second = SECOND_LINE.exec(line)?.[1]
    if (second === undefined) output = `${output}${line}\n`.slice(-OUTPUT_KEPT_CHARS)
    else onSecond(JSON.parse(second) as SecondOfLoad)
  }
  createInterface(child.stdout).on('line', take)
  createInterface(child.stderr).on('line', take)
  // Whatever happens to the load, it ends with this process.
  const end = () => child.kill('SIGKILL')
  process.once('exit', end)
  return new Promise<{ code: number | null; output: string }>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) => {
      process.removeListener('exit', end)
      resolve({ code, output })
    })
  })
}

function readSummary(path: string, passed: boolean): LoadSummary {
  const metrics = JSON.parse(readFileSync(path, 'utf8')) as Record<
    string,
    { values: Record<string, number> } | undefined
  >
  const count = (name: string) => metrics[name]?.values['count'] ?? 0
  const gauge = (name: string) => metrics[name]?.values['value'] ?? 0
  return {
    eventsSent: count('events_sent'),
    eventsAcknowledged: count('events_acknowledged'),
    errors: count('errors'),
    slowed: count('slowed'),
    reconnects: count('reconnects'),
    ackP50Ms: gauge('ack_p50_ms'),
    ackP99Ms: gauge('ack_p99_ms'),
    ackMaxMs: gauge('ack_max_ms'),
    passed,
  }
}
