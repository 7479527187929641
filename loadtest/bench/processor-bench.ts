/** The processor over the embedded stores: how fast it works through a log that is already there. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { processorConfig } from '../../processor/config.ts'
import { startProcessor, type RunningProcessor } from '../../processor/start.ts'
import type { EventLog, LogRecord } from '../../shared/log/event-log.ts'
import { openLmdbEventLog } from '../../shared/log/lmdb-event-log.ts'
import { createSealer } from '../../shared/log/reject-record.ts'
import { TOPICS, topicSpecs } from '../../shared/log/topics.ts'
import { openFolderObjectStore } from '../../shared/objects/folder-object-store.ts'
import type { ObjectStore } from '../../shared/objects/object-store.ts'
import { DEFAULT_CUT_IDS, parseCut } from '../../shared/qoe/cuts.ts'
import { ManualClock, systemClock as clock, type Clock } from '../../shared/runtime/clock.ts'
import { readConfig } from '../../shared/runtime/config.ts'
import { noFailpoints } from '../../shared/runtime/failpoints.ts'
import { systemRandom } from '../../shared/runtime/random.ts'
import { createTelemetryBase } from '../../shared/runtime/telemetry.ts'
import { openLmdbSpeedStore } from '../../shared/speed/lmdb-speed-store.ts'
import type { SpeedStore } from '../../shared/speed/speed-store.ts'
import { benchRecords } from './fold-bench.ts'
import { perEvent, type BenchResult } from './results.ts'

const APPEND_RECORDS = 500
const MAP_BYTES = 32 * 2 ** 30
const DEADLINE_MS = 300_000

export async function benchProcessor(eventsPerFrame: number, events: number): Promise<BenchResult> {
  const folder = mkdtempSync(join(tmpdir(), 'backhaul-bench-'))
  try {
    return await measure(folder, eventsPerFrame, events)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

async function measure(
  folder: string,
  eventsPerFrame: number,
  events: number,
): Promise<BenchResult> {
  const records = benchRecords(eventsPerFrame, Math.floor(events / eventsPerFrame))
  await appendAtTheirTimes(folder, records)
  const stores = await openBenchStores(folder)
  const cpuStart = process.cpuUsage()
  const startMs = clock.monotonicMs()
  const processor = await startBenchProcessor(stores, {})
  await until(() => processor.status().some(({ nextOffset = 0 }) => nextOffset >= records.length))
  // Stopping writes every row that is still dirty: it is part of the work.
  await processor.stop()
  const cpu = process.cpuUsage(cpuStart)
  const result = perEvent(
    `processor on the embedded stores, ${eventsPerFrame} events a frame`,
    events,
    {
      wallMs: clock.monotonicMs() - startMs,
      cpuMs: (cpu.user + cpu.system) / 1_000,
    },
  )
  await stores.close()
  return result
}

export interface BenchStores {
  readonly log: EventLog
  readonly speed: SpeedStore
  readonly objects: ObjectStore
  close(): Promise<void>
}

/** Opens the embedded stores of a folder, the log under a clock of its own where one is given. */
export async function openBenchStores(
  folder: string,
  logClock: Clock = clock,
): Promise<BenchStores> {
  const log = await openLog(folder, logClock)
  const speed = await openLmdbSpeedStore({
    folder: join(folder, 'speed'),
    mapBytes: MAP_BYTES,
    clock,
  })
  const objects = await openFolderObjectStore({ folder: join(folder, 'objects'), clock })
  return {
    log,
    speed,
    objects,
    async close() {
      await objects.close()
      await speed.close()
      await log.close()
    },
  }
}

/** A processor of one partition with the default settings but for those given. */
export function startBenchProcessor(
  { log, speed, objects }: BenchStores,
  settings: Readonly<Record<string, string>>,
): Promise<RunningProcessor> {
  return startProcessor({
    config: readConfig(processorConfig, settings, (path) => readFileSync(path, 'utf8')),
    log,
    speed,
    objects,
    telemetry: createTelemetryBase('error'),
    clock,
    random: systemRandom,
    failpoints: noFailpoints,
    sealer: createSealer(Buffer.alloc(32, 7)),
    cuts: DEFAULT_CUT_IDS.map(parseCut),
    partitions: 1,
  })
}

export async function until(condition: () => boolean): Promise<void> {
  const startMs = clock.monotonicMs()
  while (!condition()) {
    if (clock.monotonicMs() - startMs > DEADLINE_MS)
      throw new Error('the processor did not catch up')
    await clock.sleep(20)
  }
}

/** Appends the records to the folder's log under a clock that follows their own times. */
export async function appendAtTheirTimes(
  folder: string,
  records: readonly LogRecord[],
): Promise<void> {
  const logClock = new ManualClock(records[0]?.loggedAtMs ?? 0)
  const log = await openLog(folder, logClock)
  await log.ensureTopics(
    topicSpecs({ partitions: 1, logRetentionMs: 366 * 86_400_000, logRetentionBytes: 2 ** 40 }),
  )
  for (let index = 0; index < records.length; index += APPEND_RECORDS)
    await appendBatch(log, logClock, records.slice(index, index + APPEND_RECORDS))
  await log.close()
}

/** Appends records that come at the time of the last of them. */
export async function appendBatch(
  log: EventLog,
  logClock: ManualClock,
  records: readonly LogRecord[],
): Promise<void> {
  const behindMs = (records.at(-1)?.loggedAtMs ?? 0) - logClock.nowMs()
  if (behindMs > 0) await logClock.advance(behindMs)
  await log.append(TOPICS.events, 0, records)
}

function openLog(folder: string, logClock: Clock) {
  return openLmdbEventLog({
    folder: join(folder, 'log'),
    mapBytes: MAP_BYTES,
    clock: logClock,
    failpoints: noFailpoints,
  })
}
