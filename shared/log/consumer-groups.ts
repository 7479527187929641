/**
 * Consumer groups within one process. Partitions are dealt to the members in turn, in the order in
 * which they joined. Every join and leave is a rebalance: all members give up what they hold
 * (`revoked` is awaited, their commits still count), the generation rises, all are told what they
 * now own (`assigned` is awaited). Rebalances of a group follow one another.
 *
 * A member whose handler fails or takes longer than `REBALANCE_TIMEOUT_MS` is put out of the group:
 * its commits are fenced and its partitions go to the others.
 */
import type { Clock } from '../runtime/clock.ts'
import type { GroupHandler, GroupMember } from './event-log.ts'
import { REBALANCE_TIMEOUT_MS } from './lmdb-limits.ts'
import { logErrors } from './log-errors.ts'

/** Makes the group's next offset of a partition durable. */
export type StoreOffset = (partition: number, nextOffset: number) => Promise<void>

interface Member {
  readonly handler: GroupHandler
  owned: readonly number[]
  generation: number
  failure: unknown
}

export class ConsumerGroup {
  readonly #partitions: number
  readonly #storeOffset: StoreOffset
  readonly #clock: Clock
  readonly #members = new Set<Member>()
  #generation = 0
  #rebalancing: Promise<void> = Promise.resolve()

  constructor(partitions: number, storeOffset: StoreOffset, clock: Clock) {
    this.#partitions = partitions
    this.#storeOffset = storeOffset
    this.#clock = clock
  }

  /** Resolves after the new member's first `assigned`; rejects when that handler fails. */
  async join(handler: GroupHandler): Promise<GroupMember> {
    const member: Member = { handler, owned: [], generation: 0, failure: undefined }
    await this.#change(() => this.#members.add(member))
    if (!this.#members.has(member)) throw member.failure
    return {
      get generation() {
        return member.generation
      },
      // Members of one process are never out of hearing.
      isCurrent: true,
      commit: (partition, nextOffset, generation) => {
        const current = this.#members.has(member) && generation === this.#generation
        if (current && member.owned.includes(partition))
          return this.#storeOffset(partition, nextOffset)
        return Promise.reject(
          logErrors.create('LOG_GROUP_FENCED', {
            expected: `generation ${this.#generation} and an owned partition`,
            received: `generation ${generation}, partition ${partition}`,
          }),
        )
      },
      leave: () => this.#change(() => this.#members.delete(member)),
    }
  }

  #change(change: () => void): Promise<void> {
    const done = this.#rebalancing.then(() => this.#rebalance(change))
    this.#rebalancing = done
    return done
  }

  async #rebalance(change: () => void): Promise<void> {
    let apply: (() => void) | undefined = change
    for (;;) {
      await Promise.all([...this.#members].map((member) => this.#revoke(member)))
      apply?.()
      apply = undefined
      this.#generation += 1
      if (await this.#assign()) return
    }
  }

  async #revoke(member: Member): Promise<void> {
    if (member.owned.length > 0)
      await this.#call(member, () => member.handler.revoked(member.owned))
    member.owned = []
  }

  /** Whether all members took what they were given; those that did not are out. */
  async #assign(): Promise<boolean> {
    const members = [...this.#members]
    const generation = this.#generation
    for (const [index, member] of members.entries()) {
      member.owned = range(this.#partitions).filter((p) => p % members.length === index)
      member.generation = generation
    }
    await Promise.all(
      members.map((member) =>
        this.#call(member, () => member.handler.assigned(member.owned, generation)),
      ),
    )
    return this.#members.size === members.length
  }

  async #call(member: Member, handler: () => Promise<void>): Promise<void> {
    const cancel = new AbortController()
    const deadline = this.#clock.sleep(REBALANCE_TIMEOUT_MS, cancel.signal).then(() => {
      if (!cancel.signal.aborted)
        throw logErrors.create('LOG_GROUP_FENCED', {
          expected: `a handler that ends within ${REBALANCE_TIMEOUT_MS} ms`,
        })
    })
    try {
      await Promise.race([handler(), deadline])
    } catch (error) {
      member.failure = error
      this.#members.delete(member)
    } finally {
      cancel.abort()
    }
  }
}

function range(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index)
}
