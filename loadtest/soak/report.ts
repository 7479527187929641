/** What a soak showed: one table on the terminal, and JSON with machine and commit. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { systemClock } from '../../shared/runtime/clock.ts'
import { circumstances } from '../bench/results.ts'
import { FAULT_KINDS } from './schedule.ts'
import { isKept, type SoakReport } from './run-soak.ts'

const ROOT = join(import.meta.dirname, '..', '..')
const FOLDER = join(ROOT, 'test-output', 'soak')

/** Kinds of faults with how often and how they were recovered from, numbers, and every claim. */
export function soakTable(report: SoakReport): string {
  const kinds = FAULT_KINDS.map((kind): Row => {
    const took = report.faults.filter((fault) => fault.kind === kind)
    const longestMs = Math.max(0, ...took.map(({ recoveredMs }) => recoveredMs))
    const text =
      took.length === 0 ? 'not reached' : `${took.length}, recovered in ${longestMs} ms at most`
    return [kind, text]
  })
  const numbers = Object.entries(report.numbers).map(([name, value]): Row => [
    name,
    typeof value === 'number' ? value.toLocaleString('en') : value,
  ])
  const claims = report.claims.map(({ id, what, broken }): Row => [
    `${id} ${what}`,
    broken === 0 ? 'none' : `${broken} BROKEN`,
  ])
  const rows: Row[] = [...kinds, ...numbers, ...claims]
  const width = Math.max(...rows.map(([name]) => name.length))
  const lines = rows.map(([name, text]) => `  ${name.padEnd(width)}  ${text}`)
  const examples = report.claims.flatMap(({ id, examples: found }) =>
    found.map((example) => `  ${id}: ${example.slice(0, EXAMPLE_CHARS)}`),
  )
  return [
    `soak of ${report.minutes} minutes, seed ${report.seed}, ${report.faults.length} faults:`,
    ...lines,
    ...examples,
    isKept(report) ? 'every claim holds' : `BROKEN; again: ${command(report)}`,
  ].join('\n')
}

type Row = readonly [name: string, text: string]

const EXAMPLE_CHARS = 600

/** Writes it where git does not look; returns where. */
export function writeSoakReport(report: SoakReport): string {
  mkdirSync(FOLDER, { recursive: true })
  const measuredAt = new Date(systemClock.nowMs()).toISOString()
  const stamp = measuredAt.replace(/[-:]/g, '').slice(0, 15)
  const path = join(FOLDER, `${stamp}-seed-${report.seed}.json`)
  const kept = { measuredAt, ...circumstances(), kept: isKept(report), ...report }
  writeFileSync(path, `${JSON.stringify(kept, undefined, 2)}\n`)
  return relative(ROOT, path)
}

function command({ minutes, seed, brokers, eventsPerSecond }: SoakReport): string {
  return `npm run soak -- --minutes ${minutes} --seed ${seed} --brokers ${brokers} --eps ${eventsPerSecond}`
}
