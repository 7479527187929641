/** The parts that work on one partition once its state is recovered, wired by hand. */
import type { CheckpointStore } from '../shared/objects/checkpoint-store.ts'
import type { ObjectStore } from '../shared/objects/object-store.ts'
import type { EventLog } from '../shared/log/event-log.ts'
import type { Sealer } from '../shared/log/reject-record.ts'
import type { FoldOptions, PartitionFold } from '../shared/qoe/fold.ts'
import type { Clock } from '../shared/runtime/clock.ts'
import type { Failpoints } from '../shared/runtime/failpoints.ts'
import type { Random } from '../shared/runtime/random.ts'
import type { SpeedStore } from '../shared/speed/speed-store.ts'
import { CatchUp } from './catch-up.ts'
import { Checkpointer } from './checkpoint.ts'
import type { ProcessorConfig } from './config.ts'
import { Fetcher } from './fetcher.ts'
import type { Lease } from './group.ts'
import { OutputSender, type OutputPartitions } from './outputs.ts'
import { checkpointName } from './ownership.ts'
import { ProgressPublisher, type ProgressNow } from './progress.ts'
import { checkpointHeader, type FoldFactory, type Recovered } from './recovery.ts'
import type { RetryContext } from './retry.ts'
import { RowWriter } from './row-writer.ts'
import type { ProcessorTelemetry } from './telemetry.ts'
import { IdleTicker } from './ticks.ts'
import { Traces } from './traces.ts'
import { Turn, type TurnQueue } from './turn.ts'
import type { ViewRole } from './view-role.ts'

/** What all partitions of a processor share. */
export interface TaskParts {
  readonly config: ProcessorConfig
  readonly view: string
  readonly role: ViewRole
  readonly topicId: string
  readonly partitions: number
  readonly outputPartitions: OutputPartitions
  readonly log: EventLog
  readonly speed: SpeedStore
  readonly objects: ObjectStore
  readonly checkpoints: CheckpointStore
  readonly telemetry: ProcessorTelemetry
  readonly clock: Clock
  readonly turns: TurnQueue
  readonly random: Random
  readonly failpoints: Failpoints
  readonly sealer: Sealer
  readonly folds: FoldFactory
  readonly foldOptions: Omit<FoldOptions, 'origin'>
}

export interface LivePartition {
  readonly partition: number
  readonly fold: PartitionFold
  readonly turn: Turn
  readonly fetcher: Fetcher
  readonly ticker: IdleTicker
  readonly outputs: OutputSender
  readonly writer: RowWriter
  readonly catchUp: CatchUp
  readonly progress: ProgressPublisher
  readonly checkpointer: Checkpointer
  readonly failpoints: Failpoints
  /** Absent unless they are asked for. */
  readonly traces: Traces | undefined
  readonly telemetry: ProcessorTelemetry
  readonly generation: number
  readonly ownerEpoch: number
  /** Up to here the task recovers, from here it follows. */
  readonly recoverUntilOffset: number
  /** Offset of the next record to fold; a new fold does not know it before its first record. */
  nextOffset(): number
  /** Notes the append time of the first record of a generation. */
  noteFirstRecord(loggedAtMs: number): void
  progressNow(): ProgressNow
}

export interface LiveContext {
  readonly lease: Lease
  /** Aborts when the task ends at once. */
  readonly signal: AbortSignal
  /** Aborts when the task is to read no more. */
  readonly endReading: AbortSignal
  retryContext(call: string): RetryContext
  onFailure(error: unknown): void
}

export function openLivePartition(
  parts: TaskParts,
  context: LiveContext,
  recovered: Recovered,
): LivePartition {
  const { config, clock, log } = parts
  const { lease, endReading } = context
  const { fold, origin, nextOffset, endOffset } = recovered
  const { partition } = lease
  const role = parts.role.partition(partition)
  const traces = config.traceContext ? new Traces() : undefined
  const wiring = { ...parts, ...context, partition, fold, origin, role, traces }
  const nextToFold = () => Math.max(nextOffset, fold.status.nextOffset)
  let { generationStartMs } = recovered

  const owedOffset = recovered.owedOffset
  const fetcher = new Fetcher({ ...wiring, signal: endReading, nextOffset, endOffset })
  const catchUp = new CatchUp({
    clock,
    lastLoggedAtMs: () => fold.status.lastLoggedAtMs,
    isAtEnd: () => nextToFold() >= fetcher.endOffset,
  })
  const { reached } = recovered
  const writer = new RowWriter({ ...wiring, catchUp, reached, startOffset: nextOffset })
  const outputs = new OutputSender({
    ...wiring,
    outputsPerAppendMax: config.outputsPerAppendMax,
    owedOffset,
  })
  const { tickIdleMs, ticks: enabled, rowRetentionMs } = config
  return {
    ...wiring,
    generation: origin.generation,
    ownerEpoch: recovered.ownerEpoch,
    recoverUntilOffset: endOffset,
    turn: new Turn(parts.turns, clock, config),
    fetcher,
    catchUp,
    writer,
    ticker: new IdleTicker({ ...wiring, log, tickIdleMs, enabled }),
    outputs,
    progress: new ProgressPublisher({
      ...wiring,
      ownerEpoch: recovered.ownerEpoch,
      rowRetentionMs,
    }),
    checkpointer: new Checkpointer({
      ...wiring,
      name: checkpointName(origin, origin.generation),
      stagger: (partition % parts.partitions) / parts.partitions,
      savedOffset: nextOffset,
      header: () =>
        checkpointHeader(parts.topicId, recovered, {
          nextOffset: nextToFold(),
          owedOffset: outputs.owedOffset(nextToFold()),
          reached: writer.reached,
          generationStartMs,
        }),
      reached: () => writer.reached,
    }),
    nextOffset: nextToFold,
    noteFirstRecord: (loggedAtMs) => (generationStartMs ??= loggedAtMs),
    progressNow: () => ({ fold: fold.status, reached: writer.reached, generationStartMs }),
  }
}
