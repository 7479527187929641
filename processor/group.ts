/**
 * This processor's part in the consumer group: partitions come and go by it, and each is worked on
 * under a lease of the group generation that gave it.
 *
 * The lease is our own guard: work and commits of an old generation, or of a member that the group
 * has not been heard of for too long, are refused before they are sent. When the log says that
 * another owner took over while this one slept, by word or by refusing a commit, all state is
 * dropped and the group joined anew.
 */
import type { EventLog, GroupHandler, GroupMember } from '../shared/log/event-log.ts'
import type { Clock } from '../shared/runtime/clock.ts'
import { BackhaulError } from '../shared/runtime/errors.ts'
import { fullJitterMs, type RetryLimits } from '../shared/runtime/full-jitter.ts'
import type { Running } from '../shared/runtime/lifecycle.ts'
import type { Random } from '../shared/runtime/random.ts'
import { REASSIGN_DEADLINE_MS } from './limits.ts'
import { describeFailure, isRetryable } from './retry.ts'
import type { ProcessorTelemetry } from './telemetry.ts'

/** The right to work on a partition, for one generation of the group. */
export interface Lease {
  readonly partition: number
  readonly groupGeneration: number
  readonly isCurrent: boolean
  /** Commits the group's next offset; resolves without it when the lease is not current. */
  commit(nextOffset: number): Promise<void>
}

/** What the group asks of the work on one partition. */
export interface LeasedTask {
  start(): void
  /** Saves what it can within the grace period and ends. */
  stop(): Promise<void>
  /** Ends at once and leaves everything as it is. */
  abandon(): void
}

export interface PartitionGroupParts<Task extends LeasedTask> {
  readonly log: EventLog
  readonly group: string
  readonly topic: string
  readonly clock: Clock
  readonly random: Random
  readonly retryLimits: RetryLimits
  readonly telemetry: ProcessorTelemetry
  createTask(lease: Lease): Task
}

export class PartitionGroup<Task extends LeasedTask> implements Running {
  readonly #parts: PartitionGroupParts<Task>
  readonly #stopping = new AbortController()
  #membership: Membership<Task>
  #rejoining: Promise<void> | undefined

  constructor(parts: PartitionGroupParts<Task>) {
    this.#parts = parts
    this.#membership = this.#newMembership()
  }

  get tasks(): readonly Task[] {
    return this.#membership.tasks
  }

  /** Joins; rejects when the log refuses for good. */
  async start(): Promise<void> {
    await this.#join(this.#membership, (error) => !isRetryable(error))
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#rejoining
    await this.#membership.stop()
  }

  #newMembership(): Membership<Task> {
    const membership = new Membership(this.#parts, () => this.#fenced(membership))
    return membership
  }

  async #join(membership: Membership<Task>, isFinal: (error: unknown) => boolean): Promise<void> {
    const { clock, random, retryLimits, telemetry } = this.#parts
    for (let attempt = 0; !this.#stopping.signal.aborted; attempt += 1) {
      try {
        return await membership.join()
      } catch (error) {
        if (isFinal(error)) throw error
        telemetry.joinFailed(describeFailure(error, 'PROCESSOR_TASK_FAILED'))
        const delayMs = fullJitterMs(attempt, retryLimits, random)
        await clock.sleep(delayMs, this.#stopping.signal)
      }
    }
  }

  #fenced(fenced: Membership<Task>): void {
    if (fenced !== this.#membership || this.#stopping.signal.aborted) return
    this.#parts.telemetry.fenced(fenced.partitions)
    fenced.abandon()
    const next = this.#newMembership()
    this.#membership = next
    this.#rejoining = this.#rejoin(fenced, next)
  }

  async #rejoin(fenced: Membership<Task>, next: Membership<Task>): Promise<void> {
    await fenced.leave()
    await this.#join(next, () => false)
  }
}

interface Held<Task> {
  readonly task: Task
  generation: number
}

/** One membership of the group, from a join to a leave; never joined twice. */
class Membership<Task extends LeasedTask> implements GroupHandler {
  readonly #parts: PartitionGroupParts<Task>
  readonly #onFenced: () => void
  readonly #held = new Map<number, Held<Task>>()
  #member: GroupMember | undefined
  #generation = 0
  /** Leaving: what is held is given up, and nothing new is taken. */
  #leaving = false
  #ended = false
  #cancelDeadline: () => void = () => undefined

  constructor(parts: PartitionGroupParts<Task>, onFenced: () => void) {
    this.#parts = parts
    this.#onFenced = onFenced
  }

  get tasks(): readonly Task[] {
    return [...this.#held.values()].map(({ task }) => task)
  }

  get partitions(): readonly number[] {
    return [...this.#held.keys()]
  }

  async join(): Promise<void> {
    this.#member = await this.#parts.log.joinGroup(this.#parts.group, this.#parts.topic, this)
  }

  assigned(partitions: readonly number[], generation: number): Promise<void> {
    if (this.#ended) return Promise.resolve()
    this.#cancelDeadline()
    this.#generation = generation
    for (const partition of this.#held.keys())
      if (!partitions.includes(partition)) this.#abandon(partition)
    for (const partition of partitions) {
      const held = this.#held.get(partition)
      if (held !== undefined) held.generation = generation
      else if (!this.#leaving) this.#begin(partition)
    }
    return Promise.resolve()
  }

  async revoked(partitions: readonly number[]): Promise<void> {
    await Promise.all(
      partitions.map(async (partition) => {
        const held = this.#held.get(partition)
        await held?.task.stop()
        if (this.#held.get(partition) === held) this.#held.delete(partition)
      }),
    )
    if (this.#ended) return
    // A member that was put out of the group while it gave its partitions up is told nothing more.
    this.#cancelDeadline()
    this.#cancelDeadline = this.#parts.clock.after(REASSIGN_DEADLINE_MS, this.#onFenced)
  }

  lost(partitions: readonly number[]): Promise<void> {
    if (this.#ended) return Promise.resolve()
    this.#parts.telemetry.fenced(partitions)
    for (const partition of partitions) this.#abandon(partition)
    return Promise.resolve()
  }

  /** Ends all work at once; what is under way loses by stamp or is refused. */
  abandon(): void {
    this.#end()
    for (const { task } of this.#held.values()) task.abandon()
  }

  async stop(): Promise<void> {
    this.#leaving = true
    await this.revoked(this.partitions)
    this.#end()
    await this.leave()
  }

  async leave(): Promise<void> {
    try {
      await this.#member?.leave()
    } catch (error) {
      this.#parts.telemetry.leaveFailed(describeFailure(error, 'PROCESSOR_TASK_FAILED'))
    }
  }

  #abandon(partition: number): void {
    this.#held.get(partition)?.task.abandon()
    this.#held.delete(partition)
  }

  #end(): void {
    this.#ended = true
    this.#cancelDeadline()
  }

  #begin(partition: number): void {
    const isCurrent = (generation: number) =>
      !this.#ended &&
      this.#held.get(partition) === held &&
      generation === this.#generation &&
      this.#member?.isCurrent !== false
    const lease: Lease = {
      partition,
      get groupGeneration() {
        return held.generation
      },
      get isCurrent() {
        return isCurrent(held.generation)
      },
      commit: (nextOffset) => this.#commit(lease, nextOffset),
    }
    const held: Held<Task> = {
      task: this.#parts.createTask(lease),
      generation: this.#generation,
    }
    this.#held.set(partition, held)
    held.task.start()
  }

  async #commit(lease: Lease, nextOffset: number): Promise<void> {
    const { telemetry } = this.#parts
    const { partition, groupGeneration } = lease
    if (!lease.isCurrent) return telemetry.oldGenerationRefused(partition, groupGeneration)
    // Without the member, this is the task of an assignment whose join has not returned yet.
    if (this.#member === undefined) return
    const held = this.#held.get(partition)
    try {
      await this.#member.commit(partition, nextOffset, groupGeneration)
    } catch (error) {
      // A member that was told so already has given the partition up, and may hold it anew by now:
      // then the refusal is of what it held before.
      const isFenced = error instanceof BackhaulError && error.code === 'LOG_GROUP_FENCED'
      const now = this.#held.get(partition)
      const isHeldYet = now !== undefined && now === held && now.generation === groupGeneration
      if (isFenced && isHeldYet) this.#onFenced()
      else if (isFenced) telemetry.oldGenerationRefused(partition, groupGeneration)
      else if (!isRetryable(error)) throw error
      else telemetry.commitFailed(partition, describeFailure(error, 'PROCESSOR_TASK_FAILED'))
    }
  }
}
