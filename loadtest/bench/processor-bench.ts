/** The processor over the embedded stores: how fast it works through a log that is already there. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { processorConfig } from '../../processor/config.ts'
import { startProcessor } from '../../processor/start.ts'
import { openLmdbEventLog } from '../../shared/log/lmdb-event-log.ts'
import { createSealer } from '../../shared/log/reject-record.ts'
import { TOPICS } from '../../shared/log/topics.ts'
import { openFolderObjectStore } from '../../shared/objects/folder-object-store.ts'
import { DEFAULT_CUT_IDS, parseCut } from '../../shared/qoe/cuts.ts'
import { ManualClock, systemClock, type Clock } from '../../shared/runtime/clock.ts'
import { readConfig } from '../../shared/runtime/config.ts'
import { noFailpoints } from '../../shared/runtime/failpoints.ts'
import { systemRandom } from '../../shared/runtime/random.ts'
import { createTelemetryBase } from '../../shared/runtime/telemetry.ts'
import { openLmdbSpeedStore } from '../../shared/speed/lmdb-speed-store.ts'
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
  const logFolder = join(folder, 'log')
  await fillLog(logFolder, eventsPerFrame, Math.floor(events / eventsPerFrame))
  const clock = systemClock
  const log = await openLog(logFolder, clock)
  const speed = await openLmdbSpeedStore({
    folder: join(folder, 'speed'),
    mapBytes: MAP_BYTES,
    clock,
  })
  const objects = await openFolderObjectStore({ folder: join(folder, 'objects'), clock })
  const cpuStart = process.cpuUsage()
  const startMs = clock.monotonicMs()
  const processor = await startProcessor({
    config: readConfig(processorConfig, {}, (path) => readFileSync(path, 'utf8')),
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
  const records = Math.floor(events / eventsPerFrame)
  const isDone = () => processor.status().some(({ nextOffset = 0 }) => nextOffset >= records)
  while (!isDone()) {
    if (clock.monotonicMs() - startMs > DEADLINE_MS)
      throw new Error('the processor did not catch up')
    await clock.sleep(20)
  }
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
  await objects.close()
  await speed.close()
  await log.close()
  return result
}

/** Appends the records under a clock that follows their own times. */
async function fillLog(folder: string, eventsPerFrame: number, count: number): Promise<void> {
  const records = benchRecords(eventsPerFrame, count)
  const clock = new ManualClock(records[0]?.loggedAtMs ?? 0)
  const log = await openLog(folder, clock)
  await log.ensureTopics(
    Object.values(TOPICS).map((name) => ({
      name,
      partitions: 1,
      retentionMs: 366 * 86_400_000,
      retentionBytes: 2 ** 40,
    })),
  )
  for (let index = 0; index < records.length; index += APPEND_RECORDS) {
    const batch = records.slice(index, index + APPEND_RECORDS)
    const behindMs = (batch.at(-1)?.loggedAtMs ?? 0) - clock.nowMs()
    if (behindMs > 0) await clock.advance(behindMs)
    await log.append(TOPICS.events, 0, batch)
  }
  await log.close()
}

function openLog(folder: string, clock: Clock) {
  return openLmdbEventLog({ folder, mapBytes: MAP_BYTES, clock, failpoints: noFailpoints })
}
