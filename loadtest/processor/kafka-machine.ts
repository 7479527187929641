/**
 * One machine for processors on a real Kafka: their data folder, the processes, and the verdict over
 * what they left behind. The log may hold what earlier machines left in it; the rows are new.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { processorConfig, foldLimitsOf } from '../../processor/config.ts'
import { freePorts } from '../../scripts/services/ports.ts'
import { decodeException } from '../../shared/log/exception-record.ts'
import type { LogRecord } from '../../shared/log/event-log.ts'
import { TOPICS } from '../../shared/log/topics.ts'
import { DEFAULT_CUT_IDS, parseCut } from '../../shared/qoe/cuts.ts'
import type { FoldCounters, FoldLimits } from '../../shared/qoe/fold.ts'
import { viewId } from '../../shared/qoe/view.ts'
import { systemClock as clock } from '../../shared/runtime/clock.ts'
import { readConfig } from '../../shared/runtime/config.ts'
import { systemRandom as random } from '../../shared/runtime/random.ts'
import type { CassandraConfig } from '../../shared/speed/cassandra-config.ts'
import { openCassandraSpeedStore } from '../../shared/speed/cassandra-speed-store.ts'
import { openLmdbSpeedStore } from '../../shared/speed/lmdb-speed-store.ts'
import type { FoldException, PartitionRow, SessionRow } from '../../shared/speed/rows.ts'
import type { SpeedStore } from '../../shared/speed/speed-store.ts'
import { checkRows, type Violation } from '../oracle/conservation.ts'
import type { OraclePartition } from '../oracle/oracle.ts'
import { ProcessorProcess, until, type Report } from '../processor-process.ts'
import { kafkaOf, readTopic } from '../read-topic.ts'
import { copyToEmbedded } from './embedded-copy.ts'
import { OperatorsCommands } from '../operators-commands.ts'
import { readView, type ViewRows } from '../read-view.ts'

/** Short durations, so that sessions close and minutes are restated while a test runs. */
const QUICK_FOLD = {
  PROCESSOR_SESSION_TIMEOUT_MS: '3000',
  PROCESSOR_ALLOWED_LATENESS_MS: '5000',
  PROCESSOR_REORDER_MS: '500',
  PROCESSOR_OUT_OF_ORDERNESS_MS: '200',
  PROCESSOR_SESSION_KEEP_MS: '4000',
}
const QUICK = {
  ...QUICK_FOLD,
  PROCESSOR_NARROW_FLUSH_MS: '250',
  PROCESSOR_WIDE_FLUSH_MS: '500',
  PROCESSOR_SESSION_ROW_INTERVAL_MS: '500',
  PROCESSOR_CHECKPOINT_INTERVAL_MS: '700',
  PROCESSOR_TICK_IDLE_MS: '400',
  KAFKA_GROUP_SESSION_TIMEOUT_MS: '6000',
}
const MAP_BYTES = 2 ** 28
const MAIN = join(import.meta.dirname, '../../processor/main.ts')
const RUN_TO_THE_KILL = join(import.meta.dirname, '../../processor/testing/run-to-the-kill/main.ts')
const SEAL_KEY = Buffer.alloc(32, 3).toString('base64')
/** Around now, within which everything that a test sends lies. */
const HOUR_MS = 3_600_000

export const CUTS = DEFAULT_CUT_IDS.map(parseCut)
export const VIEW = viewId(CUTS, limitsOf(QUICK_FOLD))

/** What the folds counted, by partition. */
export type PartitionCounters = ReadonlyMap<number, FoldCounters>

export interface KafkaMachineOptions {
  readonly brokers: readonly string[]
  readonly partitions: number
  /** Where rows go instead of the data folder, and how the verdict reads them. */
  readonly cassandra?: CassandraConfig
  /** For every processor, beside those of the machine. */
  readonly settings?: Readonly<Record<string, string>>
  /** Settings of the fold that change values, in place of the quick ones. */
  readonly fold?: Readonly<Record<string, string>>
  /** Largest size of the log's copy that the operators' commands work on. */
  readonly copyMapBytes?: number
}

export class KafkaMachine {
  readonly folder = mkdtempSync(join(tmpdir(), 'backhaul-processor-kafka-'))
  /** Of the view that its processors keep. */
  readonly view: string
  readonly #options: Required<Omit<KafkaMachineOptions, 'cassandra' | 'partitions'>> &
    Pick<KafkaMachineOptions, 'cassandra'>
  readonly #group = `test-${crypto.randomUUID()}`
  /** Of its processors and commands. */
  readonly limits: FoldLimits
  readonly #startedAtMs = clock.nowMs()
  #partitions: number

  constructor({ partitions, ...options }: KafkaMachineOptions) {
    this.#options = { settings: {}, fold: QUICK_FOLD, copyMapBytes: 2 * MAP_BYTES, ...options }
    this.#partitions = partitions
    this.limits = limitsOf(this.#options.fold)
    this.view = viewId(CUTS, this.limits)
  }

  /** Name by which Kafka knows the processors. */
  get group(): string {
    return `${this.#group}.${this.view}`
  }

  /** Processors that begin from now on are told of so many. */
  set partitions(count: number) {
    this.#partitions = count
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true })
  }

  /** For serving beside the processors; its rows are in Cassandra. */
  get servingSettings(): Readonly<Record<string, string>> {
    return {
      ...this.#settingsOf('CASSANDRA_'),
      BACKHAUL_DATA_DIR: this.folder,
      BACKHAUL_PARTITIONS: `${this.#partitions}`,
      KAFKA_BROKERS: this.#options.brokers.join(','),
      SERVING_SPEED_STORE: 'cassandra',
    }
  }

  /** `npx backhaul` over the log on Kafka and the rows of the processors; its fold is theirs. */
  get commandSettings(): Readonly<Record<string, string>> {
    return {
      ...QUICK_FOLD,
      BACKHAUL_DATA_DIR: this.folder,
      BACKHAUL_SEAL_KEY: SEAL_KEY,
      BACKHAUL_PARTITIONS: `${this.#partitions}`,
      BACKHAUL_SPEED_MAP_BYTES: `${MAP_BYTES}`,
      EVENT_LOG: 'kafka',
      KAFKA_BROKERS: this.#options.brokers.join(','),
      KAFKA_REPLICATION_FACTOR: '1',
      KAFKA_MIN_INSYNC_REPLICAS: '1',
      ...this.#options.settings,
    }
  }

  /** With a failpoint's name and which passing, it kills itself there. */
  async begin(
    killAt: readonly string[] = [],
    settings: Readonly<Record<string, string>> = {},
  ): Promise<ProcessorProcess> {
    const [adminPort = 0] = await freePorts(1)
    const { brokers } = this.#options
    const environment = {
      ...QUICK,
      ...this.#options.fold,
      BACKHAUL_DATA_DIR: this.folder,
      BACKHAUL_SEAL_KEY: SEAL_KEY,
      BACKHAUL_PARTITIONS: `${this.#partitions}`,
      BACKHAUL_SPEED_MAP_BYTES: `${MAP_BYTES}`,
      KAFKA_BROKERS: brokers.join(','),
      KAFKA_REPLICATION_FACTOR: '1',
      KAFKA_MIN_INSYNC_REPLICAS: '1',
      PROCESSOR_ADMIN_PORT: `${adminPort}`,
      PROCESSOR_GROUP: this.#group,
      ...this.#options.settings,
      ...settings,
    }
    const script = killAt.length === 0 ? [MAIN] : [RUN_TO_THE_KILL, ...killAt]
    return new ProcessorProcess({ script, adminPort, environment })
  }

  /** Of views, beside processors whose rows are in Cassandra. */
  get viewCommands(): OperatorsCommands {
    return new OperatorsCommands({
      ...QUICK_FOLD,
      ...this.#options.settings,
      BACKHAUL_DATA_DIR: this.folder,
      BACKHAUL_PARTITIONS: `${this.#partitions}`,
    })
  }

  /** One that works on its partitions. */
  async start(settings: Readonly<Record<string, string>> = {}): Promise<ProcessorProcess> {
    const processor = await this.begin([], settings)
    await processor.isReady()
    return processor
  }

  /** The rows as they stand, read beside those who write them. */
  async openSpeed(): Promise<SpeedStore> {
    const { cassandra: config } = this.#options
    if (config !== undefined) return openCassandraSpeedStore({ config, clock, random })
    const folder = join(this.folder, 'speed')
    return openLmdbSpeedStore({ folder, access: 'reader', mapBytes: MAP_BYTES, clock })
  }

  /**
   * Waits until the processors have read the log to its end and stops them; resolves to what they
   * counted of it.
   */
  async settle(processors: readonly ProcessorProcess[]): Promise<PartitionCounters> {
    const ends = await endOffsets(this.#options.brokers)
    let settled: readonly Report[] = []
    const isSettled = async () => {
      settled = (await Promise.all(processors.map((each) => each.reports()))).flat()
      const atTheEnd = settled.filter(({ state, partition, nextOffset = 0 }) => {
        return state === 'running' && nextOffset >= (ends.get(partition) ?? Infinity)
      })
      return new Set(atTheEnd.map(({ partition }) => partition)).size === ends.size
    }
    await until(isSettled, () => `the log is read: ${JSON.stringify(settled)}`)
    await Promise.all(processors.map((each) => each.stop()))
    return new Map(
      settled.flatMap(({ partition, fold }) =>
        fold === undefined ? [] : [[partition, fold.counters] as const],
      ),
    )
  }

  /** The operators' commands over the copy of the log, the objects and the rows. */
  get commands(): OperatorsCommands {
    return new OperatorsCommands({
      ...this.#options.fold,
      ...this.#settingsOf('CASSANDRA_', 'PROCESSOR_SPEED_STORE', 'BATCH_'),
      BACKHAUL_DATA_DIR: this.folder,
      BACKHAUL_SEAL_KEY: SEAL_KEY,
      BACKHAUL_PARTITIONS: `${this.#partitions}`,
      BACKHAUL_SPEED_MAP_BYTES: `${MAP_BYTES}`,
      BACKHAUL_LOG_MAP_BYTES: `${this.#options.copyMapBytes}`,
    })
  }

  /** Brings the log's copy up to what Kafka has by now, or of events to the given offsets. */
  async copyLog(eventsUntil?: ReadonlyMap<number, number>): Promise<void> {
    const { brokers, copyMapBytes } = this.#options
    await copyToEmbedded({
      brokers,
      dataFolder: this.folder,
      partitions: this.#partitions,
      mapBytes: copyMapBytes,
      eventsUntil,
    })
  }

  /**
   * `batch run --all` and `reconcile` over what is left when the processors have stopped: the log as
   * far as it was applied, and the rows.
   */
  async reconcile(): Promise<Reconciled> {
    const speed = await this.openSpeed()
    const progress = latest(await speed.readPartitions(this.view))
    await speed.close()
    await this.copyLog(new Map(progress.map((row) => [row.partition, row.appliedOffset])))
    const { commands } = this
    const run = await commands.backhaul('batch', 'run', '--all', '--json')
    if (run.exitCode !== 0) return { exitCode: run.exitCode, stderr: run.stderr + run.stdout }
    const { exitCode, stdout, stderr } = await commands.backhaul('reconcile', '--json')
    return { ...(JSON.parse(stdout) as Reconciled), exitCode, stderr }
  }

  /** What is not as the log, read back, says that it must be; empty when all is well. */
  async violations(counters: PartitionCounters): Promise<readonly (Violation | string)[]> {
    const { brokers } = this.#options
    const speed = await this.openSpeed()
    const cutIds = CUTS.map(({ id }) => id)
    const range = { fromMs: this.#startedAtMs - HOUR_MS, toMs: clock.nowMs() + HOUR_MS }
    const rows = await readView(speed, this.view, cutIds, range)
    const progress = latest(await speed.readPartitions(this.view))
    await speed.close()
    const log = await readEvents(brokers, progress)
    const exceptions = await readExceptions(brokers)
    // Each partition by itself: a session whose partition changed is a session of each.
    const unequal = log.flatMap((records) => {
      const { partition } = records
      const own = <Row extends { readonly partition: number }>(all: readonly Row[]) =>
        all.filter((row) => row.partition === partition)
      const found = {
        minutes: own(rows.minutes),
        sessions: own(rows.sessions),
        positions: own(rows.positions),
        exceptions: own(exceptions),
        counters: countersOf(counters, partition),
      }
      return checkRows(found, { partitions: [records], limits: this.limits, cuts: CUTS })
    })
    const missing = log.length === this.#partitions ? [] : [`rows of ${log.length} partitions`]
    const unsaid = await checkClosed(brokers, rows)
    return [...unequal, ...missing, ...unsaid, ...progress.flatMap(notWritten)]
  }

  #settingsOf(...prefixes: readonly string[]): Readonly<Record<string, string>> {
    const own = Object.entries(this.#options.settings).filter(([name]) =>
      prefixes.some((prefix) => name.startsWith(prefix)),
    )
    return Object.fromEntries(own)
  }
}

function limitsOf(fold: Readonly<Record<string, string>>): FoldLimits {
  return foldLimitsOf(readConfig(processorConfig, fold, () => ''))
}

/** What `reconcile` prints of what it found, as far as tests look at it. */
export interface Reconciled {
  readonly exitCode: number
  readonly verdict?: string
  readonly defects?: number
  readonly minutes?: { readonly compared: number }
  readonly sessions?: { readonly compared: number }
  /** What went wrong, or was said beside it. */
  readonly stderr: string
}

/** Of each partition where the next record will be. */
export async function endOffsets(brokers: readonly string[]): Promise<ReadonlyMap<number, number>> {
  const admin = kafkaOf(brokers).admin()
  await admin.connect()
  const offsets = await admin.fetchTopicOffsets(TOPICS.events)
  await admin.disconnect()
  return new Map(offsets.map(({ partition, high }) => [partition, Number(high)]))
}

function countersOf(counters: PartitionCounters, partition: number): FoldCounters {
  const found = counters.get(partition)
  if (found === undefined) throw new Error(`nobody counted partition ${partition}`)
  return found
}

/** Of each partition the row of its highest generation. */
function latest(rows: readonly PartitionRow[]): PartitionRow[] {
  const ascending = rows.toSorted((a, b) => a.generation - b.generation)
  return [...new Map(ascending.map((row) => [row.partition, row])).values()]
}

function notWritten(row: PartitionRow): string[] {
  const { partition, appliedOffset, narrowOffset, wideOffset, sessionOffset } = row
  const written = Math.min(narrowOffset, wideOffset, sessionOffset)
  return written === appliedOffset ? [] : [`partition ${partition}: ${written} of ${appliedOffset}`]
}

/** What the rows speak of: the records below the offset that each partition has applied. */
async function readEvents(
  brokers: readonly string[],
  progress: readonly PartitionRow[],
): Promise<OraclePartition[]> {
  const all = await readEventLog(brokers)
  return progress.map(({ partition, appliedOffset }) => {
    const records = all.get(partition) ?? []
    return { partition, records: records.filter(({ offset }) => offset < appliedOffset) }
  })
}

/** All records of `playback.events`, by partition. */
export async function readEventLog(
  brokers: readonly string[],
): Promise<ReadonlyMap<number, readonly LogRecord[]>> {
  const found = new Map<number, LogRecord[]>()
  await readTopic(brokers, TOPICS.events, (message, partition) => {
    const headers = Object.entries(message.headers ?? {})
    const records = found.get(partition) ?? []
    found.set(partition, records)
    records.push({
      partition,
      offset: Number(message.offset),
      loggedAtMs: Number(message.timestamp),
      key: message.key?.toString(),
      value: message.value ?? new Uint8Array(0),
      headers: Object.fromEntries(headers.map(([name, value]) => [name, String(value)])),
    })
  })
  return found
}

async function readExceptions(brokers: readonly string[]): Promise<FoldException[]> {
  const exceptions = new Map<string, FoldException>()
  await readTopic(brokers, TOPICS.exceptions, ({ value }) => {
    const exception = value === null ? undefined : decodeException(value)
    if (exception !== undefined) exceptions.set(JSON.stringify(exception), exception)
  })
  return [...exceptions.values()]
}

/** What `playback.sessions` says last of every closed session is its row. */
async function checkClosed(brokers: readonly string[], rows: ViewRows): Promise<string[]> {
  const idOf = ({ sessionId, incarnation, partition }: SessionRow) =>
    `${sessionId}#${incarnation} of partition ${partition}`
  const textOf = (row: SessionRow) =>
    JSON.stringify(row, (_, value: unknown) => (typeof value === 'bigint' ? `${value}` : value))
  const last = new Map<string, string>()
  await readTopic(brokers, TOPICS.sessions, ({ value }) => {
    const text = value?.toString() ?? ''
    last.set(idOf(JSON.parse(text) as SessionRow), text)
  })
  const newest = new Map(
    rows.sessions
      .toSorted((a, b) => a.generation - b.generation)
      .map((row) => [idOf(row), row] as const),
  )
  const closed = [...newest.values()].filter((row) => row.closed)
  if (closed.length === 0) return ['no session has closed']
  return closed
    .filter((row) => last.get(idOf(row)) !== textOf(row))
    .map((row) => `closed ${idOf(row)}: ${last.get(idOf(row))}, expected ${textOf(row)}`)
}
