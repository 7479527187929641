/**
 * `npm test`: the check, the audit, then every suite, one after another, with one summary at the end. A suite
 * whose tools are missing is listed as not run; with `CI=true` that is a failure.
 */
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'

interface Suite {
  readonly name: string
  /** vitest projects it consists of. */
  readonly projects: readonly string[]
  /** Programs it needs. */
  readonly tools: readonly string[]
  /** A package folder to install first. */
  readonly packages?: string
}

const SUITES: readonly Suite[] = [
  { name: 'unit', projects: ['unit', 'batch', 'isolated'], tools: [] },
  { name: 'processes', projects: ['process'], tools: [] },
  { name: 'alert rules', projects: ['alerts'], tools: ['promtool'] },
  { name: 'helm', projects: ['helm'], tools: ['go', 'python3'] },
  { name: 'services', projects: ['services'], tools: ['java', 'mvn', 'go', 'python3'] },
  { name: 'load', projects: ['load'], tools: ['java', 'mvn', 'go'] },
  { name: 'simulation', projects: ['simulation'], tools: [] },
  { name: 'fuzz', projects: ['fuzz'], tools: [] },
  { name: 'soak', projects: ['soak'], tools: ['java', 'mvn'] },
  {
    name: 'browser',
    projects: ['browser'],
    tools: ['chromium', 'ffmpeg'],
    packages: 'browser-tests',
  },
]
const OUTPUT = 'test-output'

interface Result {
  readonly name: string
  readonly passed: number
  readonly failed: number
  readonly skipped: number
  readonly note: string
  /** What its tests tell of what they ran, beyond their number. */
  readonly told: readonly string[]
  readonly ok: boolean
  /** Of each test that failed: its name and the first lines of why. */
  readonly failures: readonly string[]
}

interface Report {
  readonly numPassedTests: number
  readonly numFailedTests: number
  readonly numPendingTests: number
  readonly numTodoTests: number
  readonly testResults: readonly {
    readonly name: string
    readonly message: string
    readonly assertionResults: readonly {
      readonly status: string
      readonly fullName: string
      readonly failureMessages: readonly string[] | null
      readonly meta?: { readonly told?: string }
    }[]
  }[]
}

const FAILURE_LINES = 12

function runCommand(command: string, args: readonly string[], cwd = '.'): Promise<number> {
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd, stdio: ['ignore', 'inherit', 'inherit'] })
    child.on('error', () => resolve(127))
    child.on('close', (code) => resolve(code ?? 1))
  })
}

function hasTool(name: string): boolean {
  return spawnSync('sh', ['-c', `command -v ${name}`], { stdio: 'ignore' }).status === 0
}

async function runSuite(suite: Suite): Promise<Result> {
  const none = nothingRun(suite)
  const missing = suite.tools.filter((tool) => !hasTool(tool))
  if (missing.length > 0) {
    const note = `not run: needs ${missing.join(', ')} (scripts/setup installs what Debian has)`
    return { ...none, note, ok: process.env['CI'] !== 'true' }
  }
  console.log(`\n── ${suite.name} ──`)
  if (suite.packages !== undefined && (await runCommand('npm', ['ci'], suite.packages)) !== 0)
    return { ...none, note: 'its packages could not be installed', ok: false }
  const report = join(OUTPUT, `${suite.name.replaceAll(' ', '-')}.json`)
  const projects = suite.projects.flatMap((project) => ['--project', project])
  const code = await runCommand('vitest', [
    'run',
    ...projects,
    '--reporter=default',
    '--reporter=json',
    `--outputFile.json=${report}`,
  ])
  return readReport(suite, report, code)
}

function readReport(suite: Suite, path: string, code: number): Result {
  if (!existsSync(path)) {
    const note = `no report was written (exit ${code})`
    return { ...nothingRun(suite), note, ok: false }
  }
  const report = JSON.parse(readFileSync(path, 'utf8')) as Report
  const skipped = report.numPendingTests + report.numTodoTests
  const complete = report.numPassedTests > 0 && skipped === 0
  return {
    name: suite.name,
    passed: report.numPassedTests,
    failed: report.numFailedTests,
    skipped,
    note: complete ? '' : 'a suite must run tests and skip none',
    told: toldBy(report),
    ok: code === 0 && complete,
    failures: failuresOf(report),
  }
}

function nothingRun({ name }: Suite) {
  return { name, passed: 0, failed: 0, skipped: 0, told: [], failures: [] }
}

function toldBy({ testResults }: Report): string[] {
  const tests = testResults.flatMap(({ assertionResults }) => assertionResults)
  return tests.flatMap(({ status, meta }) =>
    status === 'passed' && meta?.told !== undefined ? [meta.told] : [],
  )
}

/** A file that could not be run has a message of its own and no test that failed. */
function failuresOf({ testResults }: Report): string[] {
  return testResults.flatMap(({ name, message, assertionResults }) => {
    const failed = assertionResults.filter(({ status }) => status === 'failed')
    const texts = failed.map(({ fullName, failureMessages }) =>
      [`${name}: ${fullName}`, ...(failureMessages ?? [])].join('\n'),
    )
    return texts.length === 0 && message !== '' ? [`${name}: ${message}`] : texts
  })
}

function remarkOn({ note, told }: Result): string {
  const remarks = [...(note === '' ? [] : [note]), ...told]
  return remarks.length === 0 ? '' : ` (${remarks.join('; ')})`
}

rmSync(OUTPUT, { recursive: true, force: true })
mkdirSync(OUTPUT)
console.log('── check ──')
// The unit suite has its own row below, so the check is asked for everything else.
const checkCode = await runCommand('node', ['scripts/check.ts', '--without-unit-tests'])
const audit = spawnSync('node', ['scripts/audit.ts'], { encoding: 'utf8' })
const results: Result[] = []
for (const suite of SUITES) results.push(await runSuite(suite))

console.log('\nSummary')
console.log(
  `  ${checkCode === 0 ? 'ok    ' : 'FAILED'} check (format, lint, types, dead code, docs)`,
)
const audited = audit.stdout.trim()
// Where the registry answers no audit nothing is red, but nothing is green either.
const auditMark =
  audit.status !== 0 ? 'FAILED' : audited.startsWith('not run') ? '–     ' : 'ok    '
console.log(`  ${auditMark} audit of dependencies: ${audited}`)
for (const result of results)
  console.log(
    `  ${result.ok ? 'ok    ' : 'FAILED'} ${result.name}: ${result.passed} passed, ` +
      `${result.failed} failed, ${result.skipped} skipped${remarkOn(result)}`,
  )
for (const { name, failures } of results)
  for (const failure of failures)
    console.log(`\n  ${name}: ${failure.split('\n').slice(0, FAILURE_LINES).join('\n    ')}`)
const sum = (field: 'passed' | 'failed' | 'skipped') =>
  results.reduce((total, result) => total + result[field], 0)
console.log(`\n${sum('passed')} passed, ${sum('failed')} failed, ${sum('skipped')} skipped`)
process.exitCode =
  checkCode === 0 && audit.status === 0 && results.every((result) => result.ok) ? 0 : 1
