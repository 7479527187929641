/**
 * `node loadtest/kill-gateway.ts --kills 100 --results loadtest/results`: starts Kafka, kills the
 * gateway so often under load, at each step of a frame's way and anywhere, and counts what is in
 * Kafka by an independent reader. Prints one summary and keeps it as JSON with commit and machine;
 * exits 1 unless nothing was lost, invented or skipped.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { startKafka } from '../scripts/services/kafka.ts'
import { systemClock } from '../shared/runtime/clock.ts'
import { circumstances } from './bench/results.ts'
import { isKept, KILL_STEPS, runKills, type KillReport, type KillStep } from './faults/kill-run.ts'

const KILLS_MAX = 10_000
const PARTITIONS = 12
const FRAMES_PER_SECOND = 200
const SEED = 20_261_126
const CYCLE: readonly KillStep[] = [...KILL_STEPS, 'anywhere']

function readCommand() {
  const text = { type: 'string' } as const
  const { values } = parseArgs({ options: { kills: text, results: text, seed: text } })
  const kills = Number(values.kills ?? 100)
  if (!Number.isInteger(kills) || kills < 1 || kills > KILLS_MAX)
    throw new Error(`--kills is an integer from 1 to ${KILLS_MAX}, received ${values.kills}`)
  const seed = Number(values.seed ?? SEED)
  if (!Number.isSafeInteger(seed)) throw new Error(`--seed is an integer, received ${values.seed}`)
  return { kills, seed, results: values.results ?? join('loadtest', 'results') }
}

async function main(): Promise<boolean> {
  const { kills, seed, results } = readCommand()
  console.log(`kill-gateway: starting Kafka for ${kills} kills`)
  const startedAtMs = systemClock.nowMs()
  const kafka = await startKafka({ profile: 'load' })
  try {
    const steps = Array.from(
      { length: kills },
      (_, kill) => CYCLE[kill % CYCLE.length] ?? 'anywhere',
    )
    const report = await runKills({
      kafka,
      partitions: PARTITIONS,
      steps,
      seed,
      framesPerSecond: FRAMES_PER_SECOND,
      onKill: (count, step) => {
        if (count % 10 === 0 || count === kills)
          console.log(`kill ${count} of ${kills}, at ${step}`)
      },
    })
    const seconds = Math.round((systemClock.nowMs() - startedAtMs) / 1_000)
    const path = keep(results, { kills, seconds, report })
    console.log(`\n${summary(report)}\n\nkept in ${path}`)
    return isKept(report)
  } finally {
    await kafka.stop()
  }
}

function keep(
  folder: string,
  run: { readonly kills: number; readonly seconds: number; readonly report: KillReport },
): string {
  mkdirSync(folder, { recursive: true })
  const measuredAt = new Date(systemClock.nowMs()).toISOString()
  const stamp = measuredAt.replace(/[-:]/g, '').slice(0, 13)
  const path = join(folder, `${stamp}-kill-gateway.json`)
  const { kills, seconds, report } = run
  const text = JSON.stringify(
    { measuredAt, ...circumstances(), killCount: kills, seconds, kept: isKept(report), ...report },
    undefined,
    2,
  )
  writeFileSync(path, `${text}\n`)
  return path
}

function summary(report: KillReport): string {
  const rows: readonly (readonly [string, string | number])[] = [
    [
      'kills',
      Object.entries(report.kills)
        .map(([step, count]) => `${step} ${count}`)
        .join(', '),
    ],
    ['events sent', report.eventsSent],
    ['events acknowledged', report.eventsAcknowledged],
    ['distinct events in Kafka', report.distinctEventsInKafka],
    ['repeated in Kafka', report.repeatedEventsInKafka],
    ['acknowledged and missing', report.missing],
    ['in Kafka and never sent', report.invented],
    ['out of their session’s order', report.skipped],
    ['books of the last gateway balance', report.booksBalance ? 'yes' : 'no'],
    ['nothing lost', isKept(report) ? 'yes' : 'NO'],
  ]
  const width = Math.max(...rows.map(([name]) => name.length))
  return rows
    .map(([name, value]) => `  ${name.padEnd(width)}  ${value.toLocaleString('en')}`)
    .join('\n')
}

process.exitCode = (await main()) ? 0 : 1
