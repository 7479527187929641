import { beforeEach, describe, expect, it } from 'vitest'
import { ManualClock } from '../runtime/clock.ts'
import { ConsumerGroup } from './consumer-groups.ts'
import type { GroupHandler, GroupMember } from './event-log.ts'
import { REBALANCE_TIMEOUT_MS } from './lmdb-limits.ts'

describe('a consumer group', () => {
  let clock: ManualClock
  let stored: [partition: number, nextOffset: number][]
  let group: ConsumerGroup

  beforeEach(() => {
    clock = new ManualClock()
    stored = []
    group = new ConsumerGroup(
      5,
      async (partition, nextOffset) => void stored.push([partition, nextOffset]),
      clock,
    )
  })

  it('deals the partitions in turn, in the order of joining', async () => {
    const handlers = [new Handler(), new Handler(), new Handler()]
    for (const handler of handlers) await group.join(handler)
    expect(handlers.map(({ owned }) => owned)).toEqual([[0, 3], [1, 4], [2]])
  })

  it('gives members beyond the partitions nothing, until others leave', async () => {
    const handlers = Array.from({ length: 6 }, () => new Handler())
    const members: GroupMember[] = []
    for (const handler of handlers) members.push(await group.join(handler))
    expect(handlers[5]?.owned).toEqual([])
    await members[0]?.leave()
    expect(handlers[5]?.owned).toEqual([4])
  })

  it('raises the generation at every join and leave, for all members alike', async () => {
    const one = await group.join(new Handler())
    const two = await group.join(new Handler())
    const generations = [two.generation]
    await two.leave()
    generations.push(one.generation)
    const three = await group.join(new Handler())
    generations.push(three.generation)
    expect(one.generation).toBe(three.generation)
    const [first = 0] = generations
    expect(generations).toEqual([first, first + 1, first + 2])
  })

  it('takes commits of the old generation until the work is given up, then of the new alone', async () => {
    const handler = new Handler()
    const one = await group.join(handler)
    const old = one.generation
    handler.onRevoked = () => one.commit(0, 10, old)
    await group.join(new Handler())
    expect(stored).toEqual([[0, 10]])
    await expect(one.commit(0, 11, old)).rejects.toMatchObject({ code: 'LOG_GROUP_FENCED' })
    await one.commit(0, 12, one.generation)
    expect(stored).toEqual([
      [0, 10],
      [0, 12],
    ])
  })

  it('refuses the commit of a partition that the member does not own', async () => {
    const one = await group.join(new Handler())
    await group.join(new Handler())
    const foreign = one.commit(1, 5, one.generation)
    await expect(foreign).rejects.toMatchObject({ code: 'LOG_GROUP_FENCED' })
  })

  it('puts a member out whose handler fails, and gives its partitions to the others', async () => {
    const staying = new Handler()
    const one = await group.join(staying)
    const broken = new Handler()
    broken.onAssigned = () => Promise.reject(new Error('cannot begin'))
    await expect(group.join(broken)).rejects.toThrow('cannot begin')
    expect(staying.owned).toEqual([0, 1, 2, 3, 4])
    await one.commit(4, 1, one.generation)
    expect(stored).toEqual([[4, 1]])
  })

  it('goes on without a member that does not give up its partitions in time', async () => {
    const stuck = new Handler()
    const one = await group.join(stuck)
    stuck.onRevoked = () => new Promise(() => undefined)
    const other = new Handler()
    const joining = group.join(other)
    await turn()
    await clock.advance(REBALANCE_TIMEOUT_MS - 1)
    await turn()
    expect(other.owned).toEqual([])
    await clock.advance(1)
    const two = await joining
    expect(other.owned).toEqual([0, 1, 2, 3, 4])
    for (const generation of [one.generation, two.generation])
      await expect(one.commit(0, 1, generation)).rejects.toMatchObject({ code: 'LOG_GROUP_FENCED' })
  })

  it('does members that join and leave at once one after another', async () => {
    const handlers = Array.from({ length: 4 }, () => new Handler())
    const members = await Promise.all(handlers.map((handler) => group.join(handler)))
    await Promise.all(members.slice(1).map((member) => member.leave()))
    expect(handlers.map(({ owned }) => owned)).toEqual([[0, 1, 2, 3, 4], [], [], []])
    expect(handlers.some(({ overlapped }) => overlapped)).toBe(false)
  })
})

class Handler implements GroupHandler {
  owned: readonly number[] = []
  overlapped = false
  onAssigned: () => Promise<void> = () => Promise.resolve()
  onRevoked: () => Promise<void> = () => Promise.resolve()

  async assigned(partitions: readonly number[]): Promise<void> {
    await this.onAssigned()
    this.overlapped ||= this.owned.length > 0
    this.owned = partitions
  }

  async revoked(): Promise<void> {
    await this.onRevoked()
    this.owned = []
  }

  lost(): Promise<void> {
    return this.revoked()
  }
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
