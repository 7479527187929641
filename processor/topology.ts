/**
 * What happens to records, as two lists. The record steps run in order for every batch that is
 * read, empty ones included; the timed steps run in order every `TIMED_STEP_MS` and wait for
 * nothing. A checkpoint is cut between two batches, after the batch's poison is durable.
 */
import type { LogRecord } from '../shared/log/event-log.ts'
import { decodeRecord } from '../shared/log/record.ts'
import type { LivePartition } from './live-partition.ts'
import type { PoisonFound } from './outputs.ts'

export interface Batch {
  records: readonly LogRecord[]
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

/**
 * Record by record: what one decodes to is let go before the next. A whole batch of it, of every
 * partition, would outlive the collector's young generation and cost as much as folding it does.
 */
async function fold(live: LivePartition, batch: Batch): Promise<void> {
  for (const record of batch.records) {
    const decoded = decodeRecord(record)
    if (decoded.kind === 'poison') batch.poison.push({ record, reason: decoded.reason })
    live.traces?.note(record)
    live.noteFirstRecord(decoded.loggedAtMs)
    live.writer.noteRecord(decoded.loggedAtMs)
    live.fold.apply(decoded)
    if (live.turn.spend()) await live.turn.next()
  }
  live.catchUp.batchFolded()
  if (batch.records.length > 0) await live.failpoints.hit('processor.afterFold')
}

async function tick(live: LivePartition, batch: Batch): Promise<void> {
  if (batch.records.length > 0) live.ticker.recordsRead()
  else await live.ticker.tickIfIdle()
}
