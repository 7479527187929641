/**
 * The stores of a processor on its own, whose log is on Kafka. This is the one place that knows
 * which adapters stand behind its ports: checkpoints are in the folder BACKHAUL_DATA_DIR, which all
 * processors that share partitions see, or in a bucket; rows are in that folder, laid out as standalone
 * lays them out, or in Cassandra.
 */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { GcsConfig } from '../shared/objects/gcs-config.ts'
import type { ObjectStore } from '../shared/objects/object-store.ts'
import { openObjectStore } from '../shared/objects/open-object-store.ts'
import type { Clock } from '../shared/runtime/clock.ts'
import { askHolder, holderAddress } from '../shared/runtime/folder-holder.ts'
import type { StopStack } from '../shared/runtime/lifecycle.ts'
import type { Random } from '../shared/runtime/random.ts'
import type { BackhaulConfig } from '../shared/runtime/settings.ts'
import type { TelemetryBase } from '../shared/runtime/telemetry.ts'
import type { CassandraConfig } from '../shared/speed/cassandra-config.ts'
import { openCassandraSpeedStore } from '../shared/speed/cassandra-speed-store.ts'
import { openLmdbSpeedStore } from '../shared/speed/lmdb-speed-store.ts'
import type { SpeedStore } from '../shared/speed/speed-store.ts'
import { processorErrors } from './errors.ts'
import { ROW_EXPIRY_PERIOD_MS } from './limits.ts'

export interface StoresParts {
  readonly backhaul: BackhaulConfig
  /** Absent where rows are in the folder. */
  readonly cassandra: CassandraConfig | undefined
  /** Absent where checkpoints are in the folder. */
  readonly gcs: GcsConfig | undefined
  readonly clock: Clock
  readonly random: Random
  readonly telemetry: TelemetryBase
}

/** Opens them, to be closed by `stack`. */
export async function openStores(
  parts: StoresParts,
  stack: StopStack,
): Promise<{ readonly speed: SpeedStore; readonly objects: ObjectStore }> {
  const { backhaul, gcs, clock, random, telemetry } = parts
  await mkdir(backhaul.dataDir, { recursive: true })
  await refuseHeldFolder(backhaul.dataDir)
  const speed = await openSpeedStore(parts, stack)
  const folder = join(backhaul.dataDir, 'objects')
  const objects = await openObjectStore({ gcs, folder, clock, random, telemetry })
  stack.add('object store', () => objects.close())
  return { speed, objects }
}

/** A standalone server's processor keeps checkpoints and rows there of another log. */
async function refuseHeldFolder(folder: string): Promise<void> {
  const holder = await askHolder(holderAddress(folder))
  if (holder === undefined) return
  throw processorErrors.create('PROCESSOR_DATA_FOLDER_HELD', {
    expected: 'BACKHAUL_DATA_DIR to name a folder that no server holds',
    received: `${folder}, held by process ${holder.processId ?? 'unknown'}`,
  })
}

async function openSpeedStore(parts: StoresParts, stack: StopStack): Promise<SpeedStore> {
  const { cassandra: config, clock, random, telemetry } = parts
  if (config === undefined) return await openSharedFolder(parts, stack)
  const speed = await openCassandraSpeedStore({ config, clock, random, telemetry })
  stack.add('speed store', () => speed.close())
  return speed
}

/**
 * No processor owns the folder, for others may write beside it; so each lets old rows go. One that is
 * stopped, not killed, within a commit keeps the others from writing until it goes on.
 */
async function openSharedFolder(
  { backhaul, clock, telemetry }: StoresParts,
  stack: StopStack,
): Promise<SpeedStore> {
  const speed = await openLmdbSpeedStore({
    folder: join(backhaul.dataDir, 'speed'),
    access: 'guest',
    mapBytes: backhaul.speedMapBytes,
    clock,
    telemetry,
  })
  stack.add('speed store', () => speed.close())
  const cancel = clock.every(ROW_EXPIRY_PERIOD_MS, () => {
    speed
      .removeExpired()
      .catch((error: unknown) => telemetry.log.warn({ err: error }, 'expired rows are still there'))
  })
  stack.add('expiry of rows', cancel)
  return speed
}
