/** The one place that knows which object stores there are: a folder of this machine, or a bucket. */
import type { Clock } from '../runtime/clock.ts'
import { readConfig, type ConfigSpec } from '../runtime/config.ts'
import type { Random } from '../runtime/random.ts'
import type { TelemetryBase } from '../runtime/telemetry.ts'
import { openFolderObjectStore } from './folder-object-store.ts'
import { gcsConfig, objectStoreConfig, type GcsConfig } from './gcs-config.ts'
import type { ObjectStore } from './object-store.ts'

export interface ObjectStoreSettings {
  /** Absent where objects are in the data folder. */
  readonly gcs: GcsConfig | undefined
  /** All settings that matter for the choice, for whoever refuses unknown ones. */
  readonly specs: readonly ConfigSpec[]
}

/** Those of GCS are read, and what is wrong with them said, only where objects go there. */
export function readObjectStoreSettings(
  environment: Readonly<Record<string, string | undefined>>,
  readFile: (path: string) => string,
): ObjectStoreSettings {
  const { store } = readConfig(objectStoreConfig, environment, readFile)
  if (store === 'folder') return { gcs: undefined, specs: [objectStoreConfig] }
  const gcs = readConfig(gcsConfig, environment, readFile)
  return { gcs, specs: [objectStoreConfig, gcsConfig] }
}

export interface OpenObjectStoreOptions {
  readonly gcs: GcsConfig | undefined
  /** Where the objects are that are in no bucket. */
  readonly folder: string
  readonly clock: Clock
  readonly random: Random
  readonly telemetry?: TelemetryBase
}

export async function openObjectStore(options: OpenObjectStoreOptions): Promise<ObjectStore> {
  const { gcs, folder, clock, random, telemetry } = options
  if (gcs === undefined) return openFolderObjectStore({ folder, clock })
  // The library below takes some 25 MB and half a second to load: none of a process without a bucket.
  const { openGcsObjectStore } = await import('./gcs-object-store.ts')
  return openGcsObjectStore({ config: gcs, clock, random, ...(telemetry && { telemetry }) })
}
