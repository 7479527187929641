/**
 * The promise, under SIGKILL: twenty times, at random moments under load, the standalone process
 * is killed and started again, its batch with it. Afterwards every event that was acknowledged is in
 * the log, counts exactly once in rows and timelines, no value a reader saw went backwards, and the
 * books balance; every event is in files and tables exactly once, and live and history agree.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { EventLog, LogRecord } from '../shared/log/event-log.ts'
import { openLmdbEventLog } from '../shared/log/lmdb-event-log.ts'
import { TOPICS } from '../shared/log/topics.ts'
import { DEFAULT_CUT_IDS, parseCut } from '../shared/qoe/cuts.ts'
import { DEFAULT_FOLD_LIMITS, type FoldCounters } from '../shared/qoe/fold.ts'
import { viewId } from '../shared/qoe/view.ts'
import { systemClock } from '../shared/runtime/clock.ts'
import { noFailpoints } from '../shared/runtime/failpoints.ts'
import { seededRandom, systemRandom } from '../shared/runtime/random.ts'
import { openLmdbSpeedStore } from '../shared/speed/lmdb-speed-store.ts'
import type { FoldException } from '../shared/speed/rows.ts'
import { checkLog, checkRows, type EventIdentity } from './oracle/conservation.ts'
import { OperatorsCommands } from './operators-commands.ts'
import { readView } from './read-view.ts'
import { RegressionWatch } from './regression-watch.ts'
import { ClientPool } from './simulator/client-pool.ts'
import { deliver, CALM_DELIVERY, type DeliveredFrame } from './simulator/delivery.ts'
import { simulateAudience } from './simulator/simulate-audience.ts'
import { freePort, StandaloneProcess } from './standalone-process.ts'

const KILLS = 20
const SEED = Number(process.env['KILL_SEED'] ?? 20_261_121)
const PARTITIONS = 4
const SESSIONS = 1_500
const AUDIENCE_SPAN_MS = 25 * 60_000
/** Time between two kills, while the server runs. */
const UP_MIN_MS = 200
const UP_MAX_MS = 2_500
const FLUSH_DEADLINE_MS = 90_000
/** A run that was killed keeps others from starting for so long. */
const LEASE_MS = 5_000
const BATCH_DEADLINE_MS = 120_000
const MAP_BYTES = 4 * 2 ** 30
const CLOCK_OFFSETS_MS = [0, 3 * 86_400_000]
const FOLD_OUTCOMES: readonly (keyof FoldCounters)[] = [
  'read',
  'applied',
  'duplicate',
  'late',
  'amended',
  'afterClose',
  'capped',
  'poison',
  'buffered',
]

let folder: string
let server: StandaloneProcess
let gatewayUrl: string
let servingUrl: string

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'backhaul-kill-'))
  const gatewayPort = await freePort()
  const servingPort = await freePort()
  gatewayUrl = `ws://127.0.0.1:${gatewayPort}/v1/events`
  servingUrl = `http://127.0.0.1:${servingPort}`
  server = new StandaloneProcess({
    BACKHAUL_DATA_DIR: folder,
    BACKHAUL_LOG_LEVEL: 'warn',
    BACKHAUL_PARTITIONS: `${PARTITIONS}`,
    GATEWAY_PORT: `${gatewayPort}`,
    SERVING_PORT: `${servingPort}`,
    PROCESSOR_CHECKPOINT_INTERVAL_MS: '2000',
    BATCH_EVERY_MS: '10000',
    BATCH_LEASE_MS: `${LEASE_MS}`,
  })
})

afterAll(async () => {
  await server.kill()
  rmSync(folder, { recursive: true, force: true })
})

test('twenty kills under load lose nothing, count nothing twice and move no value back', async () => {
  const random = seededRandom(SEED)
  const startAtMs = systemClock.nowMs() - AUDIENCE_SPAN_MS - 60_000
  const audience = simulateAudience({
    seed: SEED,
    sessions: SESSIONS,
    startAtMs,
    arrivalSpanMs: AUDIENCE_SPAN_MS / 2,
    watchMedianMs: 3 * 60_000,
    clockOffsetsMs: CLOCK_OFFSETS_MS,
  })
  const frames = deliver(audience.sessions, { ...CALM_DELIVERY, seed: SEED }).filter(
    (frame) => frame.arrivedAtMs < startAtMs + AUDIENCE_SPAN_MS,
  )
  const sent = frames.flatMap(({ sessionId, events }) =>
    events.map(({ seq }): EventIdentity => ({ sessionId, seq })),
  )
  const pool = new ClientPool({
    url: gatewayUrl,
    clockOffsetsMs: CLOCK_OFFSETS_MS,
    connectionsPerClock: 3,
    clock: systemClock,
    random: systemRandom,
    limits: { backoffMaxMs: 500 },
  })
  await server.start()
  pool.connect()
  const range = `step=1m&series=100&from=${startAtMs}&to=${startAtMs + AUDIENCE_SPAN_MS}`
  const watches = [
    ...['', 'by=cdn&', 'by=content&'].map((by) =>
      RegressionWatch.ofQuery(`${servingUrl}/v1/qoe?${by}${range}`),
    ),
    RegressionWatch.ofSession(`${servingUrl}/v1/sessions/${busiestSession(frames)}`),
  ]

  const feeding = feed(pool, frames)
  for (let kill = 0; kill < KILLS; kill++) {
    const upMs = UP_MIN_MS + random.below(UP_MAX_MS - UP_MIN_MS)
    const watching = watch(watches, upMs)
    await systemClock.sleep(upMs)
    await server.kill()
    await watching
    await server.start()
  }
  feeding.hurry()
  await feeding.done
  expect(await pool.flush(FLUSH_DEADLINE_MS), server.output).toBe(true)
  pool.close()
  expect(pool.metrics).toMatchObject({
    eventsAccepted: sent.length,
    eventsAcknowledged: sent.length,
    eventsRejected: 0,
  })
  await expect.poll(() => lagOf(servingUrl), { timeout: 60_000, interval: 250 }).toBe(0)
  const fewestReads = async () => {
    await Promise.all(watches.map((each) => each.read()))
    return Math.min(...watches.map((each) => each.reads))
  }
  await expect.poll(fewestReads, { timeout: 60_000 }).toBeGreaterThan(KILLS / 2)
  expect(watches.flatMap((each) => each.regressions)).toEqual([])
  const counters = await foldCounters(servingUrl, sent.length)
  expect(await server.stop(), server.output).toBe(0)

  const violations = await inspect(folder, sent, counters)
  expect(violations.slice(0, 20)).toEqual([])
  await inspectHistory(folder, sent)
})

/** Loads what is left, and checks tables and files against what was sent, and live against history. */
async function inspectHistory(dataDir: string, sent: readonly EventIdentity[]): Promise<void> {
  const commands = new OperatorsCommands({
    BACKHAUL_DATA_DIR: dataDir,
    BACKHAUL_LOG_LEVEL: 'warn',
    BACKHAUL_PARTITIONS: `${PARTITIONS}`,
  })
  // The last run may have been killed: it holds its lease for a while, and is gone on with first.
  await expect
    .poll(async () => (await commands.backhaul('batch', 'run', '--all')).exitCode, {
      timeout: BATCH_DEADLINE_MS,
      interval: 1_000,
    })
    .toBe(0)
  const rows = await commands.sql('SELECT session_id, seq FROM events')
  const found = rows.map((row) => `${String(row['session_id'])} ${String(row['seq'])}`).toSorted()
  const expected = sent.map(({ sessionId, seq }) => `${sessionId} ${seq}`).toSorted()
  expect(found.length).toBe(expected.length)
  expect(found).toEqual(expected)
  const verified = await commands.backhaul('verify', '--json')
  expect(verified.exitCode, verified.stdout + verified.stderr).toBe(0)
  const reconciled = await commands.backhaul('reconcile', '--json')
  expect(reconciled.exitCode, reconciled.stdout + reconciled.stderr).toBe(0)
  const report = JSON.parse(reconciled.stdout) as { verdict: string; compared: number }
  expect(['equal', 'explained']).toContain(report.verdict)
  expect(report.compared).toBeGreaterThan(1_000)
}

/** Offers the frames evenly over the kills; `hurry` sends the rest as fast as credit allows. */
function feed(pool: ClientPool, frames: readonly DeliveredFrame[]) {
  const expectedMs = KILLS * ((UP_MIN_MS + UP_MAX_MS) / 2 + 1_500)
  const pauseEvery = Math.max(1, Math.ceil((frames.length * 20) / expectedMs))
  let hurried = false
  const run = async () => {
    for (let index = 0; index < frames.length; index += pauseEvery) {
      await pool.sendAll(frames.slice(index, index + pauseEvery))
      if (!hurried) await systemClock.sleep(20)
    }
  }
  return { done: run(), hurry: () => void (hurried = true) }
}

async function watch(watches: readonly RegressionWatch[], forMs: number): Promise<void> {
  const untilMs = systemClock.monotonicMs() + forMs
  while (systemClock.monotonicMs() < untilMs) {
    await Promise.all(watches.map((each) => each.read()))
    await systemClock.sleep(50)
  }
}

async function lagOf(url: string): Promise<number> {
  const response = await fetch(`${url}/v1/status`)
  const status = (await response.json()) as { log: readonly { lagRecords: number }[] }
  return status.log.length === PARTITIONS
    ? status.log.reduce((sum, { lagRecords }) => sum + lagRecords, 0)
    : Number.POSITIVE_INFINITY
}

/** Of the sessions that begin early, the one with the most frames: it can be watched for long. */
function busiestSession(frames: readonly DeliveredFrame[]): string {
  const early = new Set(frames.slice(0, frames.length / 20).map(({ sessionId }) => sessionId))
  const counts = new Map<string, number>()
  for (const { sessionId } of frames)
    if (early.has(sessionId)) counts.set(sessionId, (counts.get(sessionId) ?? 0) + 1)
  return [...counts].reduce((most, next) => (next[1] > most[1] ? next : most), ['', 0])[0]
}

/**
 * What the product itself counts, summed over partitions, once it has read every event: the
 * checkpoints carried it across the kills.
 */
async function foldCounters(url: string, eventsAtLeast: number): Promise<FoldCounters> {
  const read = async () => {
    const counters = Object.fromEntries(FOLD_OUTCOMES.map((name) => [name, 0]))
    const text = await (await fetch(`${url}/metrics`)).text()
    for (const [, outcome = '', value] of text.matchAll(
      /^processor_fold_events\{[^}]*outcome="(\w+)"[^}]*\} (\d+)$/gm,
    ))
      counters[outcome] = (counters[outcome] ?? 0) + Number(value)
    return counters as unknown as FoldCounters
  }
  await expect
    .poll(async () => (await read()).read, { timeout: 20_000 })
    .toBeGreaterThanOrEqual(eventsAtLeast)
  return read()
}

/** Opens what the stopped server left behind and checks it against the log and what was sent. */
async function inspect(dataDir: string, sent: readonly EventIdentity[], counters: FoldCounters) {
  const clock = systemClock
  const log = await openLmdbEventLog({
    folder: join(dataDir, 'log'),
    mapBytes: MAP_BYTES,
    clock,
    failpoints: noFailpoints,
  })
  const speed = await openLmdbSpeedStore({
    folder: join(dataDir, 'speed'),
    mapBytes: MAP_BYTES,
    clock,
  })
  try {
    const cuts = DEFAULT_CUT_IDS.map(parseCut)
    const view = viewId(cuts, DEFAULT_FOLD_LIMITS)
    const progress = await speed.readPartitions(view)
    expect(progress).toHaveLength(PARTITIONS)
    const partitions = await Promise.all(
      progress.map(async (row) => {
        const { partition, appliedOffset, narrowOffset, wideOffset, sessionOffset } = row
        expect([narrowOffset, wideOffset, sessionOffset]).toEqual(
          Array.from({ length: 3 }, () => appliedOffset),
        )
        const records = await readAll(log, TOPICS.events, partition)
        return { partition, records: records.filter((record) => record.offset < appliedOffset) }
      }),
    )
    const rows = await readView(
      speed,
      view,
      cuts.map((cut) => cut.id),
    )
    const exceptions = await readExceptions(log)
    return [
      ...checkLog({ sent, acknowledged: sent }, partitions),
      ...checkRows(
        { ...rows, exceptions, counters },
        { partitions, limits: DEFAULT_FOLD_LIMITS, cuts },
      ),
    ]
  } finally {
    await speed.close()
    await log.close()
  }
}

async function readExceptions(log: EventLog): Promise<FoldException[]> {
  const exceptions = new Map<string, FoldException>()
  for (let partition = 0; partition < PARTITIONS; partition++)
    for (const record of await readAll(log, TOPICS.exceptions, partition)) {
      const text = Buffer.from(record.value).toString()
      exceptions.set(text, JSON.parse(text) as FoldException)
    }
  return [...exceptions.values()]
}

async function readAll(log: EventLog, topic: string, partition: number): Promise<LogRecord[]> {
  const { start, end } = await log.offsets(topic, partition)
  const records: LogRecord[] = []
  for (let fromOffset = start; fromOffset < end;) {
    const request = { fromOffset, maxRecords: 5_000, maxBytes: 64 * 2 ** 20, waitMs: 0 }
    const batch = (await log.read(topic, partition, request)).records
    records.push(...batch)
    fromOffset = (batch.at(-1)?.offset ?? end) + 1
  }
  return records
}
