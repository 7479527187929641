import { describe, expect, it } from 'vitest'
import { CLAIM_ATTEMPTS_MAX, OLD_CHECKPOINTS_MAX } from './limits.ts'
import {
  checkpointName,
  claimOwnership,
  ownerObjectName,
  refuseNewerOwner,
  removeGenerations,
  verifyTopicIdentity,
} from './ownership.ts'
import { MemoryObjects } from './testing/test-doubles.ts'

const identity = { view: 'v', topicEpoch: 0, partition: 3 }
const lease = { isCurrent: true }
const bytes = (text: string) => new TextEncoder().encode(text)

describe('a claim on a partition', () => {
  it('counts owners and keeps the generation', async () => {
    const objects = new MemoryObjects()
    expect(await claimOwnership(objects, identity, { lease })).toMatchObject({
      ownerEpoch: 1,
      generation: 0,
    })
    expect(await claimOwnership(objects, identity, { lease, generationAbove: 0 })).toMatchObject({
      ownerEpoch: 2,
      generation: 1,
    })
    expect(await claimOwnership(objects, identity, { lease })).toMatchObject({
      ownerEpoch: 3,
      generation: 1,
    })
  })

  it('takes a generation above every one that was ever used', async () => {
    const objects = new MemoryObjects()
    expect(await claimOwnership(objects, identity, { lease, generationAbove: 6 })).toMatchObject({
      generation: 7,
    })
    expect(await claimOwnership(objects, identity, { lease, generationAbove: 2 })).toMatchObject({
      generation: 8,
    })
  })

  it('meets another claim by claiming again', async () => {
    const objects = new MemoryObjects()
    objects.beforeReplace = async () => {
      objects.beforeReplace = () => Promise.resolve()
      await claimOwnership(objects, identity, { lease })
    }
    expect(await claimOwnership(objects, identity, { lease })).toMatchObject({ ownerEpoch: 2 })
  })

  it('gives up after its bound of attempts, for a while', async () => {
    const objects = new MemoryObjects()
    let rivals = 0
    const interfere = async () => {
      objects.beforeReplace = () => Promise.resolve()
      rivals += 1
      await claimOwnership(objects, identity, { lease })
      objects.beforeReplace = interfere
    }
    objects.beforeReplace = interfere
    await expect(claimOwnership(objects, identity, { lease })).rejects.toMatchObject({
      code: 'PROCESSOR_OWNERSHIP_CONTENDED',
      spec: { retryable: true },
    })
    expect(rivals).toBe(CLAIM_ATTEMPTS_MAX)
  })

  it('that was long on its way is given up when the partition is another’s by then', async () => {
    const objects = new MemoryObjects()
    const slow = { isCurrent: true }
    const read = objects.read.bind(objects)
    objects.read = async (name) => {
      objects.read = read
      await claimOwnership(objects, identity, { lease, generationAbove: 0 })
      slow.isCurrent = false
      return read(name)
    }
    const claim = claimOwnership(objects, identity, { lease: slow, generationAbove: 0 })
    await expect(claim).rejects.toMatchObject({
      code: 'PROCESSOR_LEASE_LAPSED',
      spec: { retryable: true },
    })
    expect(await claimOwnership(objects, identity, { lease })).toMatchObject({ generation: 1 })
  })

  it('is refused when a later release owned the partition', async () => {
    const objects = new MemoryObjects()
    await objects.create(
      ownerObjectName(identity),
      bytes('{"checkpointFormat":99,"ownerEpoch":1,"generation":1}'),
    )
    await expect(claimOwnership(objects, identity, { lease })).rejects.toThrow(
      'PROCESSOR_CHECKPOINT_NEWER',
    )
    await expect(refuseNewerOwner(objects, identity)).rejects.toThrow('format 99')
  })
})

describe('a topic epoch', () => {
  it('belongs to the first topic it was used with', async () => {
    const objects = new MemoryObjects()
    await verifyTopicIdentity(objects, 0, 'first')
    await verifyTopicIdentity(objects, 0, 'first')
    await expect(verifyTopicIdentity(objects, 0, 'second')).rejects.toThrow(
      /PROCESSOR_TOPIC_RECREATED.*first.*PROCESSOR_TOPIC_EPOCH=0.*second/,
    )
    await verifyTopicIdentity(objects, 1, 'second')
  })

  it('is bound once when two start together', async () => {
    const objects = new MemoryObjects()
    const started = await Promise.allSettled([
      verifyTopicIdentity(objects, 0, 'first'),
      verifyTopicIdentity(objects, 0, 'second'),
    ])
    expect(started.map(({ status }) => status)).toEqual(['fulfilled', 'rejected'])
  })
})

describe('checkpoints of earlier generations', () => {
  it('are removed, those of later ones and of other partitions kept', async () => {
    const objects = new MemoryObjects()
    const kept = [
      `checkpoints/${checkpointName(identity, 10)}/5`,
      `checkpoints/${checkpointName({ ...identity, partition: 30 }, 1)}/5`,
    ]
    for (const name of kept) await objects.create(name, bytes('x'))
    for (const generation of [8, 9])
      await objects.create(`checkpoints/${checkpointName(identity, generation)}/5`, bytes('x'))
    await removeGenerations(objects, identity, 9)
    const left = await objects.list('checkpoints/')
    expect(left.map(({ name }) => name).sort()).toEqual(kept.sort())
  })

  it('are asked for up to a bound', async () => {
    const objects = new MemoryObjects()
    const limits: number[] = []
    const list = objects.list.bind(objects)
    objects.list = (prefix: string, options?: { limit: number }) => {
      limits.push(options?.limit ?? 0)
      return list(prefix)
    }
    await removeGenerations(objects, identity, 2)
    expect(limits).toEqual([OLD_CHECKPOINTS_MAX])
  })
})
