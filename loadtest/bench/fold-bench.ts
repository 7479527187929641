/** The fold alone, and decode + fold from the bytes of records, single-threaded in memory. */
import { decodeRecord, encodeFrameRecord, FRAME_SCHEMA } from '../../shared/log/record.ts'
import type { DecodedRecord } from '../../shared/log/record.ts'
import { DEFAULT_CUT_IDS, parseCut } from '../../shared/qoe/cuts.ts'
import { DEFAULT_FOLD_LIMITS, type PartitionFold } from '../../shared/qoe/fold.ts'
import { createPartitionFold } from '../../shared/qoe/partition-fold.ts'
import { systemClock } from '../../shared/runtime/clock.ts'
import type { LogRecord } from '../../shared/log/event-log.ts'
import { benchFrames } from './events.ts'
import { perEvent, type BenchResult } from './results.ts'

export const TAKE_EVERY_RECORDS = 20_000
/** Runs before the one that counts, so that what runs is compiled. */
export const WARM_UPS = 3

export function benchFold(eventsPerFrame: number, events: number): BenchResult {
  const records = benchRecords(eventsPerFrame, Math.floor(events / eventsPerFrame))
  const name = `fold, ${eventsPerFrame} events a frame`
  return measure(
    name,
    events,
    records.map((record) => decodeRecord(record)),
    (record) => record,
  )
}

export function benchDecodeAndFold(eventsPerFrame: number, events: number): BenchResult {
  const records = benchRecords(eventsPerFrame, Math.floor(events / eventsPerFrame))
  return measure(`decode + fold, ${eventsPerFrame} events a frame`, events, records, decodeRecord)
}

/** Records as the gateway writes them. */
export function benchRecords(eventsPerFrame: number, count: number): LogRecord[] {
  const records: LogRecord[] = []
  for (const frame of benchFrames(count, eventsPerFrame)) {
    const value = encodeFrameRecord({
      contextJson: Buffer.from(frame.contextJson),
      sentAtMs: frame.sentAtMs,
      receivedAtMs: frame.sentAtMs + 20,
      rejectedSeqs: [],
      events: frame.eventsJson.map((json) => Buffer.from(json)),
    })
    records.push({
      partition: 0,
      offset: records.length,
      loggedAtMs: frame.sentAtMs + 25,
      key: frame.sessionId,
      value,
      headers: { schema: FRAME_SCHEMA },
    })
  }
  return records
}

function measure<Input>(
  name: string,
  events: number,
  inputs: readonly Input[],
  decode: (input: Input) => DecodedRecord,
): BenchResult {
  const foldAll = () => {
    const fold = createBenchFold()
    inputs.forEach((input, index) => {
      fold.apply(decode(input))
      if (index % TAKE_EVERY_RECORDS === TAKE_EVERY_RECORDS - 1) takeAll(fold)
    })
    takeAll(fold)
    return fold
  }
  for (let round = 0; round < WARM_UPS; round += 1) foldAll()
  const startMs = systemClock.monotonicMs()
  const cpuStart = process.cpuUsage()
  const fold = foldAll()
  const cpu = process.cpuUsage(cpuStart)
  if (fold.status.counters.applied !== events)
    throw new Error(`${fold.status.counters.applied} of ${events} events were applied`)
  return perEvent(name, events, {
    wallMs: systemClock.monotonicMs() - startMs,
    cpuMs: (cpu.user + cpu.system) / 1_000,
  })
}

export function createBenchFold(): PartitionFold {
  return createPartitionFold({
    origin: { view: 'bench', topicEpoch: 1, partition: 0, generation: 1 },
    limits: DEFAULT_FOLD_LIMITS,
    cuts: DEFAULT_CUT_IDS.map(parseCut),
    rowRetentionMs: 86_400_000,
  })
}

/** Rows are part of the work: what changed is taken and acknowledged. */
export function takeAll(fold: PartitionFold): void {
  for (const queue of ['narrow', 'wide', 'sessionUrgent', 'session'] as const)
    fold.acknowledge(fold.takeDirty(queue, Number.MAX_SAFE_INTEGER))
}
