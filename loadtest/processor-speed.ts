/**
 * The whole processor, its own process, from a real Kafka to a real Cassandra: a topic is filled
 * first, then read to its end, until every row is durable. What counts is the CPU time of the
 * processor from its birth on, all its threads together; brokers and Cassandra share the machine.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startCassandra } from '../scripts/services/cassandra.ts'
import { startKafka } from '../scripts/services/kafka.ts'
import { freePorts } from '../scripts/services/ports.ts'
import { kafkaSettings } from '../shared/kafka/testing/kafka-settings.ts'
import { openKafkaEventLog } from '../shared/log/kafka-event-log.ts'
import { topicSpecs } from '../shared/log/topics.ts'
import { systemClock } from '../shared/runtime/clock.ts'
import { usageOf } from './load/process-usage.ts'
import { fillTopic, type Filled } from './fill-topic.ts'
import { ProcessorProcess, type Report } from './processor-process.ts'

export interface SpeedOptions {
  readonly eventsPerFrame: number
  readonly events: number
  /** Of Node, for the processor. */
  readonly nodeOptions?: readonly string[]
  said(line: string): void
}

export interface SpeedMeasured extends Filled {
  readonly applied: number
  readonly cpuMs: number
  /** From the processor's start until every row was durable. */
  readonly wallMs: number
  readonly rows: number
  readonly openSessions: number
  readonly residentBytes: number
}

export const PARTITIONS = 12
/** Of the load that the topic was filled with. */
const EVENTS_PER_SECOND = 200_000
const RETENTION = { logRetentionMs: 86_400_000, logRetentionBytes: 2 ** 40 }
const MAIN = join(import.meta.dirname, '../processor/main.ts')
const POLL_MS = 200
const DEADLINE_MS = 900_000

export async function measureProcessorSpeed(options: SpeedOptions): Promise<SpeedMeasured> {
  const kafka = await startKafka({ profile: 'load' })
  try {
    const cassandra = await startCassandra({ profile: 'load', commitLogSync: 'periodic' })
    try {
      const filled = await fill(kafka.bootstrap, options)
      return await consume(filled, options, {
        KAFKA_BROKERS: kafka.bootstrap.join(','),
        CASSANDRA_CONTACT_POINTS: cassandra.contactPoint,
      })
    } finally {
      await cassandra.stop()
    }
  } finally {
    await kafka.stop()
  }
}

async function fill(brokers: readonly string[], options: SpeedOptions): Promise<Filled> {
  const { events, eventsPerFrame, said } = options
  const log = await openKafkaEventLog({ config: kafkaSettings({ brokers }), clock: systemClock })
  await log.ensureTopics(topicSpecs({ partitions: PARTITIONS, ...RETENTION }))
  const load = { partitions: PARTITIONS, eventsPerSecond: EVENTS_PER_SECOND }
  const filled = await fillTopic({ log, events, eventsPerFrame, ...load })
  await log.close()
  said(`${filled.events} events of ${filled.sessions} sessions in the topic`)
  return filled
}

async function consume(
  filled: Filled,
  { nodeOptions = [], said }: SpeedOptions,
  services: Readonly<Record<string, string>>,
): Promise<SpeedMeasured> {
  const folder = mkdtempSync(join(tmpdir(), 'backhaul-processor-speed-'))
  const [adminPort = 0] = await freePorts(1)
  const startMs = systemClock.monotonicMs()
  const processor = new ProcessorProcess({
    script: [...nodeOptions, MAIN],
    adminPort,
    environment: processorSettings({ folder, adminPort, services }),
  })
  try {
    const reports = await untilDurable(processor, filled.frames)
    const { cpuMs, residentBytes } = usageOf(processor.pid)
    const wallMs = systemClock.monotonicMs() - startMs
    const rows = await processor.metric('processor_rows_written_total')
    await processor.stop()
    if (processor.stderr !== '') said(`the processor said:\n${processor.stderr}`)
    const openSessions = sum(reports, ({ fold }) => fold?.openSessions ?? 0)
    const applied = sum(reports, ({ fold }) => fold?.counters.applied ?? 0)
    return { ...filled, applied, cpuMs, wallMs, rows, openSessions, residentBytes }
  } finally {
    processor.signal('SIGKILL')
    await processor.ended
    rmSync(folder, { recursive: true, force: true })
  }
}

export interface ProcessorPlace {
  readonly folder: string
  readonly adminPort: number
  /** Where brokers and store are. */
  readonly services: Readonly<Record<string, string>>
}

export function processorSettings(place: ProcessorPlace): Readonly<Record<string, string>> {
  return {
    BACKHAUL_DATA_DIR: place.folder,
    BACKHAUL_LOG_LEVEL: 'warn',
    BACKHAUL_SEAL_KEY: Buffer.alloc(32, 3).toString('base64'),
    BACKHAUL_PARTITIONS: `${PARTITIONS}`,
    KAFKA_REPLICATION_FACTOR: '1',
    KAFKA_MIN_INSYNC_REPLICAS: '1',
    CASSANDRA_REPLICATION_FACTOR: '1',
    PROCESSOR_ADMIN_PORT: `${place.adminPort}`,
    PROCESSOR_SPEED_STORE: 'cassandra',
    ...place.services,
  }
}

/** Resolves once the records are folded and all rows of them are in the store. */
export async function untilDurable(
  processor: ProcessorProcess,
  records: number,
): Promise<readonly Report[]> {
  const deadlineMs = systemClock.monotonicMs() + DEADLINE_MS
  for (;;) {
    const reports = await processor.reports()
    // Without a record to follow there are ticks, which are past the frames.
    const folded = sum(reports, ({ nextOffset = 0 }) => nextOffset)
    const isIdle = reports.every(({ queues }) =>
      queues.every(({ dirtyRows, writesInFlight }) => dirtyRows === 0 && writesInFlight === 0),
    )
    if (reports.length === PARTITIONS && folded >= records && isIdle) return reports
    if (systemClock.monotonicMs() > deadlineMs)
      throw new Error(`${folded} of ${records} records are folded:\n${processor.stderr}`)
    await systemClock.sleep(POLL_MS)
  }
}

function sum<Item>(items: readonly Item[], valueOf: (item: Item) => number): number {
  return items.reduce((total, item) => total + valueOf(item), 0)
}
