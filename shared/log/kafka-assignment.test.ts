import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  dealPartitions,
  decodeAssignment,
  decodeSubscription,
  encodeAssignment,
  encodeSubscription,
} from './kafka-assignment.ts'

describe('the assignment of partitions', () => {
  it('gives every partition of a topic to exactly one of the members that want it', () => {
    const anyTopic = fc.constantFrom('a', 'b', 'c')
    const anyMembers = fc.uniqueArray(fc.record({ memberId: fc.uuid(), topic: anyTopic }), {
      selector: ({ memberId }) => memberId,
      minLength: 1,
      maxLength: 9,
    })
    fc.assert(
      fc.property(anyMembers, fc.integer({ min: 1, max: 40 }), (members, partitions) => {
        const dealt = dealPartitions(
          members.map(({ memberId, topic }) => ({ memberId, metadata: encodeSubscription(topic) })),
          () => partitions,
        )
        for (const topic of new Set(members.map((member) => member.topic))) {
          const own = members
            .filter((member) => member.topic === topic)
            .map(({ memberId }) => dealt.find((one) => one.memberId === memberId)?.assignment)
            .map((assignment) => decodeAssignment(assignment ?? Buffer.alloc(0)))
          const all = own.flat().toSorted((a, b) => a - b)
          expect(all).toEqual(Array.from({ length: partitions }, (_, index) => index))
          const sizes = own.map(({ length }) => length)
          expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1)
        }
      }),
    )
  })

  it('is carried in the bytes of Kafka’s own consumers', () => {
    expect(encodeSubscription('ab').toString('hex')).toBe(
      '0000' + '00000001' + '00026162' + 'ffffffff',
    )
    expect(encodeAssignment('ab', [3]).toString('hex')).toBe(
      '0000' + '00000001' + '00026162' + '00000001' + '00000003' + 'ffffffff',
    )
    expect(decodeSubscription(encodeSubscription('playback.events'))).toBe('playback.events')
    expect(decodeAssignment(encodeAssignment('t', [0, 7]))).toEqual([0, 7])
    expect(decodeAssignment(Buffer.alloc(0))).toEqual([])
  })
})
