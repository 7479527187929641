/**
 * The stores of a processor on its own, whose log is on Kafka. This is the one place that knows
 * which adapters stand behind its ports: rows and checkpoints are in the folder BACKHAUL_DATA_DIR,
 * laid out as standalone lays it out, which all processors of one machine share.
 */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { openFolderObjectStore } from '../shared/objects/folder-object-store.ts'
import type { ObjectStore } from '../shared/objects/object-store.ts'
import type { Clock } from '../shared/runtime/clock.ts'
import type { StopStack } from '../shared/runtime/lifecycle.ts'
import type { BackhaulConfig } from '../shared/runtime/settings.ts'
import type { TelemetryBase } from '../shared/runtime/telemetry.ts'
import { openLmdbSpeedStore } from '../shared/speed/lmdb-speed-store.ts'
import type { SpeedStore } from '../shared/speed/speed-store.ts'
import { ROW_EXPIRY_PERIOD_MS } from './limits.ts'

export interface StoresParts {
  readonly backhaul: BackhaulConfig
  readonly clock: Clock
  readonly telemetry: TelemetryBase
}

/** Opens them, to be closed by `stack`. */
export async function openStores(
  parts: StoresParts,
  stack: StopStack,
): Promise<{ readonly speed: SpeedStore; readonly objects: ObjectStore }> {
  const { backhaul, clock } = parts
  await mkdir(backhaul.dataDir, { recursive: true })
  const speed = await openSpeedStore(parts, stack)
  const objects = await openFolderObjectStore({ folder: join(backhaul.dataDir, 'objects'), clock })
  stack.add('object store', () => objects.close())
  return { speed, objects }
}

/** No processor owns the folder, for others may write beside it; so each lets old rows go. */
async function openSpeedStore(
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
