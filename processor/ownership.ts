/**
 * Who owns a partition's rows. One small object per (view, topic epoch, partition) counts the
 * owners, so that a later one outranks an earlier, and holds the generation, which rises by one at
 * each rebuild without a checkpoint. It also names the checkpoint format last used, so that an
 * older program can refuse to start before it touches anything.
 */
import type { EventLog } from '../shared/log/event-log.ts'
import { TOPICS } from '../shared/log/topics.ts'
import type { ObjectStore } from '../shared/objects/object-store.ts'
import { BackhaulError } from '../shared/runtime/errors.ts'
import { CHECKPOINT_FORMAT } from './checkpoint-migrations.ts'
import { processorErrors } from './errors.ts'
import type { Lease } from './group.ts'
import { CLAIM_ATTEMPTS_MAX, OLD_CHECKPOINTS_MAX } from './limits.ts'

export interface PartitionIdentity {
  readonly view: string
  readonly topicEpoch: number
  readonly partition: number
}

export interface Ownership {
  /** Rises with every owner. */
  readonly ownerEpoch: number
  /** 0 before the first build. */
  readonly generation: number
}

interface OwnerRecord extends Ownership {
  readonly checkpointFormat: number
}

export function ownerObjectName({ view, topicEpoch, partition }: PartitionIdentity): string {
  return `processor/owners/${view}/e${topicEpoch}/p${partition}`
}

/** Name of the partition's checkpoints in the checkpoint store; each generation has its own. */
export function checkpointName(identity: PartitionIdentity, generation: number): string {
  const { view, topicEpoch, partition } = identity
  return `processor/${view}/e${topicEpoch}/p${partition}/g${generation}`
}

export interface Claim {
  /** Under which the partition is claimed. */
  readonly lease: Pick<Lease, 'isCurrent'>
  /** Begin a generation above this one; absent, the generation stays. */
  readonly generationAbove?: number
}

/**
 * Becomes the partition's newest owner. Throws `PROCESSOR_OWNERSHIP_CONTENDED` when others claim at
 * the same time, and `PROCESSOR_LEASE_LAPSED` when the partition may be another's by now: a claim
 * from before would outrank the present owner's, and a generation above its own would take its
 * checkpoints from whoever comes next.
 */
export async function claimOwnership(
  objects: ObjectStore,
  identity: PartitionIdentity,
  { lease, generationAbove }: Claim,
): Promise<Ownership> {
  const name = ownerObjectName(identity)
  for (let attempt = 0; attempt < CLAIM_ATTEMPTS_MAX; attempt += 1) {
    const stored = await objects.read(name)
    const last = stored === undefined ? undefined : decodeOwner(stored.bytes)
    const generation = last?.generation ?? 0
    const next: OwnerRecord = {
      checkpointFormat: CHECKPOINT_FORMAT,
      ownerEpoch: (last?.ownerEpoch ?? 0) + 1,
      generation:
        generationAbove === undefined ? generation : Math.max(generation, generationAbove) + 1,
    }
    const bytes = new TextEncoder().encode(JSON.stringify(next))
    // After the read, for whoever owns the partition by now may have claimed it before.
    if (!lease.isCurrent) throw processorErrors.create('PROCESSOR_LEASE_LAPSED')
    try {
      await objects.replace(name, bytes, stored?.info.generation ?? 0)
      return next
    } catch (error) {
      if (!isPreconditionFailed(error)) throw error
    }
  }
  throw processorErrors.create('PROCESSOR_OWNERSHIP_CONTENDED', {
    expected: `${name} to be claimed within ${CLAIM_ATTEMPTS_MAX} attempts`,
  })
}

/** Throws `PROCESSOR_CHECKPOINT_NEWER` when a later release owned the partition. */
export async function refuseNewerOwner(
  objects: ObjectStore,
  identity: PartitionIdentity,
): Promise<void> {
  const stored = await objects.read(ownerObjectName(identity))
  if (stored !== undefined) decodeOwner(stored.bytes)
}

function decodeOwner(bytes: Uint8Array): OwnerRecord {
  const owner = JSON.parse(new TextDecoder().decode(bytes)) as OwnerRecord
  if (owner.checkpointFormat > CHECKPOINT_FORMAT)
    throw processorErrors.create('PROCESSOR_CHECKPOINT_NEWER', {
      expected: `format ${CHECKPOINT_FORMAT} or lower`,
      received: `format ${owner.checkpointFormat}`,
    })
  return owner
}

function isPreconditionFailed(error: unknown): boolean {
  return error instanceof BackhaulError && error.code === 'OBJECT_PRECONDITION_FAILED'
}

/**
 * Deletes the checkpoints of `lastGeneration` and those before it. The rows of these generations
 * expire by themselves.
 */
export async function removeGenerations(
  objects: ObjectStore,
  identity: PartitionIdentity,
  lastGeneration: number,
): Promise<void> {
  for (let generation = lastGeneration; generation >= 1; generation -= 1) {
    const prefix = `checkpoints/${checkpointName(identity, generation)}/`
    const listed = await objects.list(prefix, { limit: OLD_CHECKPOINTS_MAX })
    if (listed.length === 0) return
    for (const { name } of listed) await objects.delete(name)
  }
}

/**
 * Binds a topic epoch to one topic. Throws `PROCESSOR_TOPIC_RECREATED` when the epoch belongs to
 * another topic id.
 */
export async function verifyTopicIdentity(
  objects: ObjectStore,
  topicEpoch: number,
  topicId: string,
): Promise<void> {
  const name = `processor/topics/e${topicEpoch}`
  let stored = await objects.read(name)
  if (stored === undefined) {
    try {
      await objects.create(name, new TextEncoder().encode(topicId))
      return
    } catch (error) {
      if (!isPreconditionFailed(error)) throw error
      stored = await objects.read(name)
    }
  }
  const known = stored === undefined ? 'none' : new TextDecoder().decode(stored.bytes)
  if (known !== topicId)
    throw topicRecreated(`topic id ${known} for PROCESSOR_TOPIC_EPOCH=${topicEpoch}`, topicId)
}

/** Throws `PROCESSOR_TOPIC_RECREATED` unless the events topic is still the one that is worked on. */
export async function refuseOtherTopic(log: EventLog, topicId: string): Promise<void> {
  const present = await log.describeTopic(TOPICS.events)
  if (present.topicId !== topicId)
    throw topicRecreated(`topic id ${topicId}, of which the state is`, present.topicId)
}

function topicRecreated(expected: string, present: string): BackhaulError {
  const received = `topic id ${present}`
  return processorErrors.create('PROCESSOR_TOPIC_RECREATED', { expected, received })
}
