/**
 * What serving is asked about when its cost is measured: half an hour of rows in Cassandra that go on
 * changing, an hour and a half of minutes in the tables of a batch, and serving as a process of its
 * own over both. What is in the tables is too old for the live side, as it is in a real day.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startCassandra } from '../../scripts/services/cassandra.ts'
import { startKafka } from '../../scripts/services/kafka.ts'
import { freePorts } from '../../scripts/services/ports.ts'
import { endMainProcessesWith, MainProcess } from '../../shared/http/testing/main-process.ts'
import { kafkaSettings } from '../../shared/kafka/testing/kafka-settings.ts'
import type { EventLog } from '../../shared/log/event-log.ts'
import { openKafkaEventLog } from '../../shared/log/kafka-event-log.ts'
import { topicSpecs } from '../../shared/log/topics.ts'
import { systemClock as clock } from '../../shared/runtime/clock.ts'
import type { StopStack } from '../../shared/runtime/lifecycle.ts'
import { until } from '../faults/until.ts'
import { fillTopic } from '../fill-topic.ts'
import { OperatorsCommands } from '../operators-commands.ts'
import { PARTITIONS, processorSettings, untilDurable } from '../processor-speed.ts'
import { ProcessorProcess } from '../processor-process.ts'

export interface StandOptions {
  /** Of the time that a full run fills, up to 1. */
  readonly share: number
  said(line: string): void
}

export interface Stand {
  /** Of serving. */
  readonly url: string
  readonly pid: number
  readonly history: HistoryRange
}

/** Whole minutes that the tables answer for, epoch ms. */
export interface HistoryRange {
  readonly fromMs: number
  readonly toMs: number
  /** Numbers of contents that were played within it, from the first up to the last. */
  readonly contents: { readonly first: number; readonly end: number }
}

const MINUTE_MS = 60_000
const SECOND_MS = 1_000
const EVENTS_PER_FRAME = 10
/** Of the load; sessions take them in turn. */
const CONTENTS = 2_000
/** Those of the first and of the last minute may have played outside the whole ones. */
const EDGE_SESSIONS = 10
const RETENTION = { logRetentionMs: 86_400_000, logRetentionBytes: 2 ** 40 }
/** The youngest minute of a batch is as old as a pane lives, some 90 minutes. */
const PAST = { eventsPerSecond: 50, minutes: 90, minutesMin: 10, endedAgoMs: 100 * MINUTE_MS }
const RECENT = { eventsPerSecond: 500, minutes: 30, minutesMin: 5 }
/** Minutes: a busy broker answers late, and a run goes on where it was. */
const RETRIED = ['--retry-for', '5']
const MAINS = join(import.meta.dirname, '..', '..')

/** Started and ready; `stack` stops it, whatever became of it. */
export async function startStand({ share, said }: StandOptions, stack: StopStack): Promise<Stand> {
  const kafka = await startKafka({ profile: 'load' })
  stack.add('kafka', () => kafka.stop())
  const cassandra = await startCassandra({ profile: 'load', commitLogSync: 'periodic' })
  stack.add('cassandra', () => cassandra.stop())
  const folder = mkdtempSync(join(tmpdir(), 'backhaul-serving-'))
  stack.add('folder', () => rmSync(folder, { recursive: true, force: true }))
  const services = {
    KAFKA_BROKERS: kafka.bootstrap.join(','),
    CASSANDRA_CONTACT_POINTS: cassandra.contactPoint,
  }
  const log = await openKafkaEventLog({
    config: kafkaSettings({ brokers: kafka.bootstrap }),
    clock,
  })
  stack.add('log', () => log.close())
  await log.ensureTopics(topicSpecs({ partitions: PARTITIONS, ...RETENTION }))
  endMainProcessesWith(stack)
  const filled = await fill(log, share)
  said(`${filled.events} events are in the topic`)
  const [adminPort = 0, port = 0] = await freePorts(2)
  const settings = processorSettings({ folder, adminPort, services })
  await fold(settings, adminPort, filled.frames)
  said('the rows are in Cassandra')
  await runBatch({ ...settings, EVENT_LOG: 'kafka' })
  said('the tables are there')
  const serving = await startServing(port, { ...services, BACKHAUL_DATA_DIR: folder })
  stack.add('flow', keepFlowing(log))
  return { url: `http://127.0.0.1:${port}`, pid: serving.pid, history: filled.history }
}

async function fill(log: EventLog, share: number) {
  const nowMs = clock.nowMs()
  const to = { log, partitions: PARTITIONS, eventsPerFrame: EVENTS_PER_FRAME }
  const minutesOf = (span: { readonly minutes: number; readonly minutesMin: number }) =>
    Math.max(span.minutesMin, Math.round(span.minutes * share))
  const eventsOf = (span: typeof RECENT) =>
    (minutesOf(span) * MINUTE_MS * span.eventsPerSecond) / SECOND_MS
  const past = await fillTopic({
    ...to,
    events: eventsOf(PAST),
    eventsPerSecond: PAST.eventsPerSecond,
    endedAgoMs: PAST.endedAgoMs,
  })
  const recent = await fillTopic({
    ...to,
    events: eventsOf(RECENT),
    eventsPerSecond: RECENT.eventsPerSecond,
  })
  const wholeMinute = (ms: number) => Math.floor(ms / MINUTE_MS) * MINUTE_MS
  const toMs = wholeMinute(nowMs - PAST.endedAgoMs)
  return {
    events: past.events + recent.events,
    frames: past.frames + recent.frames,
    history: {
      fromMs: toMs - (minutesOf(PAST) - 1) * MINUTE_MS,
      toMs,
      contents: { first: EDGE_SESSIONS, end: Math.min(past.sessions, CONTENTS) - EDGE_SESSIONS },
    },
  }
}

/** The processor stays, so that rows go on changing with the log. */
async function fold(
  environment: Readonly<Record<string, string>>,
  adminPort: number,
  frames: number,
): Promise<void> {
  const script = [join(MAINS, 'processor', 'main.ts')]
  const processor = new ProcessorProcess({ script, adminPort, environment })
  await untilDurable(processor, frames)
}

async function runBatch(settings: Readonly<Record<string, string>>): Promise<void> {
  const own = Object.entries(settings).filter(([name]) => !name.startsWith('PROCESSOR_ADMIN'))
  const commands = new OperatorsCommands(Object.fromEntries(own))
  const { exitCode, stdout, stderr } = await commands.backhaul('batch', 'run', '--all', ...RETRIED)
  if (exitCode !== 0) throw new Error(`the batch ended with ${exitCode}:\n${stderr}${stdout}`)
}

async function startServing(
  port: number,
  services: Readonly<Record<string, string>>,
): Promise<MainProcess> {
  const serving = new MainProcess({
    script: [join(MAINS, 'serving', 'main.ts')],
    adminPort: port,
    environment: {
      ...services,
      BACKHAUL_LOG_LEVEL: 'warn',
      BACKHAUL_PARTITIONS: `${PARTITIONS}`,
      SERVING_PORT: `${port}`,
      SERVING_SPEED_STORE: 'cassandra',
      SERVING_HISTORY: 'duckdb',
    },
  })
  const isReady = async () => (await serving.ask('/readyz'))?.status === 200
  await until('serving is ready', isReady, () => serving.stderr)
  return serving
}

/** Every second a second's events; stopped by what it returns. */
function keepFlowing(log: EventLog): () => Promise<void> {
  const stopping = new AbortController()
  const { eventsPerSecond } = RECENT
  const options = { log, partitions: PARTITIONS, eventsPerFrame: EVENTS_PER_FRAME, eventsPerSecond }
  const flow = async () => {
    while (!stopping.signal.aborted) {
      const second = clock.sleep(SECOND_MS, stopping.signal)
      await fillTopic({ ...options, events: eventsPerSecond })
      await second
    }
  }
  const flowing = flow()
  // Told when it is stopped; until then rows only stand still.
  flowing.catch(() => undefined)
  return () => {
    stopping.abort()
    return flowing
  }
}
