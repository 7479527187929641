/**
 * `npm run bench:kafka`: what an event costs the client, the brokers and the wait, for each client
 * library over a real broker on this machine. Printed, and kept in `loadtest/baselines/kafka.json`.
 */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { startKafka } from '../scripts/services/kafka.ts'
import { keepResults, perEvent, printResults, type BenchResult } from './bench/results.ts'

/** Events a frame, events. */
const LOADS: readonly (readonly [number, number])[] = [
  [100, 3_000_000],
  [10, 1_500_000],
  [1, 200_000],
]
const CLIENTS = ['platformatic', 'kafkajs'] as const
/** The broker compiles its hot path while it serves this. */
const WARM_UP = [100, 2_000_000] as const
const REPEATS = 2
const RUN_DEADLINE_MS = 120_000
/** Unit of the times in /proc. */
const CLOCK_TICK_MS = 10

const kafka = await startKafka({ profile: 'load' })
const results: BenchResult[] = []
try {
  for (const client of CLIENTS) run(client, ...WARM_UP)
  for (const [eventsPerFrame, events] of LOADS)
    for (const client of CLIENTS) {
      const runs = Array.from({ length: REPEATS }, () => run(client, eventsPerFrame, events))
      // The machine has other work: the least time is nearest to what the append itself takes.
      const [least] = runs.toSorted((a, b) => a.nsPerEvent - b.nsPerEvent)
      if (least !== undefined) results.push(least)
    }
} finally {
  await kafka.stop()
}
console.log()
printResults(results)
console.log(`\n${keepResults('kafka', results)}`)

function run(client: string, eventsPerFrame: number, events: number): BenchResult {
  const script = join(import.meta.dirname, 'bench', 'kafka-append-process.ts')
  const before = brokerCpuMs()
  const output = execFileSync(
    process.execPath,
    [script, client, kafka.bootstrap.join(','), `${eventsPerFrame}`, `${events}`],
    { encoding: 'utf8', timeout: RUN_DEADLINE_MS, stdio: ['ignore', 'pipe', 'inherit'] },
  )
  const brokerMs = brokerCpuMs() - before
  const measured = JSON.parse(output) as {
    wallMs: number
    cpuMs: number
    appendP50Ms: number
    appendP99Ms: number
  }
  const name = `append over ${client}, ${eventsPerFrame} events a frame`
  console.log(`measured: ${name}`)
  return perEvent(name, events, measured, {
    'broker ns/event': Math.round((brokerMs * 1e6) / (events * 1.2)),
    'append p50 ms': measured.appendP50Ms,
    'append p99 ms': measured.appendP99Ms,
  })
}

/** CPU time that the broker has used, user and system. */
function brokerCpuMs(): number {
  const stat = readFileSync(`/proc/${kafka.broker(1).pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) * CLOCK_TICK_MS
}
