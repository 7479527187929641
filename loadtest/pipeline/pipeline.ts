/**
 * What stands behind the log while a load runs: Cassandra, the processor as in production, and a
 * reader of the rows that shares nothing with either.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startCassandra, type Cassandra } from '../../scripts/services/cassandra.ts'
import { freePorts } from '../../scripts/services/ports.ts'
import { DEFAULT_CUT_IDS, parseCut } from '../../shared/qoe/cuts.ts'
import { DEFAULT_FOLD_LIMITS } from '../../shared/qoe/fold.ts'
import { viewId } from '../../shared/qoe/view.ts'
import { systemClock as clock } from '../../shared/runtime/clock.ts'
import type { LoggedFrame } from '../load/log-count.ts'
import { usageOf, type ProcessUsage } from '../load/process-usage.ts'
import type { Downstream } from '../load/run-load.ts'
import { ProcessorProcess } from '../processor-process.ts'
import { RowReader } from './row-reader.ts'

export interface PipelineOptions {
  readonly brokers: readonly string[]
  readonly partitions: number
}

interface PipelineParts {
  readonly cassandra: Cassandra
  readonly processor: ProcessorProcess
  readonly folder: string
}

export interface PipelineUse {
  /** While the load ran. */
  readonly processorCores: number
  readonly cassandraCores: number
  /** Until all was worked off. */
  readonly processorCpuSeconds: number
  readonly processorHighestBytes: number
  /** Durable in Cassandra by then, repeats included. */
  readonly rows: number
}

const MAIN = join(import.meta.dirname, '..', '..', 'processor', 'main.ts')
const SEAL_KEY = Buffer.alloc(32, 3).toString('base64')
const KEYSPACE = 'backhaul_load'
const VIEW = viewId(DEFAULT_CUT_IDS.map(parseCut), DEFAULT_FOLD_LIMITS)
const LOOK_EVERY_MS = 1_000
/** Rows that stand still for so long are all that come; they are written every second. */
const STILL_MS = 60_000

export class Pipeline implements Downstream {
  readonly reader: RowReader
  readonly #cassandra: Cassandra
  readonly #processor: ProcessorProcess
  readonly #folder: string
  readonly #startMs = clock.monotonicMs()
  readonly #start: Readonly<Record<'processor' | 'cassandra', ProcessUsage>>
  readonly #cancelLook: () => void
  #use = {
    processorCores: 0,
    cassandraCores: 0,
    processorCpuSeconds: 0,
    processorHighestBytes: 0,
    rows: 0,
  }
  #eventsInRows = 0

  /** Started and ready, with the topics of the log there already. */
  static async start(options: PipelineOptions): Promise<Pipeline> {
    const folder = mkdtempSync(join(tmpdir(), 'backhaul-pipeline-'))
    // As on three replicas, none of which answers only when it has the write on its disk.
    const cassandra = await startCassandra({ profile: 'load', commitLogSync: 'periodic' })
    try {
      const processor = await startProcessor(options, cassandra, folder)
      return new Pipeline(options, { cassandra, processor, folder })
    } catch (error) {
      await cassandra.stop()
      throw error
    }
  }

  private constructor(
    { partitions }: PipelineOptions,
    { cassandra, processor, folder }: PipelineParts,
  ) {
    this.#cassandra = cassandra
    this.#processor = processor
    this.#folder = folder
    this.#start = { processor: usageOf(processor.pid), cassandra: usageOf(cassandra.pid ?? 0) }
    this.#cancelLook = clock.every(LOOK_EVERY_MS, () => {
      const { residentBytes } = usageOf(processor.pid)
      this.#use.processorHighestBytes = Math.max(this.#use.processorHighestBytes, residentBytes)
    })
    const { directContactPoint: contactPoint } = cassandra
    this.reader = new RowReader({ contactPoint, keyspace: KEYSPACE, view: VIEW, partitions })
  }

  get use(): PipelineUse {
    return this.#use
  }

  /** What all rows of the total say, once they stand still. */
  get eventsInRows(): number {
    return this.#eventsInRows
  }

  loadEnded(): void {
    const seconds = (clock.monotonicMs() - this.#startMs) / 1_000
    const { processor, cassandra } = this.#cpuSeconds()
    this.#use.processorCores = processor / seconds
    this.#use.cassandraCores = cassandra / seconds
  }

  async settle(eventsSent: number): Promise<void> {
    let changedMs = clock.monotonicMs()
    while (this.#eventsInRows < eventsSent && clock.monotonicMs() - changedMs < STILL_MS) {
      const events = await this.reader.eventsInRows().catch(() => this.#eventsInRows)
      if (events !== this.#eventsInRows) changedMs = clock.monotonicMs()
      this.#eventsInRows = events
      await clock.sleep(LOOK_EVERY_MS)
    }
    this.#use.processorCpuSeconds = this.#cpuSeconds().processor
    this.#use.rows = await this.#processor.metric('processor_rows_written_total')
  }

  logged({ partition, offset, loggedAtMs, events, cdn }: LoggedFrame): void {
    const record = { partition, offset, loggedAtMs, events }
    this.reader.cuts.total.take({ ...record, key: '[]' })
    this.reader.cuts.cdn.take({ ...record, key: JSON.stringify([cdn]) })
  }

  async stop(): Promise<void> {
    this.#cancelLook()
    try {
      await this.reader.stop()
      await this.#processor.stop()
    } finally {
      this.#processor.signal('SIGKILL')
      await this.#cassandra.stop()
      rmSync(this.#folder, { recursive: true, force: true })
    }
  }

  /** Since it was ready. */
  #cpuSeconds(): Readonly<Record<'processor' | 'cassandra', number>> {
    const since = (pid: number, start: ProcessUsage) => (usageOf(pid).cpuMs - start.cpuMs) / 1_000
    return {
      processor: since(this.#processor.pid, this.#start.processor),
      cassandra: since(this.#cassandra.pid ?? 0, this.#start.cassandra),
    }
  }
}

async function startProcessor(
  { brokers, partitions }: PipelineOptions,
  cassandra: Cassandra,
  folder: string,
): Promise<ProcessorProcess> {
  const [adminPort = 0] = await freePorts(1)
  const environment = {
    BACKHAUL_DATA_DIR: folder,
    BACKHAUL_SEAL_KEY: SEAL_KEY,
    BACKHAUL_LOG_LEVEL: 'warn',
    BACKHAUL_PARTITIONS: `${partitions}`,
    KAFKA_BROKERS: brokers.join(','),
    KAFKA_REPLICATION_FACTOR: '1',
    KAFKA_MIN_INSYNC_REPLICAS: '1',
    PROCESSOR_ADMIN_PORT: `${adminPort}`,
    PROCESSOR_SPEED_STORE: 'cassandra',
    // As on Kafka: an open session is shown as it was half a minute ago.
    PROCESSOR_SESSION_ROW_INTERVAL_MS: '30000',
    CASSANDRA_CONTACT_POINTS: cassandra.contactPoint,
    CASSANDRA_KEYSPACE: KEYSPACE,
    CASSANDRA_REPLICATION_FACTOR: '1',
  }
  const processor = new ProcessorProcess({ script: [MAIN], adminPort, environment })
  process.once('exit', () => processor.signal('SIGKILL'))
  try {
    await processor.isReady()
  } catch (error) {
    processor.signal('SIGKILL')
    throw error
  }
  return processor
}
