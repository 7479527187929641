/**
 * Saves one partition's state: a checkpoint is begun between two batches, so that it shows one
 * offset, and serialised in slices while records go on. The group's offset is committed after it,
 * never beyond what is durable in the store: for lag tools only, recovery does not read it.
 */
import type { CheckpointStore } from '../shared/objects/checkpoint-store.ts'
import type { FoldSnapshot, PartitionFold } from '../shared/qoe/fold.ts'
import type { Clock } from '../shared/runtime/clock.ts'
import type { Failpoints } from '../shared/runtime/failpoints.ts'
import { encodeCheckpointHeader, type CheckpointHeader } from './checkpoint-header.ts'
import type { ProcessorConfig } from './config.ts'
import type { Lease } from './group.ts'
import { describeFailure, isRetryable } from './retry.ts'
import type { ClassReach } from './row-writer.ts'
import type { ProcessorTelemetry } from './telemetry.ts'
import type { TurnQueue } from './turn.ts'

export interface CheckpointerParts {
  readonly name: string
  readonly fold: PartitionFold
  readonly lease: Lease
  readonly checkpoints: CheckpointStore
  readonly clock: Clock
  readonly turns: TurnQueue
  readonly config: ProcessorConfig
  readonly telemetry: ProcessorTelemetry
  readonly failpoints: Failpoints
  readonly signal: AbortSignal
  /** Share of the interval by which this partition's first checkpoint is put off, [0, 1). */
  readonly stagger: number
  /** Offset of the checkpoint that recovery used or wrote. */
  readonly savedOffset: number
  /** Header of a checkpoint cut now. */
  header(): CheckpointHeader
  reached(): ClassReach
  onFailure(error: unknown): void
}

export class Checkpointer {
  readonly #parts: CheckpointerParts
  #dueMs: number
  #savedOffset: number
  #saving: Promise<void> | undefined

  constructor(parts: CheckpointerParts) {
    this.#parts = parts
    this.#savedOffset = parts.savedOffset
    this.#dueMs =
      parts.clock.monotonicMs() + parts.config.checkpointIntervalMs * (1 + parts.stagger)
  }

  get savedOffset(): number {
    return this.#savedOffset
  }

  /** Record step: cuts a checkpoint here if one is due; it is saved in the background. */
  beginIfDue(): void {
    const { clock, config, onFailure } = this.#parts
    if (this.#saving !== undefined || clock.monotonicMs() < this.#dueMs) return
    this.#dueMs = clock.monotonicMs() + config.checkpointIntervalMs
    this.#saving = this.#saveAndCommit()
      .catch(onFailure)
      .finally(() => (this.#saving = undefined))
  }

  /** Saves the state of this moment after what is under way; nothing may be folded meanwhile. */
  async saveNow(): Promise<void> {
    await this.#saving
    await this.#saveAndCommit()
  }

  async #saveAndCommit(): Promise<void> {
    const { fold, lease, failpoints, telemetry, header, signal } = this.#parts
    if (!lease.isCurrent) {
      telemetry.oldGenerationRefused(lease.partition, lease.groupGeneration)
      return
    }
    const cut = header()
    if (cut.nextOffset > this.#savedOffset) {
      const saved = await this.#save(cut, fold.beginSnapshot())
      if (!saved) return
      await failpoints.hit('processor.afterCheckpoint')
    }
    if (signal.aborted) return
    const { narrow, wide, session } = this.#parts.reached()
    await lease.commit(Math.min(this.#savedOffset, narrow.offset, wide.offset, session.offset))
    await failpoints.hit('processor.afterOffsetCommit')
  }

  async #save(cut: CheckpointHeader, snapshot: FoldSnapshot): Promise<boolean> {
    const { checkpoints, clock, config, telemetry, lease, name } = this.#parts
    const startedMs = clock.monotonicMs()
    let bytes = 0
    const count = (chunk: Uint8Array) => {
      bytes += chunk.length
      return chunk
    }
    try {
      const chunks = this.#chunks(cut, snapshot, count)
      await checkpoints.save({ name, offset: cut.nextOffset, chunks })
    } catch (error) {
      if (!isRetryable(error)) throw error
      telemetry.checkpointFailed(lease.partition, describeFailure(error, 'PROCESSOR_TASK_FAILED'))
      this.#dueMs = Math.min(this.#dueMs, clock.monotonicMs() + config.retryDelayMaxMs)
      return false
    } finally {
      snapshot.abandon()
    }
    this.#savedOffset = cut.nextOffset
    const durationMs = clock.monotonicMs() - startedMs
    telemetry.checkpointSaved(lease.partition, { offset: cut.nextOffset, bytes, durationMs })
    return true
  }

  /** The checkpoint in slices; others get their turn between two. */
  async *#chunks(
    cut: CheckpointHeader,
    snapshot: FoldSnapshot,
    count: (chunk: Uint8Array) => Uint8Array,
  ): AsyncGenerator<Uint8Array> {
    const { config, signal, turns } = this.#parts
    yield count(encodeCheckpointHeader(cut))
    for (;;) {
      signal.throwIfAborted()
      const slice = snapshot.next(config.snapshotSliceEntriesMax)
      if (slice === undefined) return
      yield count(slice)
      await turns.next()
    }
  }
}
