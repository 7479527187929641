/**
 * Builds a processor from its ports, top to bottom, and joins the group. The topics must exist:
 * `playback.events` and the output topics.
 */
import { createCheckpointStore } from '../shared/objects/checkpoint-store.ts'
import type { ObjectStore } from '../shared/objects/object-store.ts'
import type { EventLog } from '../shared/log/event-log.ts'
import type { Sealer } from '../shared/log/reject-record.ts'
import { TOPICS } from '../shared/log/topics.ts'
import type { Cut } from '../shared/qoe/cuts.ts'
import { paneLifeOf } from '../shared/qoe/fold.ts'
import { beginRestore, createPartitionFold } from '../shared/qoe/partition-fold.ts'
import type { Clock } from '../shared/runtime/clock.ts'
import type { Failpoints } from '../shared/runtime/failpoints.ts'
import type { Running } from '../shared/runtime/lifecycle.ts'
import type { Random } from '../shared/runtime/random.ts'
import type { TelemetryBase } from '../shared/runtime/telemetry.ts'
import type { SpeedStore } from '../shared/speed/speed-store.ts'
import { describeView } from '../shared/views/view-registry.ts'
import { startAlerts } from './alerts/service.ts'
import { foldLimitsOf, type AlertSettings, type ProcessorConfig } from './config.ts'
import { processorErrors } from './errors.ts'
import { PartitionGroup } from './group.ts'
import { CHECKPOINTS_KEPT } from './limits.ts'
import type { TaskParts } from './live-partition.ts'
import type { OutputPartitions } from './outputs.ts'
import { refuseNewerOwner, verifyTopicIdentity } from './ownership.ts'
import type { PartitionReport } from './partition-report.ts'
import { PartitionTask } from './partition-task.ts'
import type { FoldFactory } from './recovery.ts'
import type { PartitionTaskStatus } from './task-state.ts'
import { createProcessorTelemetry } from './telemetry.ts'
import { TurnQueue } from './turn.ts'
import { ViewRole } from './view-role.ts'

export interface ProcessorOptions {
  readonly config: ProcessorConfig
  readonly log: EventLog
  readonly speed: SpeedStore
  readonly objects: ObjectStore
  readonly telemetry: TelemetryBase
  readonly clock: Clock
  readonly random: Random
  readonly failpoints: Failpoints
  /** Seals the bytes of unreadable records. */
  readonly sealer: Sealer
  readonly cuts: readonly Cut[]
  /** Partitions of `playback.events`. */
  readonly partitions: number
  /** Absent where no alert rules are evaluated; else the topic `playback.alerts` must exist too. */
  readonly alerts?: AlertSettings | undefined
}

export interface RunningProcessor extends Running {
  /** The view that the rows belong to: a hash of fold version, cuts and value-changing limits. */
  readonly view: string
  /** Whether it is the active one, which alone puts anything out. */
  readonly isPrimary: boolean
  /** One entry for each partition owned now, ascending. */
  status(): PartitionTaskStatus[]
  /** For operators: the same partitions, with what each holds and waits for. */
  inspectPartitions(): PartitionReport[]
  /** Debug view of a session's state, or `undefined` when no owned partition holds it. */
  inspectSession(sessionId: string): unknown
}

const partitionFolds: FoldFactory = { create: createPartitionFold, restore: beginRestore }

/**
 * Throws `PROCESSOR_TOPIC_RECREATED`, `PROCESSOR_PARTITIONS_DIFFER`, `PROCESSOR_CHECKPOINT_NEWER` or
 * `VIEW_…` before any partition is touched. What a single partition meets later shows in its status.
 */
export async function startProcessor(options: ProcessorOptions): Promise<RunningProcessor> {
  const { config, log, objects, clock, random, cuts } = options
  const limits = foldLimitsOf(config)
  const description = describeView(cuts, limits, config.view)
  const { view } = description
  const telemetry = createProcessorTelemetry(options.telemetry)
  const { topicId } = await verifyTopic(options)
  await refuseNewerOwners(options, view)
  const role = await ViewRole.begin({ ...options, telemetry, description })

  const parts: TaskParts = {
    ...options,
    telemetry,
    view,
    role,
    topicId,
    turns: new TurnQueue(clock),
    outputPartitions: await outputPartitions(log),
    checkpoints: createCheckpointStore(objects, {
      keep: CHECKPOINTS_KEPT,
      allDamaged: (name, damaged) => telemetry.allCheckpointsDamaged(name, damaged),
    }),
    folds: partitionFolds,
    foldOptions: { limits, cuts, rowRetentionMs: config.rowRetentionMs },
  }
  const group = new PartitionGroup<PartitionTask>({
    log,
    clock,
    random,
    telemetry,
    // Another view has its own owners: two views beside each other share no partitions.
    group: `${config.group}.${view}`,
    topic: TOPICS.events,
    retryLimits: config,
    createTask: (lease) => new PartitionTask(parts, lease),
  })
  try {
    await group.start()
  } catch (error) {
    await role.stop()
    throw error
  }
  const alerts =
    options.alerts &&
    startAlerts({ ...options, ...options.alerts, view, role, paneLifeMs: paneLifeOf(limits) })
  return {
    view,
    get isPrimary() {
      return role.isPrimary
    },
    async stop() {
      // Side by side: a judgement that waits for a store that is away must not cost the checkpoints.
      await Promise.all([group.stop(), alerts?.stop()])
      await role.stop()
    },
    status: () => group.tasks.map((task) => task.status()).sort(byPartition),
    inspectPartitions: () => group.tasks.map((task) => task.inspect()).sort(byPartition),
    inspectSession: (sessionId) =>
      group.tasks.map((task) => task.inspectSession(sessionId)).find((held) => held !== undefined),
  }
}

function byPartition(a: PartitionTaskStatus, b: PartitionTaskStatus): number {
  return a.partition - b.partition
}

async function verifyTopic({ log, objects, config, partitions }: ProcessorOptions) {
  const described = await log.describeTopic(TOPICS.events)
  if (described.partitions !== partitions)
    throw processorErrors.create('PROCESSOR_PARTITIONS_DIFFER', {
      expected: `${partitions} partitions`,
      received: `${described.partitions}`,
    })
  await verifyTopicIdentity(objects, config.topicEpoch, described.topicId)
  return described
}

async function refuseNewerOwners(options: ProcessorOptions, view: string): Promise<void> {
  const { objects, partitions, config } = options
  for (let partition = 0; partition < partitions; partition += 1)
    await refuseNewerOwner(objects, { view, topicEpoch: config.topicEpoch, partition })
}

async function outputPartitions(log: EventLog): Promise<OutputPartitions> {
  const partitionsOf = async (topic: string) => (await log.describeTopic(topic)).partitions
  return {
    exceptions: await partitionsOf(TOPICS.exceptions),
    sessions: await partitionsOf(TOPICS.sessions),
    rejects: await partitionsOf(TOPICS.rejects),
  }
}
