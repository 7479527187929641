/**
 * A partition with many live sessions: how long the event loop stands still while it is read and all its
 * rows are written, while checkpoints are made of it and records go on, and while a new owner recovers it
 * and reads what came meanwhile, and how long that takes.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { RunningProcessor } from '../../processor/start.ts'
import { ManualClock, systemClock } from '../../shared/runtime/clock.ts'
import { LoopWatch } from './loop-watch.ts'
import {
  appendAtTheirTimes,
  appendBatch,
  openBenchStores,
  startBenchProcessor,
  until,
  type BenchStores,
} from './processor-bench.ts'
import { perEvent, type BenchResult } from './results.ts'
import { liveSessionRecord } from './state-bench.ts'

/** Name of what says how long a recovery took, until the partition followed the log. */
export const RECOVERED_AFTER_MS = 'recovered after ms'
/** Checkpoints that are watched. */
const CHECKPOINTS = 3
const SETTINGS = { PROCESSOR_CHECKPOINT_INTERVAL_MS: '2000', PROCESSOR_TICKS: 'false' }
const RECORDS_A_TURN = 100
/** Between two turns while checkpoints are made, ms. */
const TURN_MS = 50

export async function benchRecovery(
  framesPerSession: number,
  sessions: number,
): Promise<readonly BenchResult[]> {
  const folder = mkdtempSync(join(tmpdir(), 'backhaul-bench-'))
  const logged = framesPerSession * sessions
  try {
    await appendAtTheirTimes(folder, recordsFrom(0, logged, sessions))
    const { written, checkpointed } = await onStores(
      folder,
      liveSessionRecord(logged, sessions).loggedAtMs,
      (stores, logClock) => measureLife(stores, logClock, { logged, sessions }),
    )
    const end = logged + checkpointed.events
    const recovered = await onStores(
      folder,
      liveSessionRecord(end, sessions).loggedAtMs,
      (stores, logClock) => measureRecovery(stores, logClock, { logged: end, sessions }),
    )
    return [written, checkpointed, recovered]
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

interface Standing {
  /** Records that the log holds. */
  readonly logged: number
  readonly sessions: number
}

/** The log’s time is that of its records, so that the sessions stay alive. */
async function onStores<Result>(
  folder: string,
  nowMs: number,
  measure: (stores: BenchStores, logClock: ManualClock) => Promise<Result>,
): Promise<Result> {
  const logClock = new ManualClock(nowMs)
  const stores = await openBenchStores(folder, logClock)
  const result = await measure(stores, logClock)
  await stores.close()
  return result
}

function recordsFrom(offset: number, count: number, sessions: number) {
  return Array.from({ length: count }, (_, index) => liveSessionRecord(offset + index, sessions))
}

/** Ends with a processor that stopped in order, its last checkpoint at the end of the log. */
async function measureLife(stores: BenchStores, logClock: ManualClock, standing: Standing) {
  const { logged, sessions } = standing
  let processor: RunningProcessor | undefined
  const reading = await measureLoop(async () => {
    processor = await startBenchProcessor(stores, SETTINGS)
    await until(() => processor !== undefined && readAndWritten(processor, logged))
  })
  if (processor === undefined) throw new Error('assertion failed: it was started')
  const checkpointed = await measureCheckpoints(processor, { ...stores, logClock }, standing)
  await processor.stop()
  const name = `${sessions.toLocaleString('en')} sessions read, and all their rows written`
  return { written: perEvent(name, logged, reading, reading.blocked), checkpointed }
}

async function measureCheckpoints(
  processor: RunningProcessor,
  { log, logClock }: Pick<BenchStores, 'log'> & { readonly logClock: ManualClock },
  { logged, sessions }: Standing,
): Promise<BenchResult> {
  const shown = new Set<number>()
  let appended = 0
  const measured = await measureLoop(async () => {
    const first = processor.status()[0]?.checkpointOffset
    while (shown.size < CHECKPOINTS) {
      const records = recordsFrom(logged + appended, RECORDS_A_TURN, sessions)
      await appendBatch(log, logClock, records)
      appended += records.length
      await systemClock.sleep(TURN_MS)
      const offset = processor.status()[0]?.checkpointOffset
      if (offset !== undefined && offset !== first) shown.add(offset)
    }
  })
  const name = `${CHECKPOINTS} checkpoints of ${sessions.toLocaleString('en')} live sessions`
  return perEvent(name, appended, measured, measured.blocked)
}

function readAndWritten(processor: RunningProcessor, end: number): boolean {
  return processor
    .inspectPartitions()
    .some(
      ({ nextOffset = 0, queues }) =>
        nextOffset >= end && queues.every(({ dirtyRows }) => dirtyRows === 0),
    )
}

/** From the start of a processor to the end that the log had then. */
async function measureRecovery(
  { log, ...stores }: BenchStores,
  logClock: ManualClock,
  { logged, sessions }: Standing,
): Promise<BenchResult> {
  // What comes while nobody owns the partition: a record of each session.
  for (let index = 0; index < sessions; index += RECORDS_A_TURN) {
    const count = Math.min(RECORDS_A_TURN, sessions - index)
    await appendBatch(log, logClock, recordsFrom(logged + index, count, sessions))
  }
  let processor: RunningProcessor | undefined
  const measured = await measureLoop(async () => {
    processor = await startBenchProcessor({ log, ...stores }, SETTINGS)
    await until(() => processor?.status()[0]?.state === 'running')
  })
  const held = processor?.inspectPartitions()[0]?.fold?.openSessions
  if (held !== sessions) throw new Error(`${held} of ${sessions} sessions are live`)
  await processor?.stop()
  const name = `recovery of ${sessions.toLocaleString('en')} live sessions, and a record of each`
  const afterMs = { [RECOVERED_AFTER_MS]: Math.round(measured.wallMs) }
  return perEvent(name, sessions, measured, { ...afterMs, ...measured.blocked })
}

/** Time and processor that `work` takes, and how long the event loop stood still meanwhile. */
async function measureLoop(work: () => Promise<void>) {
  const watch = new LoopWatch()
  const cpuStart = process.cpuUsage()
  const startMs = systemClock.monotonicMs()
  await work()
  const cpu = process.cpuUsage(cpuStart)
  const wallMs = systemClock.monotonicMs() - startMs
  return { wallMs, cpuMs: (cpu.user + cpu.system) / 1_000, blocked: await watch.stop() }
}
