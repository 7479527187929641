/** What a benchmark measured, and how it is printed and kept. */
import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { cpus, totalmem } from 'node:os'
import { dirname, join, relative } from 'node:path'

export interface BenchResult {
  readonly name: string
  readonly events: number
  /** Events per second of CPU time of the part measured. */
  readonly eventsPerCoreSecond: number
  /** Events per second of wall time. */
  readonly eventsPerSecond: number
  readonly nsPerEvent: number
  readonly extra?: Readonly<Record<string, number>>
}

export interface Circumstances {
  readonly commit: string
  readonly machine: {
    readonly cpu: string
    readonly cores: number
    readonly memoryGiB: number
    readonly node: string
  }
}

const ROOT = join(import.meta.dirname, '..', '..')
const NOT_MEASURED = [':!loadtest/results', ':!loadtest/baselines', ':!*.md']

export function perEvent(
  name: string,
  events: number,
  time: { readonly wallMs: number; readonly cpuMs: number },
  extra?: Readonly<Record<string, number>>,
): BenchResult {
  return {
    name,
    events,
    eventsPerCoreSecond: Math.round((events * 1_000) / time.cpuMs),
    eventsPerSecond: Math.round((events * 1_000) / time.wallMs),
    nsPerEvent: Math.round((time.cpuMs * 1e6) / events),
    ...(extra === undefined ? {} : { extra }),
  }
}

export function printResults(results: readonly BenchResult[]): void {
  const { commit, machine } = circumstances()
  console.log(
    `commit ${commit} on ${machine.cores} cores of ${machine.cpu}, ${machine.memoryGiB} GiB, Node ${machine.node}\n`,
  )
  const width = Math.max(...results.map((result) => result.name.length))
  console.log(`${'benchmark'.padEnd(width)}  events/s/core   events/s   ns/event`)
  for (const result of results) {
    const extra = Object.entries(result.extra ?? {}).map(([name, value]) => `${name} ${value}`)
    console.log(
      [
        result.name.padEnd(width),
        result.eventsPerCoreSecond.toLocaleString('en').padStart(14),
        result.eventsPerSecond.toLocaleString('en').padStart(10),
        result.nsPerEvent.toLocaleString('en').padStart(10),
        ` ${extra.join(', ')}`,
      ].join(' '),
    )
  }
}

/**
 * Keeps the results with machine and commit, in place of those of the same name, and says where.
 * Baselines are what a commit can do: numbers of a changed tree are written where git does not look.
 */
export function keepResults(name: string, results: readonly object[]): string {
  const path = resultsPath(name)
  mkdirSync(dirname(path), { recursive: true })
  const kept = { measuredAt: new Date().toISOString(), ...circumstances(), results }
  writeFileSync(path, `${JSON.stringify(kept, undefined, 2)}\n`)
  const where = relative(ROOT, path)
  return isClean() ? `kept in ${where}` : `the tree is changed: not kept, only written to ${where}`
}

/** Where `keepResults` puts what is called so. */
export function resultsPath(name: string): string {
  const folder = isClean() ? ['loadtest', 'baselines'] : ['test-output', 'baselines']
  return join(ROOT, ...folder, `${name}.json`)
}

/** What a number means nothing without; a `+` behind the commit says that files were changed. */
export function circumstances(): Circumstances {
  const [cpu] = cpus()
  return {
    commit: git('rev-parse', '--short', 'HEAD') + (isClean() ? '' : '+'),
    machine: {
      cpu: cpu?.model.trim() ?? 'unknown',
      cores: cpus().length,
      memoryGiB: Math.round(totalmem() / 2 ** 30),
      node: process.version,
    },
  }
}

/** Whether the code is the commit's. Results and pages may differ: nothing that is measured reads them. */
export function isClean(): boolean {
  return git('status', '--porcelain', '--', '.', ...NOT_MEASURED) === ''
}

function git(...args: string[]): string {
  return execFileSync('git', args, { encoding: 'utf8', cwd: ROOT }).trim()
}
