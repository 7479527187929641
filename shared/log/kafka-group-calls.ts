/** What a group member says to its coordinator, the broker that keeps the group. */
import type { KafkaCluster } from '../kafka/cluster.ts'
import type { Purpose } from '../kafka/connections.ts'
import type {
  BrokerAddress,
  BrokerConnection,
  JoinAnswer,
  MemberIdentity,
} from '../kafka/kafka-client.ts'
import { ERROR, meansStaleCoordinator, refusal } from '../kafka/protocol-errors.ts'
import {
  ASSIGNMENT_PROTOCOL,
  dealPartitions,
  decodeSubscription,
  encodeSubscription,
} from './kafka-assignment.ts'

/** What a member needs of the brokers. */
export interface GroupCluster extends Pick<
  KafkaCluster,
  'retry' | 'topic' | 'coordinator' | 'coordinatorNow' | 'forgetCoordinator' | 'markStale'
> {
  readonly connections: {
    get(address: BrokerAddress, purpose: Purpose): Promise<GroupConnection>
    drop(address: BrokerAddress, purpose: Purpose): Promise<void>
  }
}

export type GroupConnection = Pick<
  BrokerConnection,
  'joinGroup' | 'syncGroup' | 'heartbeat' | 'commitOffset' | 'leaveGroup'
>

export interface GroupCallsParts {
  readonly group: string
  readonly topic: string
  readonly cluster: GroupCluster
  readonly sessionTimeoutMs: number
  readonly rebalanceTimeoutMs: number
  /** Tells this member's connections from those of others in the process. */
  readonly number: number
}

export class GroupCalls {
  readonly #parts: GroupCallsParts

  constructor(parts: GroupCallsParts) {
    this.#parts = parts
  }

  /** Answered when all members have joined, so it has a connection of its own. */
  async join(memberId: string): Promise<JoinAnswer> {
    const { group, topic, sessionTimeoutMs, rebalanceTimeoutMs } = this.#parts
    const ask = (id: string) =>
      this.#ask(this.#joinPurpose, (connection) =>
        connection.joinGroup({
          group,
          memberId: id,
          protocol: ASSIGNMENT_PROTOCOL,
          metadata: encodeSubscription(topic),
          sessionTimeoutMs,
          rebalanceTimeoutMs,
        }),
      )
    const joined = await ask(memberId)
    // A new member is given its id first, so that one that dies here is not waited for.
    return joined.errorCode === ERROR.memberIdRequired ? ask(joined.memberId) : joined
  }

  /** The member's part of the assignment, which the leader of the group makes for all. */
  async sync(joined: JoinAnswer): Promise<{ errorCode: number; assignment: Buffer }> {
    const { group } = this.#parts
    const { memberId, generation, leaderId, members } = joined
    const assignments = leaderId === memberId ? await this.#deal(members) : []
    const protocol = ASSIGNMENT_PROTOCOL
    return this.#ask(this.#joinPurpose, (connection) =>
      connection.syncGroup({ group, memberId, generation, protocol, assignments }),
    )
  }

  heartbeat(member: MemberIdentity): Promise<{ errorCode: number }> {
    return this.#ask('control', (connection) => connection.heartbeat(member))
  }

  commit(
    member: MemberIdentity,
    partition: number,
    offset: number,
  ): Promise<{ errorCode: number }> {
    const { cluster, group, topic } = this.#parts
    return cluster
      .retry(() =>
        this.#ask('control', (connection) =>
          connection.commitOffset(member, { topic, partition, offset }),
        ),
      )
      .catch((error: unknown) => {
        cluster.forgetCoordinator(group)
        throw error
      })
  }

  leave(memberId: string): Promise<unknown> {
    return this.#ask('control', (connection) => connection.leaveGroup(this.#parts.group, memberId))
  }

  /** Ends a join that is waited for. */
  async dropJoin(): Promise<void> {
    const { cluster, group } = this.#parts
    const address = cluster.coordinatorNow(group)
    if (address !== undefined) await cluster.connections.drop(address, this.#joinPurpose)
  }

  get #joinPurpose(): Purpose {
    return `join ${this.#parts.number}`
  }

  async #deal(members: JoinAnswer['members']) {
    const { cluster } = this.#parts
    const counts = new Map<string, number>()
    for (const { metadata } of members) {
      const topic = decodeSubscription(metadata)
      if (topic !== undefined && !counts.has(topic))
        counts.set(topic, (await cluster.topic(topic)).leaders.length)
    }
    return dealPartitions(members, (topic) => counts.get(topic) ?? 0)
  }

  async #ask<Answer extends { readonly errorCode: number }>(
    purpose: Purpose,
    ask: (connection: GroupConnection) => Promise<Answer>,
  ): Promise<Answer> {
    const { cluster, group } = this.#parts
    try {
      const address = await cluster.coordinator(group)
      const answer = await ask(await cluster.connections.get(address, purpose))
      if (!meansStaleCoordinator(answer.errorCode)) return answer
      throw refusal(answer.errorCode, `group ${group}`)
    } catch (error) {
      cluster.forgetCoordinator(group)
      cluster.markStale()
      throw error
    }
  }
}
