/** Runs what drives a load, with its settings: a line each second while it runs, its totals at the end. */
import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { prepareK6 } from '../../scripts/services/k6.ts'
import type { LoadTotals } from '../k6/audience.ts'
import type { LoadSettings, SecondOfLoad } from '../k6/settings.ts'

export interface LoadSummary extends LoadTotals {
  /** Every threshold that the driver was given held. */
  readonly passed: boolean
}

/** The same load either way; a frame costs k6 some 20 µs, and the sender some 3. */
export const DRIVERS = ['k6', 'sender'] as const
export type Driver = (typeof DRIVERS)[number]

const LOADTEST = join(import.meta.dirname, '..')
const K6_ARGS = ['run', '--quiet', '--no-usage-report', '--log-format', 'raw']
const SECOND_LINE = /second (\{.*?\})/
const OUTPUT_KEPT_CHARS = 20_000

/** Builds what the driver needs, which can take minutes the first time. */
export function prepareDriver(driver: Driver): readonly [program: string, ...args: string[]] {
  return driver === 'k6'
    ? [prepareK6(), ...K6_ARGS, join(LOADTEST, 'k6', 'main.ts')]
    : [process.execPath, join(LOADTEST, 'sender', 'main.ts')]
}

export async function runDriver(
  command: readonly [program: string, ...args: string[]],
  settings: Omit<LoadSettings, 'summaryPath'>,
  onSecond: (second: SecondOfLoad) => void,
): Promise<LoadSummary> {
  const folder = mkdtempSync(join(tmpdir(), 'backhaul-load-'))
  const summaryPath = join(folder, 'summary.json')
  try {
    const load: LoadSettings = { ...settings, summaryPath }
    const { code, output } = await run(command, load, onSecond)
    if (!existsSync(summaryPath)) throw new Error(`the load ended with ${code}:\n${output}`)
    return { ...readTotals(summaryPath), passed: code === 0 }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function run(
  [program, ...args]: readonly [string, ...string[]],
  load: LoadSettings,
  onSecond: (second: SecondOfLoad) => void,
) {
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

/** The sender writes totals; k6 writes its own metrics, whose names are `main.ts`'s. */
function readTotals(path: string): LoadTotals {
  const written = JSON.parse(readFileSync(path, 'utf8')) as LoadTotals | K6Metrics
  if (isTotals(written)) return written
  const count = (name: string) => written[name]?.values['count'] ?? 0
  const gauge = (name: string) => written[name]?.values['value'] ?? 0
  return {
    eventsSent: count('events_sent'),
    eventsAcknowledged: count('events_acknowledged'),
    errors: count('errors'),
    slowed: count('slowed'),
    reconnects: count('reconnects'),
    ackP50Ms: gauge('ack_p50_ms'),
    ackP99Ms: gauge('ack_p99_ms'),
    ackMaxMs: gauge('ack_max_ms'),
  }
}

type K6Metrics = Record<string, { readonly values: Record<string, number> } | undefined>

function isTotals(written: LoadTotals | K6Metrics): written is LoadTotals {
  return typeof written['eventsSent'] === 'number'
}
