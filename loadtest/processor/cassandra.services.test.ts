/**
 * Rows 9 and 14 to 16 of the fault matrix at the processor on its own, on real Kafka and real Cassandra,
 * and the alerts that it raises there: a processor is put to sleep, answers of the store are lost, and
 * the store is killed or has no room, while sessions go on. The group's offset waits for rows that Cassandra has not acknowledged; a checkpoint
 * need not, because it holds them. Afterwards the rows are what an oracle says of the log, read back
 * by another client. A second view is built there beside the first, compared, switched to and served,
 * and the first is dropped.
 */
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest'
import { startCassandra, type Cassandra } from '../../scripts/services/cassandra.ts'
import { startKafka, type Kafka } from '../../scripts/services/kafka.ts'
import { freePorts } from '../../scripts/services/ports.ts'
import { decodeAlert } from '../../shared/alerts/alert.ts'
import { endMainProcesses, MainProcess } from '../../shared/http/testing/main-process.ts'
import { kafkaSettings } from '../../shared/kafka/testing/kafka-settings.ts'
import type { EventLog } from '../../shared/log/event-log.ts'
import { openKafkaEventLog } from '../../shared/log/kafka-event-log.ts'
import { TOPICS, topicSpecs } from '../../shared/log/topics.ts'
import { systemClock as clock } from '../../shared/runtime/clock.ts'
import { minuteRow } from '../../shared/speed/speed-store.contract.ts'
import { cassandraSettings } from '../../shared/speed/testing/cassandra-settings.ts'
import type { ProcessorProcess, Report } from '../processor-process.ts'
import { readTopic } from '../read-topic.ts'
import { expectReconciled } from './expect-reconciled.ts'
import { endOffsets, KafkaMachine, VIEW } from './kafka-machine.ts'
import { LiveSessions } from './live-sessions.ts'
import { StampWatch } from './stamp-watch.ts'

const SERVING = join(import.meta.dirname, '../../serving/main.ts')
const PARTITIONS = 2
/** Processes start, and a minute must end; a shared machine takes its time. */
const TIMEOUT_MS = 240_000
const PATIENT = { timeout: 90_000, interval: 100 }
/** A command is a process of its own. */
const COMMANDS = { timeout: 90_000, interval: 1_000 }
/** Records that come while the store is away: many times what is on its way at a time. */
const GROWTH = 100

/** Holds in every minute that has an event. */
const RULES = {
  rules: [
    {
      id: 'anything',
      title: 'There are events',
      metric: 'events',
      cut: 'total',
      condition: { kind: 'threshold', direction: 'above', value: 0 },
      minimumSamples: 1,
    },
  ],
}

/** What is looked at of what `view compare` says. */
interface ViewComparison {
  readonly verdict: 'equal' | 'different' | 'pending'
  readonly sessions: { readonly compared: number }
}

let kafka: Kafka
let cassandra: Cassandra
let log: EventLog
let machine: KafkaMachine
let sessions: LiveSessions
let processor: ProcessorProcess
let seed = 1

vi.setConfig({ testTimeout: TIMEOUT_MS })

beforeAll(async () => {
  ;[kafka, cassandra] = await Promise.all([startKafka(), startCassandra({ proxied: true })])
  log = await openKafkaEventLog({ config: kafkaSettings({ brokers: kafka.bootstrap }), clock })
  const retention = { logRetentionMs: 86_400_000, logRetentionBytes: 2 ** 30 }
  await log.ensureTopics(topicSpecs({ partitions: PARTITIONS, ...retention }))
})
afterAll(async () => {
  await log.close()
  await cassandra.stop()
  await kafka.stop()
})

beforeEach(async () => {
  const config = cassandraSettings({ contactPoints: [cassandra.directContactPoint] })
  machine = new KafkaMachine({
    brokers: kafka.bootstrap,
    partitions: PARTITIONS,
    cassandra: config,
    settings: {
      PROCESSOR_SPEED_STORE: 'cassandra',
      PROCESSOR_WRITE_STALL_MS: '1000',
      PROCESSOR_RETRY_DELAY_MAX_MS: '1000',
      PROCESSOR_STOP_GRACE_MS: '30000',
      CASSANDRA_CONTACT_POINTS: cassandra.contactPoint,
      CASSANDRA_KEYSPACE: config.keyspace,
      CASSANDRA_REPLICATION_FACTOR: '1',
      CASSANDRA_REQUEST_TIMEOUT_MS: '2000',
    },
  })
  // The tables, by a client that may take as long as a busy node does.
  const speed = await machine.openSpeed()
  await speed.close()
  writeFileSync(rulesPath(), JSON.stringify(RULES))
  sessions = new LiveSessions({ log, partitions: PARTITIONS, seed: seed++ })
  await startProcessor()
})
afterEach(async () => {
  cassandra.proxy.heal()
  await sessions.stop()
  await endMainProcesses()
  machine.remove()
})

const sum = (values: Iterable<number>) => [...values].reduce((total, value) => total + value, 0)

const rulesPath = () => join(machine.folder, 'rules.json')

/** Resolves when it has saved something of every partition. */
async function startProcessor(): Promise<void> {
  processor = await machine.start({ PROCESSOR_ALERTS_RULES_PATH: rulesPath() })
  await expect.poll(leastCheckpoint, PATIENT).toBeGreaterThan(20)
}

async function leastCheckpoint(): Promise<number> {
  const reports = await processor.reports()
  const saved = reports.map(({ checkpointOffset = 0 }) => checkpointOffset)
  return saved.length < PARTITIONS ? 0 : Math.min(...saved)
}

async function leastWatermark(): Promise<number> {
  const reports = await processor.reports()
  return Math.min(...reports.map(({ fold }) => fold?.watermarkMs ?? 0))
}

/** Up to where Cassandra has acknowledged every row of a partition. */
function acknowledgedOffset({ durable }: Report): number {
  const reached = Object.values(durable ?? {}).map(({ offset }) => offset)
  return Math.min(...reached)
}

/** No offset of the group is beyond the rows that were acknowledged; resolves to how far these are. */
async function expectNothingAhead(): Promise<number> {
  let total = 0
  for (let partition = 0; partition < PARTITIONS; partition += 1) {
    const committed = await log.committedOffset(machine.group, TOPICS.events, partition)
    const report = (await processor.reports()).find((each) => each.partition === partition)
    const acknowledged = report === undefined ? 0 : acknowledgedOffset(report)
    expect(committed).toBeLessThanOrEqual(acknowledged)
    total += acknowledged
  }
  return total
}

async function lagRecords(): Promise<number> {
  return sum((await processor.reports()).map((report) => report.lagRecords))
}

const recordsInLog = async () => sum((await endOffsets(kafka.bootstrap)).values())

/** The log grows, while nothing that is said to be done does. */
async function expectWritesStopped(): Promise<void> {
  const stalled = async () => (await processor.reports()).map((report) => report.pausedReason)
  await expect.poll(stalled, PATIENT).toEqual(Array(PARTITIONS).fill('store'))
  const acknowledged = await expectNothingAhead()
  const [before, lagBefore] = [await recordsInLog(), await lagRecords()]
  await expect.poll(recordsInLog, PATIENT).toBeGreaterThan(before + GROWTH)
  await expect.poll(lagRecords, PATIENT).toBeGreaterThan(lagBefore + GROWTH / 2)
  expect(await expectNothingAhead()).toBe(acknowledged)
  expect((await processor.ask('/healthz'))?.status).toBe(200)
}

/** Rows of another view take what room the files have that are there. */
async function fillDisk(): Promise<void> {
  const speed = await machine.openSpeed()
  const large = 'x'.repeat(20_000)
  const fill = async () => {
    for (let index = 0; index < 10_000; index += 1)
      await speed.putMinutes([minuteRow({ view: 'filler', key: JSON.stringify([index, large]) })])
    return 'never full'
  }
  expect(await fill().catch((error: unknown) => error)).toMatchObject({ code: 'SPEED_UNAVAILABLE' })
  await speed.close()
}

/** Nobody does anything but wait; the rows are then what the log says. */
async function expectRecovered(): Promise<void> {
  const before = await recordsInLog()
  const acknowledged = async () => sum((await processor.reports()).map(acknowledgedOffset))
  await expect.poll(acknowledged, PATIENT).toBeGreaterThanOrEqual(before)
  // Only minutes that are over are compared with the history.
  await expect.poll(leastWatermark, PATIENT).toBeGreaterThanOrEqual(sessions.firstMinuteEndsMs)
  await sessions.stop()
  await expect.poll(lagRecords, PATIENT).toBe(0)
  const counters = await machine.settle([processor])
  expect((await machine.violations(counters)).slice(0, 10)).toEqual([])
  await expectReconciled(machine)
}

/** What `playback.alerts` says, a line a message. */
async function alertLines(): Promise<string[]> {
  const lines: string[] = []
  await readTopic(kafka.bootstrap, TOPICS.alerts, ({ value }) => {
    const alert = value === null ? undefined : decodeAlert(value)
    lines.push(`${alert?.state} ${alert?.rule}`)
  })
  return lines
}

async function startServing() {
  const [port = 0] = await freePorts(1)
  const serving = new MainProcess({
    script: [SERVING],
    adminPort: port,
    environment: { ...machine.servingSettings, SERVING_PORT: `${port}` },
  })
  await expect.poll(async () => (await serving.ask('/readyz'))?.status, PATIENT).toBe(200)
  return {
    url: `http://127.0.0.1:${port}`,
    async stop() {
      serving.signal('SIGTERM')
      expect(await serving.ended).toBe(0)
    },
  }
}

test('row 14: writes whose answers are lost are repeated, and nothing is ahead of them', async () => {
  cassandra.proxy.inject('down', { blackHole: true })
  // Cassandra does what it is sent; nobody hears of it.
  await expectWritesStopped()
  await expect
    .poll(() => processor.metric('speed_cassandra_repeats_total'), PATIENT)
    .toBeGreaterThan(0)
  cassandra.proxy.heal()
  await expectRecovered()
})

test('row 15: while Cassandra is dead writes stop, lag grows, and all resumes alone', async () => {
  await cassandra.kill()
  await expectWritesStopped()
  await cassandra.start()
  await expectRecovered()
})

test('row 16: while Cassandra’s disk is full nothing half-written counts, and with room again all resumes alone', async () => {
  // No file may grow any more, so that the next segment of the commit log cannot be made.
  execFileSync('prlimit', ['--pid', `${cassandra.pid}`, '--fsize=4096'])
  await fillDisk()
  await expectWritesStopped()
  await cassandra.kill()
  await cassandra.start()
  await expectRecovered()
})

test('killed while no row can be written, it leaves the next one all that is missing', async () => {
  cassandra.proxy.refuse()
  await expectWritesStopped()
  processor.signal('SIGKILL')
  await processor.ended
  cassandra.proxy.heal()
  await startProcessor()
  await expectRecovered()
})

// Not on the rows in a folder: whoever is stopped in a commit there keeps all others from writing.
test('row 9: put to sleep past its session, it drops what it held, and the heir’s rows stand', async () => {
  const zombie = processor
  const watch = new StampWatch(await machine.openSpeed(), VIEW)
  zombie.signal('SIGSTOP')
  const heir = await machine.start()
  await heir.progresses()
  expect(await heir.reports()).toHaveLength(PARTITIONS)
  zombie.signal('SIGCONT')
  await expect.poll(() => zombie.metric('processor_fenced_total'), PATIENT).toBe(1)
  const shared = async () => {
    const reports = await Promise.all([zombie.reports(), heir.reports()])
    return reports.map((owned) => owned.filter(({ state }) => state === 'running').length)
  }
  await expect.poll(shared, PATIENT).toEqual([PARTITIONS / 2, PARTITIONS / 2])
  expect(await heir.metric('processor_fenced_total')).toBe(0)
  await zombie.progresses()
  await sessions.stop()
  const counters = await machine.settle([zombie, heir])
  expect((await machine.violations(counters)).slice(0, 10)).toEqual([])
  await expectReconciled(machine)
  await watch.stop()
  expect(watch.regressions).toEqual([])
  expect(watch.reads).toBeGreaterThan(5)
})

test('a minute that a rule holds in is told in playback.alerts', async () => {
  await expect.poll(alertLines, { ...PATIENT, interval: 1_000 }).toContain('raised anything')
})

test('a second view is built beside, found equal, switched to and served, and the first is dropped', async () => {
  const { viewCommands } = machine
  const name = 'candidate'
  const beside = await machine.start({ PROCESSOR_VIEW: name })
  const serving = await startServing()
  const servedView = async () =>
    (await fetch(`${serving.url}/v1/status`)).headers.get('backhaul-view')
  await expect.poll(servedView, PATIENT).toBe(VIEW)
  const compare = async () => {
    const args = ['view', 'compare', name, '--json']
    const { exitCode, stdout, stderr } = await viewCommands.backhaul(...args)
    const found = JSON.parse(stdout === '' ? '{}' : stdout) as Partial<ViewComparison>
    if (found.verdict === undefined || found.verdict === 'different')
      throw new Error(stdout + stderr)
    return { exitCode, hasSessions: (found.sessions?.compared ?? 0) > 0 }
  }
  await expect.poll(compare, COMMANDS).toEqual({ exitCode: 0, hasSessions: true })
  const run = async (...args: readonly string[]) =>
    (await viewCommands.backhaul('view', ...args)).exitCode
  await expect.poll(() => run('switch', name), COMMANDS).toBe(0)
  const arePrimary = () =>
    Promise.all([processor, beside].map((each) => each.metric('processor_view_primary')))
  await expect.poll(arePrimary, PATIENT).toEqual([0, 1])
  await expect.poll(servedView, PATIENT).not.toBe(VIEW)
  const open = sessions.anyOpen
  await expect
    .poll(async () => (await fetch(`${serving.url}/v1/sessions/${open}`)).status, PATIENT)
    .toBe(200)
  await serving.stop()
  await processor.stop()
  expect(await run('drop', VIEW)).toBe(0)
  const speed = await machine.openSpeed()
  expect(await speed.readSessions(VIEW, { limit: 1 })).toEqual([])
  expect(await speed.readPartitions(VIEW)).toEqual([])
  await speed.close()
  await beside.progresses()
})

test('serving on its own answers of what the processor wrote, with timelines from the log', async () => {
  const serving = await startServing()
  const ask = async (path: string) => {
    const answer = await fetch(`${serving.url}${path}`)
    return answer.ok ? ((await answer.json()) as unknown) : answer.status
  }
  const open = sessions.anyOpen
  const timeline = expect.arrayContaining([
    expect.objectContaining({ type: 'heartbeat' }),
  ]) as unknown
  await expect
    .poll(() => ask(`/v1/sessions/${open}`), PATIENT)
    .toMatchObject({ sessionId: open, timeline })
  const nowMs = clock.nowMs()
  const range = `from=${nowMs - 10 * 60_000}&to=${nowMs + 60_000}`
  // The series of more events comes first.
  const series = ['a', 'b'].map((cdn) => expect.objectContaining({ key: { cdn } }) as unknown)
  await expect
    .poll(() => ask(`/v1/qoe?by=cdn&step=1m&${range}`), PATIENT)
    .toMatchObject({ series: expect.arrayContaining(series) as unknown })
  await serving.stop()
})
