/** One machine for tests of the batch: the embedded stores in a folder, on a clock the test moves. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ContentSource } from '../../shared/content/content-source.ts'
import type { EventLog } from '../../shared/log/event-log.ts'
import { openLmdbEventLog } from '../../shared/log/lmdb-event-log.ts'
import { TOPICS } from '../../shared/log/topics.ts'
import { openFolderObjectStore } from '../../shared/objects/folder-object-store.ts'
import type { ObjectStore } from '../../shared/objects/object-store.ts'
import { DEFAULT_CUT_IDS, parseCut } from '../../shared/qoe/cuts.ts'
import { DEFAULT_FOLD_LIMITS } from '../../shared/qoe/fold.ts'
import { type Clock, ManualClock } from '../../shared/runtime/clock.ts'
import { readConfig } from '../../shared/runtime/config.ts'
import { type Failpoints, noFailpoints } from '../../shared/runtime/failpoints.ts'
import { seededRandom } from '../../shared/runtime/random.ts'
import { createTelemetryBase, type TelemetryBase } from '../../shared/runtime/telemetry.ts'
import { openDuckDbWarehouse } from '../../shared/warehouse/duckdb-warehouse.ts'
import { tables } from '../../shared/warehouse/tables.ts'
import type { Row, Warehouse } from '../../shared/warehouse/warehouse.ts'
import { batchConfig, type BatchConfig } from '../config.ts'
import { RAW_TOPICS } from '../raw-line.ts'
import type { RunOptions, RunOutcome } from '../run.ts'
import { type Batch, createBatch } from '../start.ts'
import type { RunReport } from '../report.ts'

export const PARTITIONS = 2
const MAP_BYTES = 2 ** 28
const RETENTION_MS = 10 ** 10
const QUERY_LIMITS = { maxRows: 1_000_000, timeoutMs: 60_000 }
/** Small enough that a test's log makes several files. */
const SMALL = { BATCH_RAW_FILE_BYTES: '8192', BATCH_FACT_BUCKETS: '1' }

export interface Ports {
  readonly log: EventLog
  readonly objects: ObjectStore
  readonly warehouse: Warehouse
}

export interface MachineOptions {
  readonly folder?: string
  readonly clock?: Clock
  readonly retentionMs?: number
  /** Of the warehouse. */
  readonly failpoints?: Failpoints
}

export interface BatchSettings {
  readonly settings?: Readonly<Record<string, string>>
  readonly failpoints?: Failpoints
  readonly holder?: string
  readonly content?: ContentSource
  /** Puts something between the batch and the real ports. */
  readonly wrap?: (ports: Ports) => Ports
}

export class BatchMachine {
  readonly folder: string
  readonly clock: Clock
  readonly ports: Ports
  /** Of the batch that was made last. */
  telemetry: TelemetryBase

  private constructor(folder: string, clock: Clock, ports: Ports) {
    this.folder = folder
    this.clock = clock
    this.ports = ports
    this.telemetry = createTelemetryBase('silent')
  }

  static async open(options: MachineOptions = {}): Promise<BatchMachine> {
    const folder = options.folder ?? (await mkdtemp(join(tmpdir(), 'backhaul-batch-')))
    const clock = options.clock ?? new ManualClock()
    const log = await openLmdbEventLog({
      folder: join(folder, 'log'),
      mapBytes: MAP_BYTES,
      clock,
      random: seededRandom(1),
    })
    const retentionMs = options.retentionMs ?? RETENTION_MS
    await log.ensureTopics(
      [...RAW_TOPICS, TOPICS.sessions].map((name) => ({
        name,
        partitions: PARTITIONS,
        retentionMs,
        retentionBytes: 2 ** 30,
      })),
    )
    const objects = await openFolderObjectStore({ folder: join(folder, 'objects'), clock })
    const warehouse = await openDuckDbWarehouse({
      store: objects,
      temporaryFolder: join(folder, 'temporary'),
      memoryMaxBytes: 512 * 2 ** 20,
      threads: 1,
      clock,
      ...(options.failpoints && { failpoints: options.failpoints }),
    })
    return new BatchMachine(folder, clock, { log, objects, warehouse })
  }

  batch({ settings, failpoints, holder, content, wrap }: BatchSettings = {}): Batch {
    return createBatch({
      ...(content === undefined ? {} : { content }),
      ...(wrap ?? ((ports: Ports) => ports))(this.ports),
      clock: this.clock,
      config: configOf({ ...SMALL, ...settings }),
      limits: DEFAULT_FOLD_LIMITS,
      cuts: DEFAULT_CUT_IDS.map(parseCut),
      logRetentionMs: RETENTION_MS,
      telemetry: (this.telemetry = createTelemetryBase('silent')),
      failpoints: failpoints ?? noFailpoints,
      holder: holder ?? 'test',
      temporaryFolder: join(this.folder, 'temporary'),
    })
  }

  /** Runs the batch once, which must have something to do. */
  async run(settings: BatchSettings = {}, options: RunOptions = {}): Promise<RunReport> {
    return reportOf(await this.batch(settings).run(options))
  }

  query(sql: string): Promise<readonly Row[]> {
    return queryOf(this.ports.warehouse, sql)
  }

  tables(): Promise<Record<string, readonly Row[]>> {
    return tablesOf(this.ports.warehouse)
  }

  rawFiles(): Promise<Map<string, string>> {
    return rawFilesOf(this.ports.objects)
  }

  /** Names of the objects under the prefix. */
  names(prefix: string): Promise<string[]> {
    return namesOf(this.ports.objects, prefix)
  }

  /** Closes the stores and leaves the folder. */
  async closeStores(): Promise<void> {
    await this.ports.warehouse.close()
    await this.ports.objects.close()
    await this.ports.log.close()
  }

  async close(): Promise<void> {
    await this.closeStores()
    await rm(this.folder, { recursive: true, force: true })
  }
}

/** Of `batch_runs`: when a run began and ended, and what it cost. */
const TIMES = ['started_at', 'ended_at', 'warehouse_read_bytes', 'warehouse_billed_bytes']

/** All rows of all tables, in the order of their keys, without what depends on when a run was. */
export async function tablesOf(warehouse: Warehouse): Promise<Record<string, readonly Row[]>> {
  const found: Record<string, readonly Row[]> = {}
  for (const { name, key } of Object.values(tables)) {
    const rows = await queryOf(warehouse, `SELECT * FROM ${name} ORDER BY ${key.join(', ')}`)
    found[name] = rows.map((row) =>
      Object.fromEntries(Object.entries(row).filter(([column]) => !TIMES.includes(column))),
    )
  }
  return found
}

/** Every raw file with its bytes, in base64. */
export async function rawFilesOf(objects: ObjectStore): Promise<Map<string, string>> {
  const found = new Map<string, string>()
  for (const name of await namesOf(objects, 'raw/')) {
    const stored = await objects.read(name)
    found.set(name, Buffer.from(stored?.bytes ?? []).toString('base64'))
  }
  return found
}

async function namesOf(objects: ObjectStore, prefix: string): Promise<string[]> {
  const listed = await objects.list(prefix, { limit: 100_000 })
  return listed.map(({ name }) => name)
}

async function queryOf(warehouse: Warehouse, sql: string): Promise<readonly Row[]> {
  const session = await warehouse.open()
  try {
    return await session.query({ sql }, QUERY_LIMITS)
  } finally {
    await session.close()
  }
}

export function configOf(settings: Readonly<Record<string, string>>): BatchConfig {
  return readConfig(batchConfig, settings, () => '')
}

export function reportOf(outcome: RunOutcome): RunReport {
  if (outcome.outcome !== 'completed')
    throw new Error(`the run was idle: ${JSON.stringify(outcome)}`)
  return outcome.report
}
