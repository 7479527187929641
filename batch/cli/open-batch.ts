/** The batch over the stores of a command. */
import { contentSourceOf } from '../../shared/content/content-source.ts'
import type { Clock } from '../../shared/runtime/clock.ts'
import type { Failpoints } from '../../shared/runtime/failpoints.ts'
import { type Batch, createBatch } from '../start.ts'
import type { Stores } from './stores.ts'

export interface OpenBatchOptions {
  readonly stores: Stores
  readonly clock: Clock
  readonly failpoints: Failpoints
  /** Whether tables that are missing stay so. */
  readonly isDryRun?: boolean
}

/** May be called again when it has failed: what was opened stays open. */
export async function openBatch({
  stores,
  clock,
  failpoints,
  isDryRun = false,
}: OpenBatchOptions): Promise<Batch> {
  const { common, batch: config, limits, cuts } = stores.settings
  const log = await stores.log('reader')
  const content = contentSourceOf(common, log)
  return createBatch({
    log,
    ...(content === undefined ? {} : { content }),
    objects: await stores.objects(),
    warehouse: await (isDryRun ? stores.warehouseAsIs() : stores.warehouse()),
    clock,
    config,
    limits,
    cuts,
    logRetentionMs: common.logRetentionMs,
    telemetry: stores.telemetry,
    failpoints,
    holder: stores.holder,
    temporaryFolder: stores.temporaryFolder,
  })
}
