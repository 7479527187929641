/**
 * `npm run simulate`: runs of the processor by seed. What it finds is printed with the command that
 * repeats it; `--trace` shows every step of a run, `--mutant` runs with a known defect.
 */
import { createHash } from 'node:crypto'
import { parseArgs } from 'node:util'
import { applyMutant } from './simulation/mutants.ts'
import type { RunCounts, SeedRun } from './simulation/run-seed.ts'

const USAGE = `npm run simulate -- [--seed N …] [--from N --count N] [--trace] [--mutant NAME] [--first] [--json]`

function readCount(name: string, text: string): number {
  const value = Number(text)
  if (!Number.isSafeInteger(value) || value < 0)
    throw new TypeError(`--${name} must be a whole number, received ${text}`)
  return value
}

function readArguments() {
  const { values } = parseArgs({
    options: {
      seed: { type: 'string', multiple: true },
      from: { type: 'string', default: '0' },
      /** Without it, and without a seed, a hundred. */
      count: { type: 'string' },
      trace: { type: 'boolean', default: false },
      mutant: { type: 'string' },
      /** End at the first finding. */
      first: { type: 'boolean', default: false },
      /** One line for the parent process at the end. */
      json: { type: 'boolean', default: false },
    },
  })
  const from = readCount('from', values.from)
  const asked = (values.seed ?? []).map((text) => readCount('seed', text))
  const count = readCount('count', values.count ?? (asked.length === 0 ? '100' : '0'))
  return { ...values, seeds: [...asked, ...Array.from({ length: count }, (_, at) => from + at)] }
}

function addCounts(a: RunCounts | undefined, b: RunCounts): RunCounts {
  if (a === undefined) return b
  const names = Object.keys(b) as (keyof RunCounts)[]
  return Object.fromEntries(names.map((name) => [name, a[name] + b[name]])) as unknown as RunCounts
}

function report({ seed, violations, traceHash }: SeedRun): void {
  const lines = violations.map((line) => `\n  ${line.slice(0, 2_000)}`)
  console.error(`seed ${seed} (trace ${traceHash.slice(0, 12)}):${lines.join('')}`)
  console.error(`  again: npm run simulate -- --seed ${seed}`)
}

async function main(): Promise<void> {
  const { seeds, trace, mutant, first, json } = readArguments()
  if (mutant !== undefined) applyMutant(mutant)
  // Not before the mutant is in place.
  const { runSeed } = await import('./simulation/run-seed.ts')
  const onTrace = trace ? (line: string) => void process.stdout.write(line) : undefined
  const findings: number[] = []
  let counts: RunCounts | undefined
  let runs = 0
  const hash = createHash('sha256')
  for (const seed of seeds) {
    const run = await runSeed(seed, onTrace)
    runs += 1
    hash.update(run.traceHash)
    counts = addCounts(counts, run.counts)
    if (run.violations.length === 0) continue
    findings.push(seed)
    report(run)
    if (first) break
  }
  const result = { runs, findings, counts, traceHash: hash.digest('hex') }
  console.log(json ? JSON.stringify(result) : result)
  process.exitCode = findings.length === 0 ? 0 : 1
}

try {
  await main()
} catch (error) {
  if (!(error instanceof TypeError)) throw error
  console.error(`${error.message}\n${USAGE}`)
  process.exitCode = 2
}
