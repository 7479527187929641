/** Rows 5 and 6 of the fault matrix through the whole gateway, on three real brokers. */
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest'
import { startKafka, type Kafka } from '../../scripts/services/kafka.ts'
import { usageOf } from '../load/process-usage.ts'
import {
  endFaultedGateways,
  FAULT_TIMEOUT_MS,
  FaultedGateway,
  PARTITIONS,
} from './faulted-gateway.ts'
import { until } from './until.ts'
import { Visitor } from './visitor.ts'

const REPLICATED = { KAFKA_REPLICATION_FACTOR: '3', KAFKA_MIN_INSYNC_REPLICAS: '2' }
const IN_FLIGHT_MAX_BYTES = 8 * 2 ** 20
/** What a process may take beyond what it had, whatever is down. */
const GROWTH_MAX_BYTES = 96 * 2 ** 20

vi.setConfig({ testTimeout: FAULT_TIMEOUT_MS })
let kafka: Kafka

beforeAll(async () => {
  kafka = await startKafka({
    brokers: 3,
    properties: { 'broker.session.timeout.ms': '4000', 'broker.heartbeat.interval.ms': '500' },
  })
})
afterEach(endFaultedGateways)
afterAll(() => kafka.stop())

test('row 5: a killed leader and a rolling restart repeat events at most', async () => {
  const faulted = await FaultedGateway.start(kafka, REPLICATED)
  await kafka.broker(1).kill()
  await faulted.progress(300)
  await faulted.expectBalance()
  await kafka.broker(1).start()
  for (const nodeId of [2, 3]) {
    await kafka.broker(nodeId).restart()
    await faulted.progress(300)
    await faulted.expectBalance()
  }
  await faulted.expectKept()
})

test('row 5: a leader that stands still is left alone once another leads', async () => {
  const faulted = await FaultedGateway.start(kafka, REPLICATED)
  kafka.broker(2).pause()
  // What it leads fails until another leads it; then all goes on while it still stands.
  await faulted.failures(1)
  await faulted.progress(1_000)
  await faulted.expectBalance()
  kafka.broker(2).continue()
  await faulted.progress(300)
  await faulted.expectKept()
})

test('row 6: below the least in-sync replicas and with all brokers down nothing is acknowledged, memory is bounded, and all resumes alone', async () => {
  const faulted = await FaultedGateway.start(kafka, {
    ...REPLICATED,
    GATEWAY_IN_FLIGHT_MAX_BYTES: `${IN_FLIGHT_MAX_BYTES}`,
    GATEWAY_LANE_MAX_BYTES: `${IN_FLIGHT_MAX_BYTES}`,
  })
  const { gateway, load } = faulted
  const visitor = await Visitor.open(gateway.port, 'visitor')
  const residentBytes = usageOf(gateway.pid).residentBytes
  await Promise.all([kafka.broker(2).kill(), kafka.broker(3).kill()])
  await faulted.failures(PARTITIONS)
  const { eventsAcknowledged } = load.metrics
  const { creditEdge } = visitor
  while (visitor.sent <= creditEdge) visitor.send()
  await faulted.failures(2 * PARTITIONS)
  await kafka.broker(1).kill()
  await faulted.failures(2 * PARTITIONS)
  await until('it is told slow', () => visitor.slowCount > 0)

  expect(load.metrics.eventsAcknowledged).toBe(eventsAcknowledged)
  expect(visitor).toMatchObject({ acked: 0, creditEdge, closeCode: undefined })
  await faulted.expectBalance()
  await faulted.readiness(503, 'GATEWAY_LOG_UNAVAILABLE')
  expect((await gateway.ask('/healthz'))?.status).toBe(200)
  const refused = await gateway.upgrade()
  expect(refused.status).toBe(503)
  expect(refused.text).toContain('GATEWAY_LOG_UNAVAILABLE')
  expect(await gateway.metric('gateway_in_flight_bytes')).toBeLessThanOrEqual(IN_FLIGHT_MAX_BYTES)
  expect(usageOf(gateway.pid).residentBytes - residentBytes).toBeLessThan(GROWTH_MAX_BYTES)

  await kafka.start()
  await faulted.progress(500)
  visitor.close()
  await faulted.readiness(200)
  await faulted.expectKept()
})
