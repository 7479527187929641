/**
 * The states of one partition's task, as data.
 *
 *   starting ──► recovering ──► running ──► stopping ──► stopped
 *      │            │  ▲          │  ▲          ▲
 *      │            ▼  │          ▼  │          │
 *      │           paused ◄──────paused ────────┤
 *      └──────────────┴────► failed ────────────┘
 *
 * starting: claims the partition and loads its checkpoint. recovering: replays up to the end the
 * log had then. running: follows the log. paused: reads nothing, for the reason in the status.
 * failed: stands still until it is assigned anew; other partitions go on.
 */
import { assert } from '../shared/runtime/errors.ts'

export const TASK_STATES = [
  'starting',
  'recovering',
  'running',
  'paused',
  'stopping',
  'stopped',
  'failed',
] as const
export type TaskState = (typeof TASK_STATES)[number]

export type PauseReason = 'rows' | 'store' | 'outputs' | 'lease'

const NEXT: Readonly<Record<TaskState, readonly TaskState[]>> = {
  starting: ['recovering', 'stopping', 'failed'],
  recovering: ['running', 'paused', 'stopping', 'failed'],
  running: ['paused', 'stopping', 'failed'],
  paused: ['recovering', 'running', 'stopping', 'failed'],
  failed: ['stopping'],
  stopping: ['stopped'],
  stopped: [],
}

/** Throws on a transition that the drawing above does not show. */
export function assertTransition(from: TaskState, to: TaskState): void {
  assert(NEXT[from].includes(to), `partition task goes from ${from} to ${to}`)
}

export interface PartitionTaskStatus {
  readonly partition: number
  readonly state: TaskState
  /** Offset of the next record to fold; absent before recovery. */
  readonly nextOffset: number | undefined
  /** End of the log as of the last read. */
  readonly endOffset: number | undefined
  readonly lagRecords: number
  readonly lagMs: number
  readonly watermarkMs: number | undefined
  readonly checkpointOffset: number | undefined
  readonly generation: number | undefined
  readonly pausedReason: PauseReason | undefined
  readonly failureCode: string | undefined
}
