/**
 * One member of a Kafka consumer group (the classic protocol). It takes part in the sharing of
 * partitions only; records are read by explicit offsets elsewhere.
 *
 *   joining ──assigned──► stable ──rebalance (revoked), or put out (lost)──► revoking ──► joining
 *   every state ──leave, close, handler failed──► left
 *
 * A commit is checked here before it is sent: it needs the generation in force and a partition that
 * is owned, and the group must have been heard within the session timeout, so that a process which
 * slept through its end refuses by its own clock. What it owned is lost from the moment it hears
 * that the group went on without it.
 */
import type { JoinAnswer, MemberIdentity } from '../kafka/kafka-client.ts'
import {
  CALL_RETRY_MAX_MS,
  HEARTBEAT_MS,
  JOIN_ATTEMPTS_MAX,
  LEAVE_TIMEOUT_MS,
} from '../kafka/limits.ts'
import { ERROR, errorName, meansFenced, refusal } from '../kafka/protocol-errors.ts'
import type { Clock } from '../runtime/clock.ts'
import type { GroupHandler, GroupMember } from './event-log.ts'
import { decodeAssignment } from './kafka-assignment.ts'
import { GroupCalls, type GroupCluster } from './kafka-group-calls.ts'
import type { KafkaLogTelemetry } from './kafka-telemetry.ts'
import { logErrors } from './log-errors.ts'

export interface GroupMemberParts {
  readonly group: string
  readonly topic: string
  readonly handler: GroupHandler
  readonly cluster: GroupCluster
  readonly clock: Clock
  readonly telemetry: KafkaLogTelemetry
  readonly sessionTimeoutMs: number
  readonly rebalanceTimeoutMs: number
  /** Tells this member's connections from those of others in the process. */
  readonly number: number
}

type State = 'joining' | 'stable' | 'revoking' | 'left'

const NEXT: Readonly<Record<State, readonly State[]>> = {
  joining: ['stable', 'left'],
  stable: ['revoking', 'left'],
  revoking: ['joining', 'left'],
  left: [],
}

export class KafkaGroupMember implements GroupMember {
  readonly #parts: GroupMemberParts
  readonly #calls: GroupCalls
  readonly #leaving = new AbortController()
  #state: State = 'joining'
  #memberId = ''
  #generation = 0
  #owned: readonly number[] = []
  /** When the last call was sent that the group answered as a member's. */
  #heardMs = 0
  #staying: Promise<void> | undefined

  constructor(parts: GroupMemberParts) {
    this.#parts = parts
    this.#calls = new GroupCalls(parts)
  }

  get generation(): number {
    return this.#generation
  }

  get isCurrent(): boolean {
    const { clock, sessionTimeoutMs } = this.#parts
    return this.#memberId !== '' && clock.monotonicMs() - this.#heardMs < sessionTimeoutMs
  }

  /** Resolves after the first assignment; the member then stays in the group until it leaves. */
  async join(): Promise<void> {
    await this.#parts.cluster.retry(() => this.#takePart())
    this.#staying = this.#stay()
  }

  async commit(partition: number, nextOffset: number, generation: number): Promise<void> {
    const isOwned = generation === this.#generation && this.#owned.includes(partition)
    if (!isOwned || !this.isCurrent)
      throw logErrors.create('LOG_GROUP_FENCED', {
        expected: `generation ${this.#generation}, an owned partition and a group that was heard`,
        received: `generation ${generation}, partition ${partition}`,
      })
    const { errorCode } = await this.#calls.commit(this.#identity, partition, nextOffset)
    if (errorCode !== ERROR.none)
      throw refusal(errorCode, `group ${this.#parts.group}, partition ${partition}`)
  }

  async leave(): Promise<void> {
    this.#leaving.abort()
    await this.#calls.dropJoin()
    await this.#staying
    if (this.#state === 'stable') await this.#revoke()
    await this.#end()
  }

  /** Leaves without asking the handler to end its work: the process is stopping. */
  async close(): Promise<void> {
    this.#leaving.abort()
    await this.#calls.dropJoin()
    await this.#end()
  }

  get #identity(): MemberIdentity {
    const { group } = this.#parts
    return { group, memberId: this.#memberId, generation: this.#generation }
  }

  /** In the group until it is left: heartbeats, and part in every rebalance. */
  async #stay(): Promise<void> {
    const { clock, group, telemetry } = this.#parts
    const { signal } = this.#leaving
    while (!signal.aborted && this.#state !== 'left') {
      try {
        if (this.#state === 'joining') await this.#takePart()
        else await this.#heartbeat()
      } catch (error) {
        if (signal.aborted) return
        telemetry.memberFailed(group, error)
        await clock.sleep(CALL_RETRY_MAX_MS, signal)
      }
    }
  }

  async #heartbeat(): Promise<void> {
    const { clock, group, telemetry } = this.#parts
    await clock.sleep(HEARTBEAT_MS, this.#leaving.signal)
    if (this.#leaving.signal.aborted) return
    const errorCode = await this.#sayAlive()
    if (errorCode === ERROR.none) return
    if (!meansFenced(errorCode) && errorCode !== ERROR.rebalanceInProgress)
      throw refusal(errorCode, `group ${group}`)
    if (meansFenced(errorCode)) {
      telemetry.memberFenced(group, errorName(errorCode))
      await this.#lose()
    } else await this.#revoke()
    if (this.#state === 'revoking') this.#transition('joining')
  }

  /** What the group answers to a heartbeat. */
  async #sayAlive(): Promise<number> {
    const sentMs = this.#parts.clock.monotonicMs()
    const { errorCode } = await this.#calls.heartbeat(this.#identity)
    if (!meansFenced(errorCode)) this.#heardMs = sentMs
    return errorCode
  }

  /** What was owned is others' by now; the member joins anew as one that the group never saw. */
  async #lose(): Promise<void> {
    const lost = this.#owned
    this.#owned = []
    this.#memberId = ''
    this.#transition('revoking')
    try {
      if (lost.length > 0) await this.#parts.handler.lost(lost)
    } catch (error) {
      await this.#handlerFailed(error)
    }
  }

  /** The work on what was owned ends; meanwhile its commits still count, and heartbeats go on. */
  async #revoke(): Promise<void> {
    const revoked = this.#owned
    this.#transition('revoking')
    const ended = new AbortController()
    const alive = this.#keepAlive(ended.signal)
    try {
      if (revoked.length > 0) await this.#parts.handler.revoked(revoked)
    } catch (error) {
      await this.#handlerFailed(error)
    } finally {
      ended.abort()
      this.#owned = []
      await alive
    }
  }

  async #keepAlive(ended: AbortSignal): Promise<void> {
    while (this.#memberId !== '') {
      await this.#parts.clock.sleep(HEARTBEAT_MS, ended)
      if (ended.aborted) return
      // What it is told is found out by the join that follows.
      await this.#sayAlive().catch(() => undefined)
    }
  }

  async #takePart(): Promise<void> {
    const { handler, group, telemetry } = this.#parts
    const { generation, partitions } = await this.#joinAndSync()
    this.#generation = generation
    this.#owned = partitions
    this.#transition('stable')
    telemetry.assigned(group, partitions.length, generation)
    try {
      await handler.assigned(partitions, generation)
    } catch (error) {
      await this.#handlerFailed(error)
    }
  }

  async #joinAndSync(): Promise<{ generation: number; partitions: readonly number[] }> {
    const { group } = this.#parts
    let errorCode: number = ERROR.rebalanceInProgress
    for (let attempt = 0; attempt < JOIN_ATTEMPTS_MAX; attempt += 1) {
      if (this.#leaving.signal.aborted) throw logErrors.create('LOG_CLOSED')
      const joined = await this.#calls.join(this.#memberId)
      const joinedMs = this.#parts.clock.monotonicMs()
      const synced = await this.#syncIfJoined(joined)
      errorCode = synced.errorCode
      if (errorCode === ERROR.none) {
        this.#memberId = joined.memberId
        this.#heardMs = joinedMs
        return { generation: joined.generation, partitions: decodeAssignment(synced.assignment) }
      }
      // The group changed meanwhile: the next attempt meets it as it is by then.
      this.#memberId = meansFenced(errorCode) ? '' : joined.memberId
      if (!meansFenced(errorCode) && errorCode !== ERROR.rebalanceInProgress) break
    }
    throw refusal(errorCode, `group ${group}`)
  }

  async #syncIfJoined(joined: JoinAnswer): Promise<{ errorCode: number; assignment: Buffer }> {
    if (joined.errorCode !== ERROR.none)
      return { errorCode: joined.errorCode, assignment: Buffer.alloc(0) }
    return this.#calls.sync(joined)
  }

  /** A member whose handler fails is out of the group; its partitions go to the others. */
  async #handlerFailed(error: unknown): Promise<never> {
    this.#parts.telemetry.memberFailed(this.#parts.group, error)
    await this.#end()
    throw error
  }

  async #end(): Promise<void> {
    if (this.#state === 'left') return
    this.#transition('left')
    this.#owned = []
    if (this.#memberId === '') return
    // The group finds out by itself where it cannot be told in time.
    const told = this.#calls.leave(this.#memberId).catch(() => undefined)
    await Promise.race([told, this.#parts.clock.sleep(LEAVE_TIMEOUT_MS)])
  }

  #transition(to: State): void {
    if (!NEXT[this.#state].includes(to))
      throw new Error(`assertion failed: a group member does not go from ${this.#state} to ${to}`)
    this.#state = to
  }
}
