/** A group member that the group went on without, because it was not heard of for too long. */
import { afterAll, beforeAll, expect, it } from 'vitest'
import { startKafka, type Kafka } from '../../scripts/services/kafka.ts'
import { kafkaSettings } from '../kafka/testing/kafka-settings.ts'
import { systemClock } from '../runtime/clock.ts'
import { topicSpec } from './event-log.contract.ts'
import { openKafkaEventLog } from './kafka-event-log.ts'

let kafka: Kafka

beforeAll(async () => {
  kafka = await startKafka({ proxied: true })
})
afterAll(() => kafka.stop())

/** A second member, past the proxy, that shows when the group has put the first one out. */
function openDirect() {
  return openKafkaEventLog({
    config: kafkaSettings({ brokers: kafka.directBootstrap }),
    clock: systemClock,
  })
}

it.each(['platformatic', 'kafkajs'] as const)(
  'a member that is cut off loses its partitions, cannot commit, and joins anew (%s)',
  async (client) => {
    const spec = topicSpec()
    const config = kafkaSettings({
      client,
      brokers: kafka.bootstrap,
      groupSessionTimeoutMs: 6_000,
      requestTimeoutMs: 1_000,
    })
    const log = await openKafkaEventLog({ config, clock: systemClock })
    await log.ensureTopics([spec])
    const told: string[] = []
    const member = await log.joinGroup(`cut-off-${client}`, spec.name, {
      assigned: async (partitions) => void told.push(`assigned ${partitions.join()}`),
      revoked: async (partitions) => void told.push(`revoked ${partitions.join()}`),
      lost: async (partitions) => void told.push(`lost ${partitions.join()}`),
    })
    const old = member.generation
    expect(told).toEqual(['assigned 0,1,2'])
    kafka.proxy(1).refuse()
    const other = await openDirect()
    const others: number[] = []
    const second = await other.joinGroup(`cut-off-${client}`, spec.name, {
      assigned: async (partitions) => void others.push(...partitions),
      revoked: async () => undefined,
      lost: async () => undefined,
    })
    expect(others).toEqual([0, 1, 2])
    kafka.proxy(1).heal()
    await expect(member.commit(0, 5, old)).rejects.toMatchObject({ code: 'LOG_GROUP_FENCED' })
    await second.leave()
    await other.close()
    await expect.poll(() => told.slice(0, 2)).toEqual(['assigned 0,1,2', 'lost 0,1,2'])
    await expect.poll(() => told.at(-1), { timeout: 60_000 }).toBe('assigned 0,1,2')
    await expect.poll(() => told.length, { timeout: 60_000 }).toBeGreaterThanOrEqual(3)
    expect(member.generation).toBeGreaterThan(old)
    await expect(member.commit(0, 5, old)).rejects.toMatchObject({ code: 'LOG_GROUP_FENCED' })
    await member.commit(0, 6, member.generation)
    expect(await log.committedOffset(`cut-off-${client}`, spec.name, 0)).toBe(6)
    await member.leave()
    await log.close()
  },
)
