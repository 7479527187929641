/**
 * Row 5 of the fault matrix at the processor: the leader of its partitions is killed and the others are
 * restarted in turn, while sessions go on and it saves, writes and commits. It resumes alone.
 */
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest'
import { startKafka, type Kafka } from '../../scripts/services/kafka.ts'
import { endMainProcesses } from '../../shared/http/testing/main-process.ts'
import { kafkaSettings } from '../../shared/kafka/testing/kafka-settings.ts'
import type { EventLog } from '../../shared/log/event-log.ts'
import { openKafkaEventLog } from '../../shared/log/kafka-event-log.ts'
import { topicSpecs } from '../../shared/log/topics.ts'
import { systemClock as clock } from '../../shared/runtime/clock.ts'
import type { ProcessorProcess } from '../processor-process.ts'
import { KafkaMachine, VIEW } from './kafka-machine.ts'
import { LiveSessions } from './live-sessions.ts'
import { StampWatch } from './stamp-watch.ts'

const PARTITIONS = 2
/** Four brokers' starts and the waits for a new leader, on a machine that is shared. */
const TIMEOUT_MS = 300_000
const PATIENT = { timeout: 120_000, interval: 200 }
/** Records of each partition that are saved after a fault, so that it is over for the processor. */
const GROWTH = 40

const REPLICATED = { KAFKA_REPLICATION_FACTOR: '3', KAFKA_MIN_INSYNC_REPLICAS: '2' }

let kafka: Kafka
let log: EventLog
let machine: KafkaMachine
let sessions: LiveSessions

vi.setConfig({ testTimeout: TIMEOUT_MS })

beforeAll(async () => {
  kafka = await startKafka({
    brokers: 3,
    properties: { 'broker.session.timeout.ms': '4000', 'broker.heartbeat.interval.ms': '500' },
  })
  const config = kafkaSettings({
    brokers: kafka.bootstrap,
    replicationFactor: 3,
    minInsyncReplicas: 2,
  })
  log = await openKafkaEventLog({ config, clock })
  const retention = { logRetentionMs: 86_400_000, logRetentionBytes: 2 ** 30 }
  await log.ensureTopics(topicSpecs({ partitions: PARTITIONS, ...retention }))
  machine = new KafkaMachine({
    brokers: kafka.bootstrap,
    partitions: PARTITIONS,
    settings: REPLICATED,
  })
  sessions = new LiveSessions({ log, partitions: PARTITIONS, seed: 1 })
})
afterEach(endMainProcesses)
afterAll(async () => {
  await log.close()
  await kafka.stop()
  machine.remove()
})

/** Up to where the processor has saved the partition that is behind the others. */
async function leastCheckpoint(processor: ProcessorProcess): Promise<number> {
  const reports = await processor.reports()
  const saved = reports.map(({ checkpointOffset = 0 }) => checkpointOffset)
  return saved.length < PARTITIONS ? 0 : Math.min(...saved)
}

/** What the sessions send is folded, written and saved again. */
async function goesOn(processor: ProcessorProcess): Promise<void> {
  const before = await leastCheckpoint(processor)
  await expect.poll(() => leastCheckpoint(processor), PATIENT).toBeGreaterThan(before + GROWTH)
}

test('row 5: over a killed leader and a rolling restart the processor resumes alone, and its rows are exact', async () => {
  const processor = await machine.start()
  await goesOn(processor)
  const watch = new StampWatch(await machine.openSpeed(), VIEW)
  await kafka.broker(1).kill()
  await goesOn(processor)
  await kafka.broker(1).start()
  for (const nodeId of [2, 3]) {
    await kafka.broker(nodeId).restart()
    await goesOn(processor)
  }
  await sessions.stop()
  const counters = await machine.settle([processor])
  await watch.stop()
  expect(watch.regressions).toEqual([])
  expect((await machine.violations(counters)).slice(0, 10)).toEqual([])
})
