/** Rows 1 to 4 and 7 of the fault matrix through the whole gateway, on one real broker. */
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest'
import { startKafka, type Kafka } from '../../scripts/services/kafka.ts'
import { SmallDisk } from '../../scripts/services/small-disk.ts'
import { kafkaSettings } from '../../shared/kafka/testing/kafka-settings.ts'
import { openKafkaEventLog } from '../../shared/log/kafka-event-log.ts'
import { TOPICS } from '../../shared/log/topics.ts'
import { systemClock } from '../../shared/runtime/clock.ts'
import {
  endFaultedGateways,
  FAULT_TIMEOUT_MS,
  FaultedGateway,
  PARTITIONS,
} from './faulted-gateway.ts'
import { isKept, runKills } from './kill-run.ts'
import { until } from './until.ts'
import { Visitor } from './visitor.ts'

/** Room for what the broker keeps, and little more. */
const DISK_BYTES = 96 * 2 ** 20
/** Above what a broker reserves for an index, and far below a segment of the log. */
const FILE_MAX_BYTES = 12 * 2 ** 20

vi.setConfig({ testTimeout: FAULT_TIMEOUT_MS })
let kafka: Kafka
const disk = SmallDisk.mount(DISK_BYTES)

beforeAll(async () => {
  const folder = disk === undefined ? {} : { folder: disk.folder }
  kafka = await startKafka({ proxied: true, ...folder })
})
afterEach(async () => {
  kafka.proxy(1).heal()
  await endFaultedGateways()
})
afterAll(async () => {
  await kafka.stop()
  disk?.unmount()
})

test('row 1: killed at G1 to G3, the gateway has acknowledged nothing that is not in the log', async () => {
  const report = await runKills({
    kafka,
    partitions: PARTITIONS,
    steps: ['G1', 'G2', 'G3', 'G3', 'G2', 'G1'],
    seed: 1,
    framesPerSecond: 150,
  })
  expect(isKept(report), JSON.stringify(report)).toBe(true)
  // The real client came back after each.
  expect(report.connections).toBeGreaterThan(6 * 6)
})

test('row 2: killed at G4, events are twice in the log and none is lost', async () => {
  const report = await runKills({
    kafka,
    partitions: PARTITIONS,
    steps: ['G4', 'G5', 'G4', 'anywhere'],
    seed: 2,
    framesPerSecond: 150,
  })
  expect(isKept(report), JSON.stringify(report)).toBe(true)
  expect(report.repeatedEventsInKafka).toBeGreaterThan(0)
})

test('row 3: SIGTERM turns unready at once, sends clients away one by one, acknowledges what is in flight and exits 0', async () => {
  const faulted = await FaultedGateway.start(kafka, {
    GATEWAY_DRAIN_DELAY_MS: '3000',
    GATEWAY_DRAIN_SPREAD_MS: '1000',
    GATEWAY_UPGRADES_PER_SECOND_MAX: '20',
    GATEWAY_UPGRADES_BURST_MAX: '20',
  })
  const { gateway } = faulted
  const visitors = await Promise.all(
    Array.from({ length: 10 }, (_, index) => Visitor.open(gateway.port, `visitor-${index}`)),
  )
  gateway.signal('SIGTERM')
  await faulted.readiness(503, 'GATEWAY_DRAINING')
  expect(visitors.every(({ closeCode }) => closeCode === undefined)).toBe(true)
  expect((await gateway.ask('/healthz'))?.status).toBe(200)
  expect((await gateway.upgrade()).status).toBe(503)
  for (const visitor of visitors) visitor.send()
  expect(await gateway.ended, gateway.output).toBe(0)
  await until('all are closed', () => visitors.every(({ closeCode }) => closeCode === 1001))
  // Whoever sent while it drained was answered before the end.
  expect(visitors.map(({ acked }) => acked)).toEqual(visitors.map(({ sent }) => sent - 1))
  const delays = visitors.map(({ reconnectAfterMs }) => reconnectAfterMs)
  expect(new Set(delays).size).toBeGreaterThan(1)

  await gateway.start()
  const storm = await Promise.all(Array.from({ length: 40 }, () => gateway.upgrade()))
  expect(
    storm.filter(({ text }) => text.includes('GATEWAY_UPGRADES_LIMITED')).length,
  ).toBeGreaterThan(0)
  await faulted.progress(100)
  await faulted.expectKept()
})

test('row 4: what is acknowledged is in the log when answers to overlapping produces are lost', async () => {
  const faulted = await FaultedGateway.start(kafka)
  const proxy = kafka.proxy(1)
  for (const cutAfterBytes of [1, 40, 200]) {
    proxy.inject('down', { cutAfterBytes })
    await faulted.failures(1)
    await faulted.expectBalance()
    proxy.heal()
    await faulted.progress(200)
  }
  proxy.inject('down', { blackHole: true })
  await faulted.failures(PARTITIONS)
  await faulted.expectBalance()
  proxy.heal()
  await faulted.progress(200)
  // Requests arrived whose answers did not.
  expect((await faulted.expectKept()).repeated).toBeGreaterThan(0)
})

test('row 7: on a full disk nothing is acknowledged, and with room again all of it is there', async () => {
  const broker = kafka.broker(1)
  if (disk === undefined) {
    await broker.stop()
    await broker.start({ fileMaxBytes: FILE_MAX_BYTES })
  }
  const faulted = await FaultedGateway.start(kafka)
  if (disk === undefined) await writeUntilRefused()
  else disk.fill()
  // A broker that can no longer write its log ends itself.
  await broker.ended()
  await faulted.failures(1)
  const { eventsAcknowledged } = faulted.load.metrics
  await faulted.failures(PARTITIONS)
  expect(faulted.load.metrics.eventsAcknowledged).toBe(eventsAcknowledged)
  await faulted.expectBalance()
  await faulted.readiness(503, 'GATEWAY_LOG_UNAVAILABLE')
  disk?.free()
  await broker.start()
  await faulted.progress(200)
  await faulted.expectKept()
})

/** Fills one partition's file to the most that a file may have. */
async function writeUntilRefused(): Promise<void> {
  const config = kafkaSettings({ brokers: kafka.bootstrap, produceTimeoutMs: 2_000 })
  const log = await openKafkaEventLog({ config, clock: systemClock })
  const value = crypto.getRandomValues(new Uint8Array(60_000))
  const fill = async () => {
    for (;;) await log.append(TOPICS.rejects, 0, [{ key: undefined, value, headers: {} }])
  }
  await expect(fill()).rejects.toMatchObject({ code: 'LOG_UNAVAILABLE' })
  await log.close()
}
