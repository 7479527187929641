/**
 * `npm run check`: format, lint (walls between services included), types, dead code, stale
 * generated docs, unit tests. Steps run two at a time; each prints one line, and its output only
 * when it failed.
 */
import { spawn } from 'node:child_process'

interface Step {
  readonly name: string
  readonly command: string
  readonly args: readonly string[]
}

const steps: readonly Step[] = [
  {
    name: 'unit tests',
    command: 'vitest',
    args: ['run', '--project', 'unit', '--project', 'isolated', '--reporter', 'dot'],
  },
  { name: 'format', command: 'prettier', args: ['--check', '--log-level', 'warn', '.'] },
  { name: 'lint', command: 'oxlint', args: ['--type-aware', '--deny-warnings'] },
  { name: 'types', command: 'tsc', args: ['-p', '.'] },
  { name: 'dead code', command: 'knip', args: ['--no-progress'] },
  { name: 'generated docs', command: 'node', args: ['scripts/generate-docs.ts', '--check'] },
]
const PARALLEL_STEPS = 2

interface Outcome {
  readonly step: Step
  readonly code: number
  readonly output: string
  readonly seconds: number
}

function run(step: Step): Promise<Outcome> {
  const started = performance.now()
  return new Promise((resolve) => {
    const child = spawn(step.command, step.args, { stdio: ['ignore', 'pipe', 'pipe'] })
    const chunks: Buffer[] = []
    child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk))
    child.stderr.on('data', (chunk: Buffer) => chunks.push(chunk))
    const done = (code: number) =>
      resolve({
        step,
        code,
        output: Buffer.concat(chunks).toString(),
        seconds: (performance.now() - started) / 1_000,
      })
    child.on('error', (error) => {
      chunks.push(Buffer.from(String(error)))
      done(1)
    })
    child.on('close', (code) => done(code ?? 1))
  })
}

const withoutUnitTests = process.argv.includes('--without-unit-tests')
const waiting = steps.filter((step) => !(withoutUnitTests && step.name === 'unit tests'))
const outcomes: Outcome[] = []

async function work(): Promise<void> {
  for (;;) {
    const step = waiting.shift()
    if (step === undefined) return
    const outcome = await run(step)
    outcomes.push(outcome)
    const verdict = outcome.code === 0 ? 'ok    ' : 'FAILED'
    console.log(`${verdict} ${step.name} (${outcome.seconds.toFixed(1)} s)`)
    if (outcome.code !== 0) console.log(outcome.output)
    else if (step.name === 'unit tests') console.log(summaryLines(outcome.output))
  }
}

/** The counts that vitest prints last. */
function summaryLines(output: string): string {
  return output
    .split('\n')
    .filter((line) => /^\s*(Test Files|Tests)\s/.test(stripColours(line)))
    .join('\n')
}

function stripColours(line: string): string {
  // eslint-disable-next-line no-control-regex
  return line.replace(/\u001b\[[0-9;]*m/g, '')
}

await Promise.all(Array.from({ length: PARALLEL_STEPS }, work))
process.exitCode = outcomes.every((outcome) => outcome.code === 0) ? 0 : 1
