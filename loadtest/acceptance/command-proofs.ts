/** Proofs that are commands of their own, read by their exit code and what they print or write. */
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { resultsPath, type BenchResult } from '../bench/results.ts'
import type { BenchName } from '../bench/run-one.ts'
import type { SoakReport } from '../soak/run-soak.ts'
import type { Claim, Proof } from './proof.ts'

const FOLDER = join(import.meta.dirname, '..')
const GATEWAY_KILLS = join(FOLDER, 'kill-gateway.ts')
const STORM = join(FOLDER, 'processor', 'storm.ts')
const STORM_SECONDS = 120
const SOAK = join(FOLDER, 'soak.ts')
const SOAK_MINUTES = 30
const KILLS = 100
const KILLS_OF_A_REHEARSAL = 5
const IDLE_CONNECTIONS = 10_000
const OUTPUT_KEPT_LINES = 40

interface Ended {
  readonly code: number | null
  /** The last lines. */
  readonly lines: readonly string[]
}

function runScript(script: string, ...args: readonly string[]): Promise<Ended> {
  const child = spawn(process.execPath, [script, ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
  const lines: string[] = []
  createInterface(child.stdout).on('line', (line) => {
    lines.push(line)
    if (lines.length > OUTPUT_KEPT_LINES) lines.shift()
  })
  const end = () => child.kill('SIGKILL')
  process.once('exit', end)
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) => {
      process.removeListener('exit', end)
      resolve({ code, lines })
    })
  })
}

export async function runBench(
  name: BenchName,
  ...args: readonly string[]
): Promise<BenchResult[]> {
  const { code, lines } = await runScript(join(FOLDER, 'bench', 'run-one.ts'), name, ...args)
  if (code !== 0) throw new Error(`the benchmark ended with ${code}: ${lines.join('\n')}`)
  return JSON.parse(lines.at(-1) ?? '') as BenchResult[]
}

async function runKept<Result>(name: string, ...args: readonly string[]): Promise<Result[]> {
  const { code, lines } = await runScript(join(FOLDER, `${name}.ts`), ...args)
  if (code !== 0) throw new Error(`it ended with ${code}: ${lines.join('\n')}`)
  const kept = KEPT_AS[name] ?? name
  const { results } = JSON.parse(readFileSync(resultsPath(kept), 'utf8')) as { results: Result[] }
  return results
}

/** Where a command keeps its results, when it is not called like them. */
const KEPT_AS: Readonly<Record<string, string>> = { 'kafka-bench': 'kafka', 'batch-bench': 'batch' }

const idleMemory: Proof = {
  name: 'idle-memory',
  shows: 'process memory of an idle connection at 10,000',
  minutes: 1,
  async run() {
    const results = await runKept<{ rssBytesPerConnection: number }>(
      'idle-connections',
      `${IDLE_CONNECTIONS}`,
    )
    const measured = results[0]?.rssBytesPerConnection ?? Infinity
    const what = 'process memory of an idle connection'
    const claim = { kind: 'floor', what, measured, unit: 'B', bound: { atMost: 4_000 } } as const
    return { claims: [claim], details: { results } }
  },
}

const kafkaAppend: Proof = {
  name: 'kafka-append',
  shows: 'what an append costs each client, without a gateway',
  minutes: 4,
  async run() {
    const results = await runKept<BenchResult>('kafka-bench')
    return { claims: results.map(perEventClaim), details: { results } }
  },
}

const batch: Proof = {
  name: 'batch-10m',
  shows: 'a batch of 10 million events',
  minutes: 12,
  async run() {
    const results = await runKept<BenchResult>('batch-bench')
    // Pages of the log that are read into raw files are mapped: the kernel takes them when it needs them.
    const ofLog = results.filter(({ name }) => name.includes('log to raw files'))
    const afterwards = results.filter((result) => !ofLog.includes(result))
    const toParquet = results.find(({ name }) => name.includes('raw files to Parquet'))
    const claims: Claim[] = [
      {
        kind: 'floor',
        what: 'raw files to Parquet',
        measured: toParquet?.eventsPerCoreSecond ?? 0,
        unit: 'rows/s/core',
        bound: { atLeast: 400_000 },
      },
      {
        kind: 'floor',
        what: 'peak memory of a step from raw files on',
        measured: peakMiB(afterwards),
        unit: 'MiB',
        bound: { atMost: Math.floor(1.5e9 / 2 ** 20) },
      },
    ]
    const what = 'peak memory of writing raw files, with mapped pages of the log'
    claims.push({ kind: 'told', what, measured: peakMiB(ofLog), unit: 'MiB' })
    return { claims: [...claims, ...results.map(perEventClaim)], details: { results } }
  },
}

function peakMiB(results: readonly BenchResult[]): number {
  return Math.max(...results.map(({ extra }) => extra?.['peak MiB'] ?? Infinity))
}

const acksBesideBatch: Proof = {
  name: 'acks-beside-batch',
  shows: 'acknowledgements while a batch runs beside them',
  minutes: 1.5,
  async run() {
    const results = await runBench('acksBesideBatch', '100', '600000')
    const extra = Object.entries(results[0]?.extra ?? {})
    const claims = extra
      .filter(([name]) => name.endsWith(' ms'))
      .map(([name, measured]): Claim => {
        const what = `ack ${name.replace(/ ms$/, '')}`
        return { kind: 'told', what, measured, unit: 'ms' }
      })
    return { claims, details: { results } }
  },
}

/** What the long run of the fault suite writes. */
interface KillResults {
  readonly killCount: number
  readonly eventsAcknowledged: number
  readonly missing: number
  readonly invented: number
  readonly skipped: number
}

const gatewayKills: Proof = {
  name: 'gateway-kills',
  shows: `no acknowledged event is missing over ${KILLS} kills of the gateway under load`,
  minutes: 8,
  async run({ folder, minutesMax }) {
    const kills = minutesMax === Infinity ? KILLS : KILLS_OF_A_REHEARSAL
    const { code, lines } = await runScript(
      GATEWAY_KILLS,
      '--kills',
      `${kills}`,
      '--results',
      folder,
    )
    const path = lines.map((line) => /^kept in (\S+)$/.exec(line)?.[1]).findLast(Boolean)
    if (path === undefined) throw new Error(`it ended with ${code}: ${lines.join('\n')}`)
    const results = JSON.parse(readFileSync(path, 'utf8')) as KillResults
    const none = (what: string, measured: number) =>
      ({ kind: 'correctness', what, measured, unit: '', bound: { atMost: 0 } }) as const
    const { killCount, eventsAcknowledged, missing, invented, skipped } = results
    return {
      claims: [
        none('acknowledged and missing', missing),
        none('in Kafka and never sent', invented),
        none('out of their order', skipped),
        none('exit code of the run', code ?? -1),
        { kind: 'told', what: 'kills', measured: killCount, unit: '' },
        { kind: 'told', what: 'acknowledged', measured: eventsAcknowledged, unit: 'events' },
      ],
      details: results,
    }
  },
}

/** What the storm of rebalances prints. */
interface StormResults {
  readonly visits: number
  readonly unequal: number
  readonly regressions: number
  readonly rebuilds: number
}

const rebalanceStorm: Proof = {
  name: 'rebalance-storm',
  shows: 'a group of processors that members join and leave without rest for two minutes',
  minutes: 3.5,
  async run({ minutesMax }) {
    const seconds = Math.min(STORM_SECONDS, minutesMax * 60)
    const { code, lines } = await runScript(STORM, '--seconds', `${seconds}`)
    const line = lines.findLast((text) => text.startsWith('{'))
    if (line === undefined) throw new Error(`it ended with ${code}: ${lines.join('\n')}`)
    const results = JSON.parse(line) as StormResults
    const none = (what: string, measured: number) =>
      ({ kind: 'correctness', what, measured, unit: '', bound: { atMost: 0 } }) as const
    return {
      claims: [
        none('rows and counts that are not as the log says', results.unequal),
        none('rows that went back', results.regressions),
        none('partitions that found no checkpoint', results.rebuilds),
        { kind: 'told', what: 'members that came and went', measured: results.visits, unit: '' },
      ],
      details: results,
    }
  },
}

const soak: Proof = {
  name: 'soak-30',
  shows: 'every claim of the contract over half an hour of random faults under load',
  minutes: SOAK_MINUTES + 4,
  async run({ minutesMax }) {
    const minutes = Math.min(SOAK_MINUTES, minutesMax)
    const { code, lines } = await runScript(SOAK, '--minutes', `${minutes}`, '--brokers', '3')
    const path = lines.map((line) => /^written to (\S+)$/.exec(line)?.[1]).findLast(Boolean)
    if (path === undefined) throw new Error(`it ended with ${code}: ${lines.join('\n')}`)
    const report = JSON.parse(readFileSync(join(FOLDER, '..', path), 'utf8')) as SoakReport
    const none = (what: string, measured: number) =>
      ({ kind: 'correctness', what, measured, unit: '', bound: { atMost: 0 } }) as const
    const longestMs = Math.max(...report.faults.map(({ recoveredMs }) => recoveredMs))
    const acknowledged = Number(report.numbers['eventsAcknowledged'])
    return {
      claims: [
        ...report.claims.map(({ id, what, broken }) => none(`${id}: ${what}`, broken)),
        { kind: 'told', what: 'faults', measured: report.faults.length, unit: '' },
        { kind: 'told', what: 'longest recovery', measured: longestMs, unit: 'ms' },
        { kind: 'told', what: 'acknowledged', measured: acknowledged, unit: 'events' },
      ],
      details: report,
    }
  },
}

export const commandProofs: readonly Proof[] = [
  idleMemory,
  kafkaAppend,
  gatewayKills,
  rebalanceStorm,
  soak,
  batch,
  acksBesideBatch,
]

export function perEventClaim({ name, nsPerEvent }: BenchResult): Claim {
  return { kind: 'told', what: name, measured: nsPerEvent, unit: 'ns/event' }
}
