/**
 * What happens to records, as two lists. The record steps run in order for every batch that is
 * read, empty ones included; the timed steps run in order every `TIMED_STEP_MS` and wait for
 * nothing. A checkpoint is cut between two batches, after the batch's poison is durable.
 */
import type { LogRecord } from '../shared/log/event-log.ts'
import { decodeRecord, type DecodedRecord } from '../shared/log/record.ts'
import type { LivePartition } from './live-partition.ts'
import type { PoisonFound } from './outputs.ts'

export interface Batch {
  records: readonly LogRecord[]
  decoded: DecodedRecord[]
  poison: PoisonFound[]
}

export interface RecordStep {
  readonly name: string
  run(batch: Batch): Promise<void> | void
}

export interface TimedStep {
  readonly name: string
  run(): void
}

export function recordSteps(live: LivePartition): readonly RecordStep[] {
  return [
    { name: 'fetch', run: (batch) => fetch(live, batch) },
    { name: 'decode', run: (batch) => decode(live, batch) },
    { name: 'fold', run: (batch) => fold(live, batch) },
    { name: 'keep poison', run: (batch) => live.outputs.keepPoison(batch.poison) },
    { name: 'tick when idle', run: (batch) => tick(live, batch) },
    { name: 'begin a due checkpoint', run: () => live.checkpointer.beginIfDue() },
  ]
}

export function timedSteps(live: LivePartition): readonly TimedStep[] {
  return [
    { name: 'write due rows', run: () => live.writer.pump() },
    { name: 'publish progress', run: () => live.progress.kick(live.progressNow()) },
    { name: 'send outputs', run: () => live.outputs.kick() },
    { name: 'report', run: () => live.telemetry.foldReported(live.partition, live.fold.status) },
  ]
}

async function fetch(live: LivePartition, batch: Batch): Promise<void> {
  batch.records = await live.fetcher.fetch(live.ticker.untilDueMs())
  if (batch.records.length > 0) await live.failpoints.hit('processor.afterFetch')
}

async function decode(live: LivePartition, batch: Batch): Promise<void> {
  for (const record of batch.records) {
    const decoded = decodeRecord(record)
    live.traces?.note(record)
    if (decoded.kind === 'poison') batch.poison.push({ record, reason: decoded.reason })
    batch.decoded.push(decoded)
    if (live.turn.spend()) await live.turn.next()
  }
}

async function fold(live: LivePartition, batch: Batch): Promise<void> {
  for (const record of batch.decoded) {
    live.noteFirstRecord(record.loggedAtMs)
    live.writer.noteRecord(record.loggedAtMs)
    live.fold.apply(record)
    if (live.turn.spend()) await live.turn.next()
  }
  live.catchUp.batchFolded()
  if (batch.records.length > 0) await live.failpoints.hit('processor.afterFold')
}

async function tick(live: LivePartition, batch: Batch): Promise<void> {
  if (batch.records.length > 0) live.ticker.recordsRead()
  else await live.ticker.tickIfIdle()
}
