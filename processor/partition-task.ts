/**
 * One partition from its claim to its end: recover, then run the record steps of `topology.ts` on
 * batch after batch while the timed steps go on beside them. States are in `task-state.ts`.
 */
import type { LeasedTask, Lease } from './group.ts'
import { pauseReason } from './backpressure.ts'
import { PAUSE_POLL_MS, TIMED_STEP_MS } from './limits.ts'
import { openLivePartition, type LivePartition, type TaskParts } from './live-partition.ts'
import { describePartition, type PartitionReport } from './partition-report.ts'
import { recover } from './recovery.ts'
import { describeFailure, type RetryContext } from './retry.ts'
import {
  assertTransition,
  type PartitionTaskStatus,
  type PauseReason,
  type TaskState,
} from './task-state.ts'
import { recordSteps, timedSteps, type Batch, type RecordStep, type TimedStep } from './topology.ts'

export class PartitionTask implements LeasedTask {
  readonly #parts: TaskParts
  readonly #lease: Lease
  /** Read no more, save what there is, end. */
  readonly #endReading = new AbortController()
  /** End at once. */
  readonly #abandoned = new AbortController()
  #state: TaskState = 'starting'
  #live: LivePartition | undefined
  /** Monotonic. */
  #openedMs = 0
  #pausedReason: PauseReason | undefined
  #failureCode: string | undefined
  #running: Promise<void> = Promise.resolve()

  constructor(parts: TaskParts, lease: Lease) {
    this.#parts = parts
    this.#lease = lease
  }

  start(): void {
    this.#parts.telemetry.stateChanged(this.#lease.partition, this.#state)
    this.#running = this.#run()
  }

  async stop(): Promise<void> {
    const { clock, config } = this.#parts
    this.#endReading.abort()
    const ended = new AbortController()
    await Promise.race([this.#running, clock.sleep(config.stopGraceMs, ended.signal)])
    ended.abort()
    this.abandon()
  }

  abandon(): void {
    this.#endReading.abort()
    this.#abandoned.abort()
    this.#becomeStopped()
  }

  status(): PartitionTaskStatus {
    const live = this.#live
    const nextOffset = live?.nextOffset()
    const endOffset = live?.fetcher.endOffset
    const lagRecords = (endOffset ?? 0) - (nextOffset ?? 0)
    const behind = lagRecords > 0 && live !== undefined
    return {
      partition: this.#lease.partition,
      state: this.#state,
      nextOffset,
      endOffset,
      lagRecords,
      lagMs: behind ? this.#lagMs(live) : 0,
      watermarkMs: live?.fold.status.watermarkMs,
      checkpointOffset: live?.checkpointer.savedOffset,
      generation: live?.generation,
      pausedReason: this.#pausedReason,
      failureCode: this.#failureCode,
    }
  }

  inspect(): PartitionReport {
    return describePartition(this.status(), this.#lease, this.#live)
  }

  inspectSession(sessionId: string): unknown {
    const held = this.#live?.fold.inspectSession(sessionId)
    const traceparent = this.#live?.traces?.of(sessionId)
    return typeof held !== 'object' || traceparent === undefined ? held : { ...held, traceparent }
  }

  async #run(): Promise<void> {
    let cancelTimer: () => void = () => undefined
    try {
      const live = await this.#open()
      if (this.#endReading.signal.aborted) return
      this.#become('recovering')
      cancelTimer = this.#everyTimedStep(timedSteps(live))
      await this.#consume(live)
      await this.#drain(live)
    } catch (error) {
      this.#fail(error)
    } finally {
      cancelTimer()
      // A failed task keeps its state for the status until it is stopped.
      if (this.#state !== 'failed') this.#becomeStopped()
    }
  }

  async #open(): Promise<LivePartition> {
    const parts = this.#parts
    const { partition } = this.#lease
    const retryContext = (call: string) => this.#retryContext(call)
    const recovered = await recover({
      ...parts,
      lease: this.#lease,
      identity: { view: parts.view, topicEpoch: parts.config.topicEpoch, partition },
      retryContext,
    })
    this.#live = openLivePartition(
      parts,
      {
        lease: this.#lease,
        signal: this.#abandoned.signal,
        endReading: this.#endReading.signal,
        retryContext,
        onFailure: (error) => this.#fail(error),
      },
      recovered,
    )
    this.#openedMs = parts.clock.monotonicMs()
    return this.#live
  }

  async #consume(live: LivePartition): Promise<void> {
    const steps = recordSteps(live)
    while (!this.#endReading.signal.aborted) {
      this.#show(live, this.#reasonToPause(live))
      if (this.#pausedReason === undefined) {
        await this.#runRecordSteps(steps)
        if (this.#abandoned.signal.aborted) return
      } else {
        await this.#parts.clock.sleep(PAUSE_POLL_MS, this.#endReading.signal)
        await live.fetcher.refreshEnd()
        live.checkpointer.beginIfDue()
      }
    }
  }

  async #runRecordSteps(steps: readonly RecordStep[]): Promise<void> {
    const { clock, telemetry } = this.#parts
    const batch: Batch = { records: [], poison: [] }
    for (const step of steps) {
      const startedMs = clock.monotonicMs()
      await step.run(batch)
      if (this.#abandoned.signal.aborted) return
      const last = batch.records.at(-1)
      if (last === undefined) continue
      telemetry.stepDone(step.name, {
        durationMs: clock.monotonicMs() - startedMs,
        ageMs: clock.nowMs() - last.loggedAtMs,
      })
    }
  }

  /** Ends in order: rows and outputs for half the grace period, then the checkpoint. */
  async #drain(live: LivePartition): Promise<void> {
    if (this.#abandoned.signal.aborted) return
    this.#become('stopping')
    const { clock, config } = this.#parts
    const waited = new AbortController()
    const rows = live.writer.flush().then(() => live.progress.flush(live.progressNow()))
    const flushed = Promise.all([rows, live.outputs.flush()]).catch((error) => this.#fail(error))
    await Promise.race([flushed, clock.sleep(config.stopGraceMs / 2, waited.signal)])
    waited.abort()
    await live.checkpointer.saveNow()
  }

  /** Runs the timed steps by the clock, each time when it is this partition's turn. */
  #everyTimedStep(steps: readonly TimedStep[]): () => void {
    const { clock, turns } = this.#parts
    let isWaiting = false
    return clock.every(TIMED_STEP_MS, () => {
      if (isWaiting) return
      isWaiting = true
      void turns.next().then(() => {
        isWaiting = false
        this.#runTimed(steps)
      })
    })
  }

  #runTimed(steps: readonly TimedStep[]): void {
    // A turn that was waited for may come after the end; what is stopped reports nothing.
    if (this.#abandoned.signal.aborted || this.#state === 'stopped') return
    try {
      for (const step of steps) step.run()
      this.#parts.telemetry.taskReported(this.status())
    } catch (error) {
      this.#fail(error)
    }
  }

  /** By the last record folded; before the first one as long as it has been behind at least. */
  #lagMs({ fold }: LivePartition): number {
    const { clock } = this.#parts
    const { lastLoggedAtMs } = fold.status
    return lastLoggedAtMs > 0
      ? Math.max(0, clock.nowMs() - lastLoggedAtMs)
      : clock.monotonicMs() - this.#openedMs
  }

  #reasonToPause(live: LivePartition): PauseReason | undefined {
    const load = {
      leaseCurrent: this.#lease.isCurrent,
      dirtyRows: live.writer.dirtyRows,
      outputsPending: live.fold.status.pendingOutputs,
      oldestWriteMs: live.writer.oldestWriteMs(),
    }
    return pauseReason(load, this.#parts.config, this.#pausedReason)
  }

  #show(live: LivePartition, reason: PauseReason | undefined): void {
    if (reason !== undefined && reason !== this.#pausedReason)
      this.#parts.telemetry.paused(this.#lease.partition, reason)
    this.#pausedReason = reason
    const following = live.nextOffset() >= live.recoverUntilOffset
    if (reason !== undefined) this.#become('paused')
    else this.#become(following ? 'running' : 'recovering')
  }

  #become(state: TaskState): void {
    if (state === this.#state) return
    assertTransition(this.#state, state)
    this.#state = state
    this.#parts.telemetry.stateChanged(this.#lease.partition, state)
  }

  /** Failures after the end was asked for are those of calls that were given up. */
  #fail(error: unknown): void {
    if (this.#abandoned.signal.aborted) return
    const failure = describeFailure(error, 'PROCESSOR_TASK_FAILED')
    this.#failureCode = failure.code
    this.#pausedReason = undefined
    this.#parts.telemetry.taskFailed(this.#lease.partition, { ...failure, cause: error })
    if (this.#state !== 'stopping' && this.#state !== 'stopped') this.#become('failed')
    this.#endReading.abort()
    this.#abandoned.abort()
  }

  #becomeStopped(): void {
    if (this.#state === 'stopped') return
    this.#become('stopping')
    this.#become('stopped')
  }

  #retryContext(call: string): RetryContext {
    const { clock, random, config, telemetry } = this.#parts
    const { partition } = this.#lease
    return {
      clock,
      random,
      limits: config,
      signal: this.#abandoned.signal,
      onRetry: (error, attempt) =>
        telemetry.retried(partition, call, { code: error.code, message: error.message, attempt }),
    }
  }
}
