/** A bucket of a test on its own server, and stores on it. */
import { randomUUID } from 'node:crypto'
import type { Gcs } from '../../../scripts/services/gcs.ts'
import { systemClock } from '../../runtime/clock.ts'
import { readConfig } from '../../runtime/config.ts'
import { systemRandom } from '../../runtime/random.ts'
import { gcsConfig, type GcsConfig } from '../gcs-config.ts'
import { openGcsObjectStore } from '../gcs-object-store.ts'
import type { ObjectStore } from '../object-store.ts'

/** Creates a bucket that no other test uses; returns its name. */
export async function freshBucket(gcs: Gcs): Promise<string> {
  const bucket = `bucket-${randomUUID()}`
  await gcs.createBucket(bucket)
  return bucket
}

/** What a process has in its environment to keep objects in the bucket. */
export function bucketEnvironment(gcs: Gcs, bucket: string): Record<string, string> {
  return {
    OBJECT_STORE: 'gcs',
    GCS_BUCKET: bucket,
    GCS_ENDPOINT: gcs.endpoint,
    GCS_CREDENTIALS: 'none',
  }
}

export function openBucket(
  gcs: Gcs,
  bucket: string,
  changes: Partial<GcsConfig> = {},
): Promise<ObjectStore> {
  const read = readConfig(gcsConfig, bucketEnvironment(gcs, bucket), () => '')
  const config = { ...read, ...changes }
  return openGcsObjectStore({ config, clock: systemClock, random: systemRandom })
}
