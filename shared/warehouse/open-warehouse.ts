/** The one place that knows which warehouses there are: files that DuckDB reads, or BigQuery. */
import type { GcsConfig } from '../objects/gcs-config.ts'
import { configErrors, readConfig, type ConfigSpec } from '../runtime/config.ts'
import type { Random } from '../runtime/random.ts'
import type { TelemetryBase } from '../runtime/telemetry.ts'
import { bigQueryConfig, warehouseConfig, type BigQueryConfig } from './bigquery-config.ts'
import { openDuckDbWarehouse, type DuckDbWarehouseOptions } from './duckdb-warehouse.ts'
import type { Warehouse } from './warehouse.ts'

export interface BigQueryPlacement {
  readonly config: BigQueryConfig
  /** Of the objects, which are loaded from there. */
  readonly bucket: string
}

export interface WarehouseSettings {
  /** Absent where tables are files in the object store. */
  readonly bigQuery: BigQueryPlacement | undefined
  /** All settings that matter for the choice, for whoever refuses unknown ones. */
  readonly specs: readonly ConfigSpec[]
}

/** Those of BigQuery are read, and what is wrong with them said, only where tables are there. */
export function readWarehouseSettings(
  environment: Readonly<Record<string, string | undefined>>,
  readFile: (path: string) => string,
  gcs: GcsConfig | undefined,
): WarehouseSettings {
  const { store } = readConfig(warehouseConfig, environment, readFile)
  if (store === 'duckdb') return { bigQuery: undefined, specs: [warehouseConfig] }
  if (gcs === undefined)
    throw configErrors.create('CONFIG_CONFLICT', {
      expected: 'OBJECT_STORE=gcs with WAREHOUSE_STORE=bigquery, which loads from a bucket',
      received: 'OBJECT_STORE=folder',
    })
  const config = readConfig(bigQueryConfig, environment, readFile)
  return { bigQuery: { config, bucket: gcs.bucket }, specs: [warehouseConfig, bigQueryConfig] }
}

/** What DuckDB needs is needed all the same: who opens it need not know which of the two it is. */
export interface OpenWarehouseOptions extends DuckDbWarehouseOptions {
  readonly bigQuery: BigQueryPlacement | undefined
  readonly random: Random
  readonly telemetry?: TelemetryBase
}

export async function openWarehouse(options: OpenWarehouseOptions): Promise<Warehouse> {
  const { bigQuery, clock, random, telemetry } = options
  if (bigQuery === undefined) return openDuckDbWarehouse(options)
  const { openBigQueryWarehouse } = await import('./bigquery-warehouse.ts')
  return openBigQueryWarehouse({ ...bigQuery, clock, random, ...(telemetry && { telemetry }) })
}
