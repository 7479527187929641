/**
 * One part of the batch's benchmark: `node batch-part.ts <folder> fill <events a frame> <events>`
 * makes the log, `node batch-part.ts <folder> <part>` goes on with the run up to the end of the
 * part and prints what the part took, as one line of JSON.
 */
import { join } from 'node:path'
import { batchConfig } from '../../batch/config.ts'
import { createBatch } from '../../batch/start.ts'
import type { NewRecord } from '../../shared/log/event-log.ts'
import { openLmdbEventLog } from '../../shared/log/lmdb-event-log.ts'
import { encodeFrameRecord, FRAME_SCHEMA } from '../../shared/log/record.ts'
import { TOPICS } from '../../shared/log/topics.ts'
import { openFolderObjectStore } from '../../shared/objects/folder-object-store.ts'
import { DEFAULT_CUT_IDS, parseCut } from '../../shared/qoe/cuts.ts'
import { DEFAULT_FOLD_LIMITS } from '../../shared/qoe/fold.ts'
import { ManualClock, systemClock, type Clock } from '../../shared/runtime/clock.ts'
import { readConfig } from '../../shared/runtime/config.ts'
import type { FailpointName, Failpoints } from '../../shared/runtime/failpoints.ts'
import { createTelemetryBase } from '../../shared/runtime/telemetry.ts'
import { openDuckDbWarehouse } from '../../shared/warehouse/duckdb-warehouse.ts'
import { BATCH_PARTS, type BatchPart, type PartMeasured } from './batch-bench.ts'
import { BENCH_START_MS, benchFrames, type BenchFrame } from './events.ts'

/** Between which steps of a run each part lies. */
const BOUNDS: Readonly<Record<BatchPart, readonly [FailpointName, FailpointName]>> = {
  raw: ['batch.afterCut', 'batch.afterManifest'],
  flatten: ['batch.afterManifest', 'batch.afterFlatten'],
  load: ['batch.afterFlatten', 'batch.afterMerge'],
  facts: ['batch.afterMerge', 'batch.afterFacts'],
}
const APPEND_RECORDS = 500
const MAP_BYTES = 64 * 2 ** 30
const EVER = 10 ** 12
const WAREHOUSE_MEMORY_BYTES = 2 ** 30
/** Everything is one run. */
const SETTINGS = {
  BATCH_RUN_RECORDS_MAX: '100000000',
  BATCH_RUN_BYTES_MAX: `${2 ** 40}`,
}

class PartIsOver extends Error {}

/** Measures from one step to the other, and ends the run there. */
class Stopwatch implements Failpoints {
  readonly #bounds: readonly [FailpointName, FailpointName]
  #startMs = 0
  #startCpu = process.cpuUsage()
  measured: PartMeasured | undefined

  constructor(part: BatchPart) {
    this.#bounds = BOUNDS[part]
  }

  hit(name: FailpointName): Promise<void> | void {
    const [first, last] = this.#bounds
    if (name === first) {
      this.#startMs = systemClock.monotonicMs()
      this.#startCpu = process.cpuUsage()
    }
    if (name !== last) return
    const { user, system } = process.cpuUsage(this.#startCpu)
    this.measured = {
      wallMs: systemClock.monotonicMs() - this.#startMs,
      cpuMs: (user + system) / 1_000,
      peakMiB: Math.round(process.resourceUsage().maxRSS / 1_024),
    }
    throw new PartIsOver()
  }
}

async function measure(folder: string, part: BatchPart): Promise<PartMeasured> {
  const clock = systemClock
  const log = await openLog(folder, clock)
  const objects = await openFolderObjectStore({ folder: join(folder, 'objects'), clock })
  const temporaryFolder = join(folder, 'temporary')
  const warehouse = await openDuckDbWarehouse({
    store: objects,
    temporaryFolder,
    memoryMaxBytes: WAREHOUSE_MEMORY_BYTES,
    threads: 1,
    clock,
  })
  const failpoints = new Stopwatch(part)
  const batch = createBatch({
    log,
    objects,
    warehouse,
    clock,
    config: readConfig(batchConfig, SETTINGS, () => ''),
    limits: DEFAULT_FOLD_LIMITS,
    cuts: DEFAULT_CUT_IDS.map(parseCut),
    telemetry: createTelemetryBase('silent'),
    failpoints,
    holder: 'bench',
    temporaryFolder,
  })
  await batch.run().catch((error: unknown) => {
    if (!(error instanceof PartIsOver)) throw error
  })
  await warehouse.close()
  await objects.close()
  await log.close()
  if (failpoints.measured === undefined)
    throw new Error(`the run did not come to the end of ${part}`)
  return failpoints.measured
}

/** Appends the frames under a clock that follows their own times; a few hundred are in memory. */
async function fill(folder: string, eventsPerFrame: number, events: number): Promise<void> {
  const frames = benchFrames(Math.floor(events / eventsPerFrame), eventsPerFrame)
  const clock = new ManualClock(BENCH_START_MS)
  const log = await openLog(folder, clock)
  await log.ensureTopics(
    [TOPICS.events, TOPICS.rejects, TOPICS.exceptions].map((name) => ({
      name,
      partitions: 1,
      retentionMs: EVER,
      retentionBytes: 2 ** 46,
    })),
  )
  let waiting: NewRecord[] = []
  const append = async (atMs: number): Promise<void> => {
    if (atMs > clock.nowMs()) await clock.advance(atMs - clock.nowMs())
    await log.append(TOPICS.events, 0, waiting)
    waiting = []
  }
  let lastMs = 0
  for (const frame of frames) {
    lastMs = frame.sentAtMs + 25
    waiting.push(recordOf(frame))
    if (waiting.length === APPEND_RECORDS) await append(lastMs)
  }
  if (waiting.length > 0) await append(lastMs)
  await log.close()
}

function recordOf(frame: BenchFrame): NewRecord {
  const value = encodeFrameRecord({
    contextJson: Buffer.from(frame.contextJson),
    sentAtMs: frame.sentAtMs,
    receivedAtMs: frame.sentAtMs + 20,
    rejectedSeqs: [],
    events: frame.eventsJson.map((json) => Buffer.from(json)),
  })
  return { key: frame.sessionId, value, headers: { schema: FRAME_SCHEMA, gateway: 'bench' } }
}

function openLog(folder: string, clock: Clock) {
  return openLmdbEventLog({ folder: join(folder, 'log'), mapBytes: MAP_BYTES, clock })
}

const [folder = '', what, eventsPerFrame, events] = process.argv.slice(2)
const part = BATCH_PARTS.find((known) => known === what)
if (part === undefined) await fill(folder, Number(eventsPerFrame), Number(events))
else console.log(JSON.stringify(await measure(folder, part)))
