/** The processor as in production, its log on Kafka and its rows in LMDB, and what it made. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Kafka } from '../../scripts/services/kafka.ts'
import { freePorts } from '../../scripts/services/ports.ts'
import { parseCut } from '../../shared/qoe/cuts.ts'
import { DEFAULT_FOLD_LIMITS } from '../../shared/qoe/fold.ts'
import { viewId } from '../../shared/qoe/view.ts'
import { systemClock as clock } from '../../shared/runtime/clock.ts'
import { openLmdbSpeedStore } from '../../shared/speed/lmdb-speed-store.ts'
import type { SessionRow } from '../../shared/speed/rows.ts'
import type { SpeedStore } from '../../shared/speed/speed-store.ts'
import { ProcessorProcess } from '../processor-process.ts'
import { addSums, MINUTE_SUMS, SESSION_SUMS, SideMeter, type Made, type Used } from './side.ts'
import { PARTITIONS } from './topics.ts'

/** The cuts that both sides keep. */
const CUT_IDS = ['total', 'content', 'cdn', 'deviceType', 'player+playerVersion', 'country']
const VIEW = viewId(CUT_IDS.map(parseCut), DEFAULT_FOLD_LIMITS)
const MAIN = join(import.meta.dirname, '..', '..', 'processor', 'main.ts')
const SEAL_KEY = Buffer.alloc(32, 3).toString('base64')
const MAP_BYTES = 8 * 2 ** 30
const ROWS_MAX = 10_000_000
const SESSIONS_PAGE = 10_000
const LOOK_EVERY_MS = 250
const DEADLINE_MS = 20 * 60_000

export async function runProcessor(
  kafka: Kafka,
  ends: ReadonlyMap<number, number>,
): Promise<{ readonly used: Used; readonly made: Made }> {
  const folder = mkdtempSync(join(tmpdir(), 'backhaul-compare-'))
  try {
    const used = await work(kafka, ends, folder)
    return { used, made: await readMade(join(folder, 'speed')) }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

async function work(
  kafka: Kafka,
  ends: ReadonlyMap<number, number>,
  folder: string,
): Promise<Used> {
  const [adminPort = 0] = await freePorts(1)
  const environment = {
    BACKHAUL_DATA_DIR: folder,
    BACKHAUL_SEAL_KEY: SEAL_KEY,
    BACKHAUL_LOG_LEVEL: 'warn',
    BACKHAUL_PARTITIONS: `${PARTITIONS}`,
    BACKHAUL_SPEED_MAP_BYTES: `${MAP_BYTES}`,
    BACKHAUL_CUTS: CUT_IDS.join(','),
    KAFKA_BROKERS: kafka.bootstrap.join(','),
    KAFKA_REPLICATION_FACTOR: '1',
    KAFKA_MIN_INSYNC_REPLICAS: '1',
    PROCESSOR_ADMIN_PORT: `${adminPort}`,
    // As on Kafka, where an open session is shown as it was half a minute ago.
    PROCESSOR_SESSION_ROW_INTERVAL_MS: '30000',
    // A tick would move the end that the other side is told of.
    PROCESSOR_TICKS: 'false',
  }
  const processor = new ProcessorProcess({ script: [MAIN], adminPort, environment })
  const kill = () => processor.signal('SIGKILL')
  process.once('exit', kill)
  const meter = new SideMeter(processor.pid, kafka.broker(1).pid ?? 0)
  try {
    await hasRead(processor, ends)
    // Stopping writes the rows that wait and a checkpoint: it is part of the work.
    await processor.stop()
    return meter.end()
  } finally {
    meter.end()
    kill()
    process.removeListener('exit', kill)
  }
}

async function hasRead(
  processor: ProcessorProcess,
  ends: ReadonlyMap<number, number>,
): Promise<void> {
  const deadlineMs = clock.monotonicMs() + DEADLINE_MS
  for (;;) {
    const reports = await processor.reports()
    const next = new Map(reports.map(({ partition, nextOffset = 0 }) => [partition, nextOffset]))
    if ([...ends].every(([partition, end]) => (next.get(partition) ?? 0) >= end)) return
    if (clock.monotonicMs() > deadlineMs)
      throw new Error(`the processor has not read the topic in time:\n${processor.stderr}`)
    await clock.sleep(LOOK_EVERY_MS)
  }
}

async function readMade(folder: string): Promise<Made> {
  const speed = await openLmdbSpeedStore({ folder, access: 'reader', mapBytes: MAP_BYTES, clock })
  try {
    return { minutes: await readMinutes(speed), sessions: await readSessions(speed) }
  } finally {
    await speed.close()
  }
}

async function readMinutes(speed: SpeedStore): Promise<Made['minutes']> {
  const minutes = new Map<string, readonly number[]>()
  const range = { view: VIEW, fromMs: 0, toMs: Number.MAX_SAFE_INTEGER, limit: ROWS_MAX }
  for (const cut of CUT_IDS)
    for (const { key, minuteStartMs, aggregates } of await speed.readMinutes({ ...range, cut })) {
      const values = JSON.parse(key) as string[]
      const place = [cut, minuteStartMs, ...values].join('\n')
      addSums(
        minutes,
        place,
        MINUTE_SUMS.map((name) => aggregates[name]),
      )
    }
  return minutes
}

async function readSessions(speed: SpeedStore): Promise<Made['sessions']> {
  const sessions = new Map<string, readonly number[]>()
  let page = await speed.readSessions(VIEW, { limit: SESSIONS_PAGE })
  while (page.length > 0) {
    for (const row of page) addSums(sessions, row.sessionId, sessionSums(row))
    const afterSessionId = page.at(-1)?.sessionId ?? ''
    page = await speed.readSessions(VIEW, { limit: SESSIONS_PAGE, afterSessionId })
  }
  return sessions
}

function sessionSums({ parts }: SessionRow): number[] {
  const fields = { events: 'events', stalls: 'stallCount' } as const
  return SESSION_SUMS.map((name) => {
    const field = name === 'events' || name === 'stalls' ? fields[name] : name
    return parts.reduce((sum, part) => sum + part[field], 0)
  })
}
