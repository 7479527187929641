/**
 * What serving on its own reads: the log on Kafka, rows where processors write them, and the tables
 * that a batch has put into the object store. This is the one place that knows which adapters stand
 * behind its ports.
 */
import { join } from 'node:path'
import type { KafkaConfig } from '../shared/log/kafka-config.ts'
import { openKafkaEventLog } from '../shared/log/kafka-event-log.ts'
import type { EventLog } from '../shared/log/event-log.ts'
import type { GcsConfig } from '../shared/objects/gcs-config.ts'
import type { ObjectStore } from '../shared/objects/object-store.ts'
import { openObjectStore } from '../shared/objects/open-object-store.ts'
import type { Clock } from '../shared/runtime/clock.ts'
import type { StopStack } from '../shared/runtime/lifecycle.ts'
import type { Random } from '../shared/runtime/random.ts'
import type { BackhaulConfig } from '../shared/runtime/settings.ts'
import type { TelemetryBase } from '../shared/runtime/telemetry.ts'
import type { CassandraConfig } from '../shared/speed/cassandra-config.ts'
import { openCassandraSpeedStore } from '../shared/speed/cassandra-speed-store.ts'
import { openLmdbSpeedStore } from '../shared/speed/lmdb-speed-store.ts'
import type { SpeedStore } from '../shared/speed/speed-store.ts'
import { openWarehouse, type BigQueryPlacement } from '../shared/warehouse/open-warehouse.ts'
import type { WarehouseReader } from '../shared/warehouse/warehouse-reader.ts'
import type { ServingStoresConfig } from './config.ts'

export interface ServingStoresOptions {
  readonly backhaul: BackhaulConfig
  readonly config: ServingStoresConfig
  readonly kafka: KafkaConfig
  /** Absent where rows are in the data folder. */
  readonly cassandra: CassandraConfig | undefined
  /** Absent where objects are in the data folder. */
  readonly gcs: GcsConfig | undefined
  /** Absent where tables are files among the objects. */
  readonly bigQuery: BigQueryPlacement | undefined
  readonly clock: Clock
  readonly random: Random
  readonly telemetry: TelemetryBase
}

/** What a view is read from. */
export interface ViewStores {
  readonly log: EventLog
  readonly speed: SpeedStore
  /** Absent where no history is read. */
  readonly warehouse: WarehouseReader | undefined
}

const MIB = 2 ** 20

/** Opens it, to be closed by `stack`, as are the others. */
export async function openObjects(
  { backhaul, gcs, clock, random, telemetry }: ServingStoresOptions,
  stack: StopStack,
): Promise<ObjectStore> {
  const folder = join(backhaul.dataDir, 'objects')
  const objects = await openObjectStore({ gcs, folder, clock, random, telemetry })
  stack.add('object store', () => objects.close())
  return objects
}

/** Not before a processor has begun a view: it makes the store of its rows. */
export async function openViewStores(
  options: ServingStoresOptions,
  objects: ObjectStore,
  stack: StopStack,
): Promise<ViewStores> {
  const { kafka, clock, telemetry } = options
  const speed = await openSpeed(options)
  stack.add('speed store', () => speed.close())
  const log = await openKafkaEventLog({ config: kafka, clock, telemetry })
  stack.add('event log', () => log.close())
  return { log, speed, warehouse: await openHistory(options, objects, stack) }
}

function openSpeed({ backhaul, cassandra, clock, random, telemetry }: ServingStoresOptions) {
  if (cassandra !== undefined)
    return openCassandraSpeedStore({ config: cassandra, clock, random, telemetry })
  return openLmdbSpeedStore({
    folder: join(backhaul.dataDir, 'speed'),
    access: 'reader',
    mapBytes: backhaul.speedMapBytes,
    clock,
    telemetry,
  })
}

async function openHistory(
  { backhaul, config, bigQuery, clock, random, telemetry }: ServingStoresOptions,
  store: ObjectStore,
  stack: StopStack,
): Promise<WarehouseReader | undefined> {
  if (config.history === 'none') return undefined
  const warehouse = await openWarehouse({
    bigQuery,
    store,
    temporaryFolder: join(backhaul.dataDir, 'serving-temporary', `${process.pid}`),
    memoryMaxBytes: config.historyMemoryMib * MIB,
    threads: config.historyThreads,
    clock,
    random,
    telemetry,
  })
  stack.add('warehouse', () => warehouse.close())
  return warehouse
}
