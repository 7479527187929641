/** The event log's contract on a real broker, with both client libraries. */
import { afterAll, beforeAll, describe } from 'vitest'
import { startKafka, type Kafka } from '../../scripts/services/kafka.ts'
import { kafkaSettings } from '../kafka/testing/kafka-settings.ts'
import { systemClock } from '../runtime/clock.ts'
import { describeEventLog } from './event-log.contract.ts'
import { openKafkaEventLog } from './kafka-event-log.ts'

let kafka: Kafka

beforeAll(async () => {
  kafka = await startKafka()
})
afterAll(() => kafka.stop())

describe.each(['platformatic', 'kafkajs'] as const)('with %s', (client) => {
  describeEventLog(`the Kafka event log over ${client}`, async () => ({
    open: () =>
      openKafkaEventLog({
        config: kafkaSettings({ brokers: kafka.bootstrap, client }),
        clock: systemClock,
      }),
    dispose: async () => undefined,
  }))
})
