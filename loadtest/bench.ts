/**
 * `npm run bench`: events per second and core of each stage, of the fold, of the gateway over the
 * embedded log, of the processor and its recovery, and what a batch costs those who send events, on
 * this machine. Printed, and kept with machine and commit in `loadtest/baselines/`. Nothing asserts
 * these numbers: they are compared by people.
 */
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { keepResults, printResults, type BenchResult } from './bench/results.ts'
import type { BenchName } from './bench/run-one.ts'

const STAGES = ['validateByParsing', 'validate', 'encode', 'decodeByParsing', 'decode'] as const
/** Name, events a frame, events. */
const RUNS: readonly (readonly [BenchName, number, number])[] = [
  ...[100, 10, 1].flatMap((eventsPerFrame) =>
    STAGES.map((stage) => [stage, eventsPerFrame, 100_000 * Math.min(eventsPerFrame, 3)] as const),
  ),
  ['fold', 100, 1_000_000],
  ['fold', 10, 500_000],
  ['decodeAndFold', 100, 500_000],
  ['decodeAndFold', 10, 500_000],
  ['state', 2, 500_000],
  ['gateway', 1, 50_000],
  ['gateway', 10, 300_000],
  ['gateway', 100, 1_000_000],
  ['relay', 100, 1_000_000],
  ['processor', 100, 1_000_000],
  ['processor', 10, 500_000],
  ['recovery', 3, 50_000],
  ['acksBesideBatch', 100, 600_000],
]
const RUN_DEADLINE_MS = 3_600_000

const results = RUNS.flatMap((run): BenchResult[] => {
  const script = join(import.meta.dirname, 'bench', 'run-one.ts')
  const output = execFileSync(process.execPath, [script, ...run.map(String)], {
    encoding: 'utf8',
    timeout: RUN_DEADLINE_MS,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const measured = JSON.parse(output.trim().split('\n').at(-1) ?? '') as BenchResult[]
  for (const { name } of measured) console.log(`measured: ${name}`)
  return measured
})

console.log()
printResults(results)
console.log(`\n${keepResults('embedded', results)}`)
