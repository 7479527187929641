/**
 * The stores that a command works on, each opened when it first asks for it and closed when it is
 * over: those of BACKHAUL_DATA_DIR, or, by the settings that services on their own have, the log on
 * Kafka, rows in Cassandra and objects in a bucket. One that could not be opened across a network may
 * be asked for again. A server may run beside: an embedded log and
 * speed store are opened as its guest or as a reader, never as their owner.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import {
  alertsConfig,
  foldLimitsOf,
  processorConfig,
  speedStoreConfig,
  type ProcessorConfig,
} from '../../processor/config.ts'
import {
  createPseudonymiser,
  parseKeyring,
  type Pseudonymiser,
} from '../../shared/events/identity.ts'
import type { Access } from '../../shared/lmdb/owner-row.ts'
import { eventLogConfig } from '../../shared/log/event-log-config.ts'
import type { EventLog } from '../../shared/log/event-log.ts'
import { kafkaConfig } from '../../shared/log/kafka-config.ts'
import { openKafkaEventLog } from '../../shared/log/kafka-event-log.ts'
import { openLmdbEventLog } from '../../shared/log/lmdb-event-log.ts'
import { createSealer, type Sealer } from '../../shared/log/reject-record.ts'
import type { GcsConfig } from '../../shared/objects/gcs-config.ts'
import type { ObjectStore } from '../../shared/objects/object-store.ts'
import { openObjectStore, readObjectStoreSettings } from '../../shared/objects/open-object-store.ts'
import { parseCut, type Cut } from '../../shared/qoe/cuts.ts'
import type { FoldLimits } from '../../shared/qoe/fold.ts'
import type { Clock } from '../../shared/runtime/clock.ts'
import { readConfig, refuseUnknownSettings } from '../../shared/runtime/config.ts'
import { assert } from '../../shared/runtime/errors.ts'
import { noFailpoints } from '../../shared/runtime/failpoints.ts'
import { StopStack } from '../../shared/runtime/lifecycle.ts'
import { systemRandom } from '../../shared/runtime/random.ts'
import { backhaulConfig, type BackhaulConfig } from '../../shared/runtime/settings.ts'
import { createTelemetryBase, type TelemetryBase } from '../../shared/runtime/telemetry.ts'
import { cassandraConfig, type CassandraConfig } from '../../shared/speed/cassandra-config.ts'
import { openCassandraSpeedStore } from '../../shared/speed/cassandra-speed-store.ts'
import { openLmdbSpeedStore } from '../../shared/speed/lmdb-speed-store.ts'
import type { SpeedStore } from '../../shared/speed/speed-store.ts'
import { describeView, type ViewDescription } from '../../shared/views/view-registry.ts'
import {
  openWarehouse,
  readWarehouseSettings,
  type BigQueryPlacement,
} from '../../shared/warehouse/open-warehouse.ts'
import { allTables } from '../../shared/warehouse/tables.ts'
import type { Warehouse } from '../../shared/warehouse/warehouse.ts'
import { openDataFolder, type DataFolder } from '../../standalone/data-folder.ts'
import { batchConfig, type BatchConfig } from '../config.ts'
import { RUN_DATABASE_BYTES } from '../limits.ts'
import { DATABASE_THREADS } from './limits.ts'

export interface StoresOptions {
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly readFile: (path: string) => string
  readonly clock: Clock
  /**
   * Gives up what the warehouse has under way, and closes it; the other stores stay, so that a lease can be
   * given back.
   */
  readonly signal?: AbortSignal
}

export interface CommandSettings {
  readonly common: BackhaulConfig
  readonly batch: BatchConfig
  readonly processor: ProcessorConfig
  readonly eventLog: 'lmdb' | 'kafka'
  /** Absent where objects are in the data folder. */
  readonly gcs: GcsConfig | undefined
  readonly bigQuery: BigQueryPlacement | undefined
  /** Those of the server beside, so that both compute the same metrics. */
  readonly limits: FoldLimits
  readonly cuts: readonly Cut[]
  /** The view that a processor with these settings keeps in the speed store. */
  readonly view: string
  readonly described: ViewDescription
}

/** Those of `BATCH_` are not: a server may be given more of them, and shares its settings with its commands. */
const KNOWN = [backhaulConfig, processorConfig, speedStoreConfig, alertsConfig, eventLogConfig]

/** A command never owns a store. */
type CommandAccess = Exclude<Access, 'owner'>

interface Opened<Store> {
  readonly access: CommandAccess
  readonly store: Promise<Store>
}

export class Stores {
  /** Metrics and log lines of a command are for nobody: what matters is in its result. */
  readonly telemetry: TelemetryBase = createTelemetryBase('silent')
  readonly #options: StoresOptions
  readonly #stack = new StopStack()
  #settings: CommandSettings | undefined
  #folder: DataFolder | undefined
  #log: Opened<EventLog> | undefined
  #kafkaLog: Promise<EventLog> | undefined
  #speed: Opened<SpeedStore> | undefined
  #objects: Promise<ObjectStore> | undefined
  #warehouse: Promise<Warehouse> | undefined
  #ensured: Promise<void> | undefined

  constructor(options: StoresOptions) {
    this.#options = options
  }

  /** The environment of the command, for a process that it starts. */
  get environment(): StoresOptions['environment'] {
    return this.#options.environment
  }

  /** Throws `CONFIG_…`. */
  get settings(): CommandSettings {
    this.#settings ??= this.#readSettings()
    return this.#settings
  }

  /** Whether or not rows go there. Throws `CONFIG_…`. */
  get cassandra(): CassandraConfig {
    const { environment, readFile } = this.#options
    refuseUnknownSettings([cassandraConfig], environment)
    return readConfig(cassandraConfig, environment, readFile)
  }

  /** Throws `STANDALONE_DATA_…` when there is none of this format. */
  get folder(): DataFolder {
    this.#folder ??= openDataFolder(this.settings.common.dataDir)
    return this.#folder
  }

  get temporaryFolder(): string {
    return join(this.#hasNoFolder ? this.settings.common.dataDir : this.folder.path, 'tmp')
  }

  /** Whoever is refused a lease meanwhile sees this. */
  get holder(): string {
    return `backhaul ${process.pid}`
  }

  /** The first call of a command says how it is opened. */
  log(access: CommandAccess): Promise<EventLog> {
    if (this.settings.eventLog === 'kafka') return this.kafkaLog()
    this.#log ??= { access, store: this.#openLog(access) }
    assertEnough(this.#log.access, access)
    return this.#log.store
  }

  /** The event log of services on Kafka, by their settings, whatever EVENT_LOG says; opened once. */
  kafkaLog(): Promise<EventLog> {
    this.#kafkaLog ??= this.#openKafkaLog().catch((error: unknown) => {
      this.#kafkaLog = undefined
      throw error
    })
    return this.#kafkaLog
  }

  /** The first call of a command says how it is opened. */
  speed(access: CommandAccess): Promise<SpeedStore> {
    this.#speed ??= { access, store: this.#openSpeed(access) }
    assertEnough(this.#speed.access, access)
    return this.#speed.store
  }

  objects(): Promise<ObjectStore> {
    this.#objects ??= this.#openObjects().catch((error: unknown) => {
      this.#objects = undefined
      throw error
    })
    return this.#objects
  }

  /** With all its tables; the first call of a command says how many threads it has. */
  async warehouse(threads = DATABASE_THREADS): Promise<Warehouse> {
    const warehouse = await this.warehouseAsIs(threads)
    this.#ensured ??= warehouse.ensureTables(allTables).catch((error: unknown) => {
      this.#ensured = undefined
      throw error
    })
    await this.#ensured
    return warehouse
  }

  /** With the tables that there are, for a command that writes nothing. */
  warehouseAsIs(threads = DATABASE_THREADS): Promise<Warehouse> {
    this.#warehouse ??= this.#openWarehouse(threads).catch((error: unknown) => {
      this.#warehouse = undefined
      throw error
    })
    return this.#warehouse
  }

  sealer(): Sealer {
    const { sealKey } = this.settings.common
    const key = sealKey === '' ? this.folder.secret('seal-key') : sealKey
    return createSealer(Buffer.from(key, 'base64'))
  }

  pseudonymiser(): Pseudonymiser {
    const { pseudonymKeys } = this.settings.common
    return createPseudonymiser(
      parseKeyring(
        pseudonymKeys === '' ? `local:${this.folder.secret('pseudonym-key')}` : pseudonymKeys,
      ),
    )
  }

  close(): Promise<void> {
    return this.#stack.stop()
  }

  #readSettings(): CommandSettings {
    const { environment, readFile } = this.#options
    const common = readConfig(backhaulConfig, environment, readFile)
    const processor = readConfig(processorConfig, environment, readFile)
    const batch = readConfig(batchConfig, environment, readFile)
    const { log: eventLog } = readConfig(eventLogConfig, environment, readFile)
    const { gcs, specs } = readObjectStoreSettings(environment, readFile)
    const { bigQuery, specs: ofWarehouse } = readWarehouseSettings(environment, readFile, gcs)
    refuseUnknownSettings([...KNOWN, ...specs, ...ofWarehouse], environment)
    const limits = foldLimitsOf(processor)
    const cuts = common.cuts.map(parseCut)
    const described = describeView(cuts, limits, processor.view)
    const { view } = described
    const read = { common, processor, batch, eventLog, gcs, bigQuery }
    return { ...read, limits, cuts, view, described }
  }

  async #openLog(access: CommandAccess): Promise<EventLog> {
    const log = await openLmdbEventLog({
      folder: this.folder.logFolder,
      access,
      mapBytes: this.settings.common.logMapBytes,
      clock: this.#options.clock,
      failpoints: noFailpoints,
    })
    this.#stack.add('event log', () => log.close())
    return log
  }

  async #openKafkaLog(): Promise<EventLog> {
    const { environment, readFile, clock } = this.#options
    refuseUnknownSettings([kafkaConfig], environment)
    const config = readConfig(kafkaConfig, environment, readFile)
    const log = await openKafkaEventLog({ config, clock, telemetry: this.telemetry })
    this.#stack.add('event log on Kafka', () => log.close())
    return log
  }

  async #openSpeed(access: CommandAccess): Promise<SpeedStore> {
    const { environment, readFile, clock } = this.#options
    const { speedStore } = readConfig(speedStoreConfig, environment, readFile)
    if (speedStore === 'cassandra') {
      const config = this.cassandra
      const speed = await openCassandraSpeedStore({ config, clock, random: systemRandom })
      this.#stack.add('speed store', () => speed.close())
      return speed
    }
    const speed = await openLmdbSpeedStore({
      folder: this.#storeFolder('speed'),
      access,
      mapBytes: this.settings.common.speedMapBytes,
      clock,
    })
    this.#stack.add('speed store', () => speed.close())
    return speed
  }

  /** Beside services on their own, whose log is on Kafka or whose objects are in a bucket. */
  get #hasNoFolder(): boolean {
    const { eventLog, gcs, common } = this.settings
    const isBesideServer = eventLog === 'lmdb' && gcs === undefined
    return !isBesideServer && !existsSync(join(common.dataDir, 'format.json'))
  }

  /** Processors on their own share a folder that no server has made. */
  #storeFolder(name: 'speed' | 'objects'): string {
    const shared = join(this.settings.common.dataDir, name)
    if (existsSync(shared) || (name === 'objects' && this.#hasNoFolder)) return shared
    return name === 'speed' ? this.folder.speedFolder : this.folder.objectsFolder
  }

  async #openObjects(): Promise<ObjectStore> {
    const objects = await openObjectStore({
      gcs: this.settings.gcs,
      folder: this.#storeFolder('objects'),
      clock: this.#options.clock,
      random: systemRandom,
    })
    this.#stack.add('object store', () => objects.close())
    return objects
  }

  async #openWarehouse(threads: number): Promise<Warehouse> {
    const warehouse = await openWarehouse({
      bigQuery: this.settings.bigQuery,
      store: await this.objects(),
      temporaryFolder: this.temporaryFolder,
      memoryMaxBytes: RUN_DATABASE_BYTES,
      threads,
      clock: this.#options.clock,
      random: systemRandom,
      telemetry: this.telemetry,
    })
    this.#stack.add('warehouse', () => warehouse.close())
    const { signal } = this.#options
    // What closing fails with, closing again at the end of the command tells.
    const giveUp = () => void warehouse.close().catch(() => undefined)
    signal?.addEventListener('abort', giveUp, { once: true })
    if (signal?.aborted === true) giveUp()
    return warehouse
  }
}

function assertEnough(opened: CommandAccess, wanted: CommandAccess): void {
  assert(opened === 'guest' || wanted === 'reader', 'a reader must not be asked to write')
}
