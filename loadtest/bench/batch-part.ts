/**
 * One part of the batch's benchmark. `node batch-part.ts <folder> fill <events a frame> <events>`
 * makes the log; `… raw` begins a run of all of it and ends with its raw files, `… rest` goes on with
 * that run to its end, `… bounded` is a run of its own within the default bounds. Objects and tables are
 * where the environment says, as for a service; by default in the folder. What each step took is printed
 * as one line of JSON.
 */
import { join } from 'node:path'
import { batchConfig } from '../../batch/config.ts'
import { createBatch } from '../../batch/start.ts'
import type { NewRecord } from '../../shared/log/event-log.ts'
import { openLmdbEventLog } from '../../shared/log/lmdb-event-log.ts'
import { encodeFrameRecord, FRAME_SCHEMA } from '../../shared/log/record.ts'
import { TOPICS } from '../../shared/log/topics.ts'
import { openObjectStore, readObjectStoreSettings } from '../../shared/objects/open-object-store.ts'
import { DEFAULT_CUT_IDS, parseCut } from '../../shared/qoe/cuts.ts'
import { DEFAULT_FOLD_LIMITS } from '../../shared/qoe/fold.ts'
import { ManualClock, systemClock, type Clock } from '../../shared/runtime/clock.ts'
import { readConfig } from '../../shared/runtime/config.ts'
import { systemRandom as random } from '../../shared/runtime/random.ts'
import { createTelemetryBase } from '../../shared/runtime/telemetry.ts'
import { openWarehouse, readWarehouseSettings } from '../../shared/warehouse/open-warehouse.ts'
import { BATCH_PARTS, type BatchPart, type PartMeasured } from './batch-bench.ts'
import { BENCH_START_MS, benchFrames, type BenchFrame } from './events.ts'
import { RunIsCutOff, StepStopwatch } from './step-stopwatch.ts'

const APPEND_RECORDS = 500
const MAP_BYTES = 64 * 2 ** 30
const EVER = 10 ** 12
/** Everything is one run. */
const WHOLE = {
  BATCH_RUN_RECORDS_MAX: '100000000',
  BATCH_RUN_BYTES_MAX: `${2 ** 40}`,
}

async function measure(folder: string, part: BatchPart): Promise<PartMeasured> {
  const clock = systemClock
  const log = await openLog(folder, clock)
  const readFile = () => ''
  const settings = part === 'bounded' ? {} : { ...process.env, ...WHOLE }
  const config = readConfig(batchConfig, settings, readFile)
  const ofPart = part === 'bounded' ? join(folder, 'bounded') : folder
  const { gcs } = readObjectStoreSettings(process.env, readFile)
  const { bigQuery } = readWarehouseSettings(process.env, readFile, gcs)
  const objects = await openObjectStore({ gcs, folder: join(ofPart, 'objects'), clock, random })
  const temporaryFolder = join(ofPart, 'temporary')
  const warehouse = await openWarehouse({
    bigQuery,
    store: objects,
    temporaryFolder,
    memoryMaxBytes: config.flattenMemoryBytes,
    threads: 1,
    clock,
    random,
  })
  const stopwatch = new StepStopwatch(part === 'raw' ? 'raw' : undefined)
  const batch = createBatch({
    log,
    objects,
    warehouse,
    clock,
    config,
    limits: DEFAULT_FOLD_LIMITS,
    cuts: DEFAULT_CUT_IDS.map(parseCut),
    logRetentionMs: EVER,
    telemetry: createTelemetryBase('silent'),
    failpoints: stopwatch,
    holder: 'bench',
    temporaryFolder,
  })
  const outcome = await batch.run().catch((error: unknown) => {
    if (!(error instanceof RunIsCutOff)) throw error
  })
  await warehouse.close()
  await objects.close()
  await log.close()
  const topics = outcome?.outcome === 'completed' ? outcome.report.topics : []
  return {
    events: topics.reduce((sum, { counts }) => sum + counts.events, 0),
    // What another process has done before is not this one's.
    steps: part === 'rest' ? stopwatch.steps.slice(1) : stopwatch.steps,
  }
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
