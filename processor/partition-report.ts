/** What `/debug/partitions` says of one partition: who works on it, how far, and with what at hand. */
import type { FoldStatus } from '../shared/qoe/fold.ts'
import type { Lease } from './group.ts'
import type { LivePartition } from './live-partition.ts'
import type { ClassReach, QueueDepth } from './row-writer.ts'
import type { PartitionTaskStatus } from './task-state.ts'

export interface PartitionReport extends PartitionTaskStatus {
  readonly lease: { readonly groupGeneration: number; readonly isCurrent: boolean }
  /** Absent before the state is recovered. */
  readonly ownerEpoch: number | undefined
  readonly durable: ClassReach | undefined
  readonly fold: FoldStatus | undefined
  readonly queues: readonly QueueDepth[]
  readonly oldestWriteMs: number
}

export function describePartition(
  status: PartitionTaskStatus,
  lease: Lease,
  live: LivePartition | undefined,
): PartitionReport {
  const { groupGeneration, isCurrent } = lease
  return {
    ...status,
    lease: { groupGeneration, isCurrent },
    ownerEpoch: live?.ownerEpoch,
    durable: live?.writer.reached,
    fold: live?.fold.status,
    queues: live?.writer.depths ?? [],
    oldestWriteMs: live?.writer.oldestWriteMs() ?? 0,
  }
}
