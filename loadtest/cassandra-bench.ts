/**
 * `npm run bench:cassandra`: what a row costs the client, the node and the wait, over a real
 * Cassandra on this machine that syncs its commit log as one of three replicas does. Printed, and
 * kept in `loadtest/baselines/cassandra.json`. An event here is a row.
 */
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { startCassandra } from '../scripts/services/cassandra.ts'
import { keepResults, perEvent, printResults, type BenchResult } from './bench/results.ts'
import { usageOf } from './load/process-usage.ts'

const LOADS: readonly (readonly [kind: string, rows: number])[] = [
  ['minutes', 400_000],
  ['sessions', 100_000],
]
/** The node compiles its hot path while it serves this. */
const WARM_UP = ['minutes', 400_000] as const
const RUN_DEADLINE_MS = 300_000
const [share] = process.argv.slice(2)

const cassandra = await startCassandra({ profile: 'load', commitLogSync: 'periodic' })
const results: BenchResult[] = []
try {
  run(...WARM_UP)
  for (const load of LOADS) results.push(run(...load))
} finally {
  await cassandra.stop()
}
console.log()
printResults(results)
if (share === undefined) console.log(`\nkept in ${keepResults('cassandra', results)}`)

/** With a share as the argument, a run is that much shorter and its results are not kept. */
function run(kind: string, fullRows: number): BenchResult {
  const rows = Math.round(fullRows * Number(share ?? 1))
  const script = join(import.meta.dirname, 'bench', 'cassandra-put-process.ts')
  const before = nodeCpuMs()
  const output = execFileSync(process.execPath, [script, cassandra.contactPoint, kind, `${rows}`], {
    encoding: 'utf8',
    timeout: RUN_DEADLINE_MS,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const nodeMs = nodeCpuMs() - before
  const measured = JSON.parse(output) as {
    wallMs: number
    cpuMs: number
    putP50Ms: number
    putP99Ms: number
  }
  const name = `put rows of ${kind}`
  console.log(`measured: ${name}`)
  return perEvent(name, rows, measured, {
    // The process warms up with three tenths more.
    'node ns/row': Math.round((nodeMs * 1e6) / (rows * 1.3)),
    'put p50 ms': measured.putP50Ms,
    'put p99 ms': measured.putP99Ms,
  })
}

function nodeCpuMs(): number {
  return usageOf(cassandra.pid ?? 0).cpuMs
}
