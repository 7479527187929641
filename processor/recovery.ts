/**
 * How a partition's task finds its state: claim the partition, load the newest valid checkpoint of
 * the current generation, verify that it is of this topic, view and partition and that the log
 * still holds what follows it. Without any checkpoint the partition is built from the earliest
 * record under the next generation, and an empty checkpoint is saved before the first record, so
 * that a crash soon after finds the same generation again.
 */
import type { CheckpointStore } from '../shared/objects/checkpoint-store.ts'
import type { ObjectStore } from '../shared/objects/object-store.ts'
import type { EventLog } from '../shared/log/event-log.ts'
import { TOPICS } from '../shared/log/topics.ts'
import type { FoldOptions, FoldRestore, PartitionFold } from '../shared/qoe/fold.ts'
import type { RowOrigin } from '../shared/speed/rows.ts'
import type { SpeedStore } from '../shared/speed/speed-store.ts'
import {
  decodeCheckpoint,
  encodeCheckpointHeader,
  type CheckpointHeader,
} from './checkpoint-header.ts'
import { CHECKPOINT_FORMAT } from './checkpoint-migrations.ts'
import type { ProcessorConfig } from './config.ts'
import { processorErrors } from './errors.ts'
import { refuseLostRange } from './fetcher.ts'
import type { Lease } from './group.ts'
import {
  checkpointName,
  claimOwnership,
  refuseOtherTopic,
  removeGenerations,
  type Ownership,
  type PartitionIdentity,
} from './ownership.ts'
import { describeFailure, retry, type RetryContext } from './retry.ts'
import type { ClassReach } from './row-writer.ts'
import type { ProcessorTelemetry } from './telemetry.ts'
import type { TurnQueue } from './turn.ts'

/** Makes folds; the real one is `shared/qoe/partition-fold.ts`. */
export interface FoldFactory {
  create(options: FoldOptions): PartitionFold
  restore(options: FoldOptions, bytes: Uint8Array): FoldRestore
}

export interface RecoveryParts {
  readonly identity: PartitionIdentity
  readonly lease: Pick<Lease, 'isCurrent'>
  readonly topicId: string
  readonly log: EventLog
  readonly speed: SpeedStore
  readonly objects: ObjectStore
  readonly checkpoints: CheckpointStore
  readonly telemetry: ProcessorTelemetry
  readonly folds: FoldFactory
  readonly foldOptions: Omit<FoldOptions, 'origin'>
  readonly config: Pick<ProcessorConfig, 'snapshotSliceEntriesMax'>
  readonly turns: TurnQueue
  retryContext(call: string): RetryContext
}

export interface Recovered {
  readonly origin: RowOrigin
  readonly ownerEpoch: number
  readonly fold: PartitionFold
  /** Offset of the first record to read. */
  readonly nextOffset: number
  /** End of the log now: up to here the task recovers, from here it follows. */
  readonly endOffset: number
  readonly reached: ClassReach
  readonly generationStartMs: number | undefined
  /** Outputs that came of records below it are the view's own to deliver. */
  readonly owedOffset: number
}

/** Throws `PROCESSOR_TOPIC_RECREATED` before it touches anything of the partition. */
export async function recover(parts: RecoveryParts): Promise<Recovered> {
  const { objects, identity, lease, retryContext, log, topicId } = parts
  await retry(retryContext('topic'), () => refuseOtherTopic(log, topicId))
  const owner = await retry(retryContext('objects'), () =>
    claimOwnership(objects, identity, { lease }),
  )
  const found = owner.generation === 0 ? undefined : await load(parts, owner)
  return found ?? build(parts, owner)
}

async function load(parts: RecoveryParts, owner: Ownership): Promise<Recovered | undefined> {
  const { identity, checkpoints, folds, foldOptions, retryContext, telemetry } = parts
  const name = checkpointName(identity, owner.generation)
  const loaded = await retry(retryContext('objects'), () => checkpoints.loadLatest(name))
  if (loaded === undefined) return undefined
  const { header, fold: bytes, migrations } = decodeCheckpoint(name, loaded.bytes)
  const origin: RowOrigin = { ...identity, generation: owner.generation }
  verifyHeader(name, header, { ...origin, topicId: parts.topicId })
  const endOffset = await verifyLog(parts, header.nextOffset)
  telemetry.recovered(identity.partition, {
    offset: header.nextOffset,
    generation: owner.generation,
    damaged: loaded.damaged,
    migrations,
  })
  return {
    origin,
    ownerEpoch: owner.ownerEpoch,
    fold: await restoreFold(parts, name, () => folds.restore({ ...foldOptions, origin }, bytes)),
    nextOffset: header.nextOffset,
    endOffset,
    reached: header.reached,
    generationStartMs: header.generationStartMs,
    owedOffset: header.owedOffset,
  }
}

function verifyLog(parts: RecoveryParts, nextOffset: number): Promise<number> {
  const { log, telemetry, identity, retryContext } = parts
  const { partition } = identity
  return retry(retryContext('offsets'), () =>
    refuseLostRange({ log, telemetry, partition, nextOffset }),
  )
}

/** In slices, between which the other partitions of the process have their turns. */
async function restoreFold(
  { config, turns }: RecoveryParts,
  name: string,
  begin: () => FoldRestore,
): Promise<PartitionFold> {
  const restore = orInvalid(name, begin)
  for (;;) {
    const fold = orInvalid(name, () => restore.next(config.snapshotSliceEntriesMax))
    if (fold !== undefined) return fold
    await turns.next()
  }
}

function orInvalid<Result>(name: string, work: () => Result): Result {
  try {
    return work()
  } catch (cause) {
    throw processorErrors.create('PROCESSOR_CHECKPOINT_INVALID', {
      expected: `${name} to hold a fold’s state`,
      received: describeFailure(cause, 'unknown').message,
      cause,
    })
  }
}

function verifyHeader(
  name: string,
  header: CheckpointHeader,
  expected: RowOrigin & { readonly topicId: string },
): void {
  if (header.topicId !== expected.topicId)
    throw processorErrors.create('PROCESSOR_TOPIC_RECREATED', {
      expected: `topic id ${header.topicId} of ${name}`,
      received: `topic id ${expected.topicId}`,
    })
  const fields = ['view', 'topicEpoch', 'partition', 'generation'] as const
  for (const field of fields)
    if (header[field] !== expected[field])
      throw processorErrors.create('PROCESSOR_CHECKPOINT_INVALID', {
        expected: `${name} to be of ${field} ${expected[field]}`,
        received: `${header[field]}`,
      })
}

async function build(parts: RecoveryParts, owner: Ownership): Promise<Recovered> {
  const { identity, lease, log, speed, objects, retryContext, telemetry } = parts
  // Rows outlive checkpoints: a generation that has rows is never used again, even when the owner
  // object was lost together with the checkpoints.
  const rows = await retry(retryContext('speed'), () => speed.readPartitions(identity.view))
  const used = rows
    .filter((row) => row.partition === identity.partition && row.topicEpoch === identity.topicEpoch)
    .map((row) => row.generation)
  const generationAbove = Math.max(owner.generation, ...used)
  const { generation, ownerEpoch } = await retry(retryContext('objects'), () =>
    claimOwnership(objects, identity, { lease, generationAbove }),
  )
  if (generationAbove > 0) telemetry.rebuilding(identity.partition, generation)
  const { start, end } = await retry(retryContext('offsets'), () =>
    log.offsets(TOPICS.events, identity.partition),
  )
  const origin: RowOrigin = { ...identity, generation }
  const nothing = { offset: start, watermarkMs: 0 }
  const recovered: Recovered = {
    origin,
    ownerEpoch,
    fold: parts.folds.create({ ...parts.foldOptions, origin }),
    nextOffset: start,
    endOffset: end,
    reached: { narrow: nothing, wide: nothing, session: nothing },
    // A log that is whole leaves no minute to label.
    generationStartMs: start === 0 ? 0 : undefined,
    owedOffset: 0,
  }
  await saveEmpty(parts, recovered)
  // What could not be loaded stays for a look at it; what that one had replaced goes.
  const replaced = owner.generation - 1
  await retry(retryContext('objects'), () => removeGenerations(objects, identity, replaced))
  return recovered
}

async function saveEmpty(parts: RecoveryParts, recovered: Recovered): Promise<void> {
  const { identity, lease, checkpoints, retryContext, telemetry } = parts
  const { fold, origin, nextOffset } = recovered
  const header = checkpointHeader(parts.topicId, recovered, {
    nextOffset,
    owedOffset: recovered.owedOffset,
    reached: recovered.reached,
    generationStartMs: recovered.generationStartMs,
  })
  const chunks = [encodeCheckpointHeader(header)]
  const snapshot = fold.beginSnapshot()
  for (let slice = snapshot.next(1); slice !== undefined; slice = snapshot.next(1))
    chunks.push(slice)
  const name = checkpointName(identity, origin.generation)
  await retry(retryContext('objects'), () => {
    // Another owner may have found nothing by now, and builds under a generation of its own.
    if (!lease.isCurrent) throw processorErrors.create('PROCESSOR_LEASE_LAPSED')
    return checkpoints.save({ name, offset: nextOffset, chunks })
  })
  telemetry.recovered(identity.partition, {
    offset: nextOffset,
    generation: origin.generation,
    damaged: [],
    migrations: [],
  })
}

/** The header of a checkpoint of `recovered`’s generation that is cut at `now`. */
export function checkpointHeader(
  topicId: string,
  recovered: { readonly origin: RowOrigin },
  now: Pick<CheckpointHeader, 'nextOffset' | 'owedOffset' | 'reached' | 'generationStartMs'>,
): CheckpointHeader {
  return { format: CHECKPOINT_FORMAT, topicId, ...recovered.origin, ...now }
}
