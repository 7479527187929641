/**
 * The broker's side of a consumer group, after Kafka's classic protocol: members join, the first of
 * them deals the partitions, all synchronise; who is not heard within the session timeout, or does
 * not join again within the rebalance timeout, is out, and the others go on under the next
 * generation.
 */
import type { JoinAnswer, JoinRequest, SyncRequest } from '../../shared/kafka/kafka-client.ts'
import { ERROR } from '../../shared/kafka/protocol-errors.ts'
import { decodeAssignment } from '../../shared/log/kafka-assignment.ts'
import type { Scheduler } from './scheduler.ts'

interface Member {
  readonly id: string
  readonly sessionTimeoutMs: number
  readonly rebalanceTimeoutMs: number
  metadata: Buffer
  heardMs: number
  assignment: Buffer
  answerJoin: ((answer: JoinAnswer) => void) | undefined
  answerSync: ((answer: SyncAnswer) => void) | undefined
}

interface SyncAnswer {
  readonly errorCode: number
  readonly assignment: Buffer
}

type State = 'preparing' | 'dealing' | 'stable'

const CHECK_MS = 500
const NOTHING = Buffer.alloc(0)

export class GroupCoordinator {
  readonly committed = new Map<number, number>()
  rebalances = 0
  /** Told of every commit that counts. */
  onCommit: (partition: number, offset: number) => void = () => undefined
  readonly #scheduler: Scheduler
  readonly #members = new Map<string, Member>()
  readonly #owners = new Map<number, string>()
  #state: State = 'stable'
  #generation = 0
  #leaderId = ''
  #memberIds = 0
  #cancelDeadline: () => void = () => undefined

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler
    this.#checkSessions()
  }

  /** The member that was given the partition last. */
  ownerOf(partition: number): string | undefined {
    return this.#owners.get(partition)
  }

  join(request: JoinRequest): Promise<JoinAnswer> {
    const { memberId } = request
    const nobody = { generation: -1, leaderId: '', members: [] }
    if (memberId === '') {
      this.#memberIds += 1
      const given = `member-${this.#memberIds}`
      return Promise.resolve({ ...nobody, errorCode: ERROR.memberIdRequired, memberId: given })
    }
    const isGiven = Number(memberId.slice('member-'.length)) <= this.#memberIds
    const known = this.#members.get(memberId)
    if (!isGiven) return Promise.resolve({ ...nobody, errorCode: ERROR.unknownMemberId, memberId })
    return new Promise((answerJoin) => {
      const member: Member = known ?? {
        id: memberId,
        ...request,
        heardMs: 0,
        assignment: NOTHING,
        answerJoin,
        answerSync: undefined,
      }
      Object.assign(member, { metadata: request.metadata, answerJoin })
      this.#members.set(memberId, member)
      this.#heard(member)
      if (this.#state !== 'preparing') this.#prepare()
      this.#completeIfAllJoined()
    })
  }

  sync({ memberId, generation, assignments }: SyncRequest): Promise<SyncAnswer> {
    const errorCode = this.#errorOf(memberId, generation)
    const member = this.#members.get(memberId)
    if (member === undefined || errorCode !== ERROR.none || this.#state === 'preparing')
      return Promise.resolve({
        errorCode: errorCode === ERROR.none ? ERROR.rebalanceInProgress : errorCode,
        assignment: NOTHING,
      })
    this.#heard(member)
    if (this.#state === 'stable')
      return Promise.resolve({ errorCode: ERROR.none, assignment: member.assignment })
    return new Promise((answerSync) => {
      member.answerSync = answerSync
      if (memberId === this.#leaderId) this.#deal(assignments)
    })
  }

  heartbeat(memberId: string, generation: number): { errorCode: number } {
    const errorCode = this.#errorOf(memberId, generation)
    const member = this.#members.get(memberId)
    if (member === undefined || errorCode !== ERROR.none) return { errorCode }
    this.#heard(member)
    return { errorCode: this.#state === 'preparing' ? ERROR.rebalanceInProgress : ERROR.none }
  }

  commit(
    memberId: string,
    generation: number,
    { partition, offset }: { readonly partition: number; readonly offset: number },
  ): { errorCode: number } {
    const errorCode = this.#errorOf(memberId, generation)
    if (errorCode !== ERROR.none) return { errorCode }
    if (this.#state === 'dealing') return { errorCode: ERROR.rebalanceInProgress }
    this.committed.set(partition, offset)
    this.onCommit(partition, offset)
    return { errorCode: ERROR.none }
  }

  leave(memberId: string): { errorCode: number } {
    this.#remove(memberId)
    return { errorCode: ERROR.none }
  }

  #errorOf(memberId: string, generation: number): number {
    if (!this.#members.has(memberId)) return ERROR.unknownMemberId
    return generation === this.#generation ? ERROR.none : ERROR.illegalGeneration
  }

  #heard(member: Member): void {
    member.heardMs = this.#scheduler.nowMs
  }

  #checkSessions(): void {
    const nowMs = this.#scheduler.nowMs
    for (const { id, heardMs, sessionTimeoutMs, answerJoin } of this.#members.values())
      if (answerJoin === undefined && nowMs - heardMs > sessionTimeoutMs) this.#remove(id)
    this.#scheduler.after(CHECK_MS, 'group checks its members', () => this.#checkSessions())
  }

  #remove(memberId: string): void {
    const member = this.#members.get(memberId)
    if (member === undefined) return
    this.#members.delete(memberId)
    member.answerSync?.({ errorCode: ERROR.unknownMemberId, assignment: NOTHING })
    if (this.#members.size === 0) {
      this.#cancelDeadline()
      this.#state = 'stable'
    } else if (this.#state === 'preparing') this.#completeIfAllJoined()
    else this.#prepare()
  }

  #prepare(): void {
    this.#state = 'preparing'
    for (const member of this.#members.values()) {
      member.answerSync?.({ errorCode: ERROR.rebalanceInProgress, assignment: NOTHING })
      member.answerSync = undefined
    }
    const timeouts = [...this.#members.values()].map((member) => member.rebalanceTimeoutMs)
    this.#cancelDeadline = this.#scheduler.after(Math.max(...timeouts), 'group waited', () =>
      this.#complete(),
    )
    this.#completeIfAllJoined()
  }

  #completeIfAllJoined(): void {
    const isJoined = [...this.#members.values()].every(({ answerJoin }) => answerJoin !== undefined)
    if (this.#state === 'preparing' && isJoined) this.#complete()
  }

  #complete(): void {
    this.#cancelDeadline()
    for (const { id, answerJoin } of this.#members.values())
      if (answerJoin === undefined) this.#members.delete(id)
    this.#generation += 1
    this.rebalances += 1
    this.#state = this.#members.size === 0 ? 'stable' : 'dealing'
    const all = [...this.#members.values()]
    this.#leaderId = all[0]?.id ?? ''
    const members = all.map(({ id, metadata }) => ({ memberId: id, metadata }))
    for (const member of all) {
      this.#heard(member)
      member.answerJoin?.({
        errorCode: ERROR.none,
        memberId: member.id,
        generation: this.#generation,
        leaderId: this.#leaderId,
        members: member.id === this.#leaderId ? members : [],
      })
      member.answerJoin = undefined
    }
  }

  #deal(assignments: SyncRequest['assignments']): void {
    this.#state = 'stable'
    for (const { memberId, assignment } of assignments) {
      const member = this.#members.get(memberId)
      if (member === undefined) continue
      member.assignment = assignment
      for (const partition of decodeAssignment(assignment)) this.#owners.set(partition, memberId)
      member.answerSync?.({ errorCode: ERROR.none, assignment })
      member.answerSync = undefined
    }
  }
}
