/**
 * Puts the rows of a fold into a real Cassandra as fast as they are acknowledged, as the row writers
 * of several partitions do: `node cassandra-put-process.ts <contact point> <minutes|sessions> <rows>
 * <process id of the node>`. A process of its own, so that its CPU time is the client's alone. Prints
 * one line of JSON.
 */
import { randomUUID } from 'node:crypto'
import { decodeRecord } from '../../shared/log/record.ts'
import { systemClock } from '../../shared/runtime/clock.ts'
import { readConfig } from '../../shared/runtime/config.ts'
import { systemRandom } from '../../shared/runtime/random.ts'
import { cassandraConfig } from '../../shared/speed/cassandra-config.ts'
import { openCassandraSpeedStore } from '../../shared/speed/cassandra-speed-store.ts'
import type { MinuteRow, SessionRow } from '../../shared/speed/rows.ts'
import type { PutTimes } from '../cassandra-rows.ts'
import { usageOf } from '../load/process-usage.ts'
import { benchRecords, createBenchFold } from './fold-bench.ts'

const PARTITIONS = 12
/** Calls of one partition on their way, and their rows, as a processor's row writer makes them. */
const CALLS_IN_FLIGHT = 4
const ROWS_PER_CALL = 100
const WARM_UP_SHARE = 0.3
/** Records that the rows are folded from; calls repeat them under other partitions and stamps. */
const RECORDS = 20_000
const EVENTS_PER_FRAME = 10
/** A node that uses less of a core than this has flushed and compacted what was put. */
const AT_REST_CORES = 0.1
const LOOK_EVERY_MS = 2_000
const REST_DEADLINE_MS = 60_000

const [contactPoint = '', kind, rows, nodePid] = process.argv.slice(2)
if (kind !== 'minutes' && kind !== 'sessions')
  throw new TypeError(`rows of minutes, sessions; received ${kind}`)

const folded = foldedRows()
const store = await openCassandraSpeedStore({
  config: {
    ...readConfig(cassandraConfig, {}, () => ''),
    contactPoints: [contactPoint],
    keyspace: `bench_${randomUUID().replaceAll('-', '')}`,
    replicationFactor: 1,
  },
  clock: systemClock,
  random: systemRandom,
})
let round = 0
await putAll(Number(rows) * WARM_UP_SHARE)
await untilAtRest()
const nodeBeforeMs = nodeCpuMs()
const cpuBefore = process.cpuUsage()
const startMs = systemClock.monotonicMs()
const latencies = await putAll(Number(rows))
const cpu = process.cpuUsage(cpuBefore)
const wallMs = systemClock.monotonicMs() - startMs
await untilAtRest()
await store.close()
const quantile = (p: number) => latencies[Math.floor(latencies.length * p)] ?? 0
const times: PutTimes = {
  wallMs,
  clientCpuMs: (cpu.user + cpu.system) / 1_000,
  nodeCpuMs: nodeCpuMs() - nodeBeforeMs,
  putP50Ms: Math.round(quantile(0.5)),
  putP99Ms: Math.round(quantile(0.99)),
}
console.log(JSON.stringify(times))

function nodeCpuMs(): number {
  return usageOf(Number(nodePid)).cpuMs
}

/** At the deadline too: a node that never rests has its work counted as far as it came. */
async function untilAtRest(): Promise<void> {
  const deadlineMs = systemClock.monotonicMs() + REST_DEADLINE_MS
  while (systemClock.monotonicMs() < deadlineMs) {
    const beforeMs = nodeCpuMs()
    await systemClock.sleep(LOOK_EVERY_MS)
    if (nodeCpuMs() - beforeMs < LOOK_EVERY_MS * AT_REST_CORES) return
  }
}

/** Latencies of all calls in milliseconds, ascending. */
async function putAll(count: number): Promise<number[]> {
  const found: number[] = []
  let left = count
  round += 1
  const expiresAtMs = systemClock.nowMs() + 90 * 86_400_000
  const caller = async (partition: number, first: number): Promise<void> => {
    for (let at = first; left > 0; at += CALLS_IN_FLIGHT) {
      left -= ROWS_PER_CALL
      const started = systemClock.monotonicMs()
      const changes = { partition, expiresAtMs, generation: round }
      if (kind === 'minutes')
        await store.putMinutes(slice(folded.minutes, at).map((row) => ({ ...row, ...changes })))
      else
        await store.putSessions(
          slice(folded.sessions, at).map((row) => ({ ...row, ...changes })),
          [],
        )
      found.push(systemClock.monotonicMs() - started)
    }
  }
  const callers = Array.from({ length: PARTITIONS * CALLS_IN_FLIGHT }, (_, index) =>
    caller(index % PARTITIONS, Math.floor(index / PARTITIONS)),
  )
  await Promise.all(callers)
  return found.toSorted((a, b) => a - b)
}

function slice<Row>(all: readonly Row[], call: number): readonly Row[] {
  const from = (call * ROWS_PER_CALL) % Math.max(1, all.length - ROWS_PER_CALL)
  return all.slice(from, from + ROWS_PER_CALL)
}

/** Rows in the order in which a fold hands them out. */
function foldedRows(): { readonly minutes: MinuteRow[]; readonly sessions: SessionRow[] } {
  const fold = createBenchFold()
  for (const record of benchRecords(EVENTS_PER_FRAME, RECORDS)) fold.apply(decodeRecord(record))
  const tickets = (['narrow', 'wide', 'sessionUrgent', 'session'] as const).flatMap((queue) =>
    fold.takeDirty(queue, Number.MAX_SAFE_INTEGER),
  )
  return {
    minutes: tickets.flatMap((ticket) => (ticket.kind === 'minute' ? [ticket.row] : [])),
    sessions: tickets.flatMap((ticket) => (ticket.kind === 'session' ? [ticket.row] : [])),
  }
}
