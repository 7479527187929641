/** What a benchmark measured, and how it is printed and kept. */
import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { cpus, totalmem } from 'node:os'
import { join } from 'node:path'

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

/** Keeps the results with the machine and the commit; a later run of the same name replaces them. */
export function keepResults(name: string, results: readonly object[]): string {
  const folder = join(import.meta.dirname, '..', 'baselines')
  mkdirSync(folder, { recursive: true })
  const path = join(folder, `${name}.json`)
  const kept = { measuredAt: new Date().toISOString(), ...circumstances(), results }
  writeFileSync(path, `${JSON.stringify(kept, undefined, 2)}\n`)
  return path
}

/** What a number means nothing without; a `+` behind the commit says that files were changed. */
export function circumstances() {
  const [cpu] = cpus()
  return {
    commit: git('rev-parse', '--short', 'HEAD') + (git('status', '--porcelain') === '' ? '' : '+'),
    machine: {
      cpu: cpu?.model.trim() ?? 'unknown',
      cores: cpus().length,
      memoryGiB: Math.round(totalmem() / 2 ** 30),
      node: process.version,
    },
  }
}

function git(...args: string[]): string {
  return execFileSync('git', args, { encoding: 'utf8' }).trim()
}
