/**
 * The manifest of a table: its columns, the files that hold its rows, the files it named lately,
 * and the jobs it remembers. It is one object, `warehouse/tables/<table>.json`, swapped whole under
 * its generation; a file that no manifest names does not exist for readers. Files have names of
 * their own for ever: `warehouse/files/<table>/<partition column>=<date>/<uuid>.parquet`.
 */
import { z } from 'zod'
import { RETIRED_KEEP_MS, JOBS_REMEMBERED } from './duckdb-limits.ts'
import type { ColumnSpec, TableSpec } from './table-spec.ts'
import { warehouseErrors } from './warehouse-errors.ts'

export const MANIFEST_PREFIX = 'warehouse/tables/'
export const FILE_PREFIX = 'warehouse/files/'

const MANIFEST_VERSION = 1
const whole = z.int().min(0)

const fileSchema = z.object({
  name: z.string().min(1),
  generation: whole,
  date: z.iso.date(),
  rows: whole,
  bytes: whole,
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  /** Names of the columns that the file holds: those that the table had when it was written. */
  columns: whole,
})

const jobSchema = z.object({ jobId: z.string().min(1), removed: whole, inserted: whole })

const manifestSchema = z.object({
  version: z.literal(MANIFEST_VERSION),
  name: z.string().min(1),
  description: z.string(),
  columns: z.array(
    z.object({
      name: z.string().min(1),
      type: z.enum(['STRING', 'INT64', 'FLOAT64', 'BOOL', 'DATE', 'TIMESTAMP']),
      required: z.boolean(),
      description: z.string(),
    }),
  ),
  partitionColumn: z.string(),
  key: z.array(z.string()),
  clusterColumns: z.array(z.string()),
  /** Lists of column names, which files point to. */
  columnSets: z.array(z.array(z.string())),
  files: z.array(fileSchema),
  /** Files that were replaced, kept for sessions that still read them. */
  retired: z.array(z.object({ name: z.string().min(1), retiredAtMs: whole })),
  /** The last jobs with their results, oldest first. */
  jobs: z.array(jobSchema),
})

export type TableFile = z.infer<typeof fileSchema>
export type JobResult = z.infer<typeof jobSchema>
export type Manifest = z.infer<typeof manifestSchema>

export function emptyManifest(table: TableSpec): Manifest {
  return {
    version: MANIFEST_VERSION,
    name: table.name,
    description: table.description,
    columns: table.columns.map(columnOf),
    partitionColumn: table.partitionColumn,
    key: [...table.key],
    clusterColumns: [...table.clusterColumns],
    columnSets: [],
    files: [],
    retired: [],
    jobs: [],
  }
}

/** The same fields in the same order, so that equal manifests have equal text. */
function columnOf({ name, type, required, description }: ColumnSpec): ColumnSpec {
  return { name, type, required, description }
}

export function manifestName(table: string): string {
  return `${MANIFEST_PREFIX}${table}.json`
}

export function encodeManifest(manifest: Manifest): Uint8Array {
  return Buffer.from(JSON.stringify(manifest))
}

/** Throws `WAREHOUSE_MANIFEST_INVALID`. */
export function decodeManifest(name: string, bytes: Uint8Array): Manifest {
  try {
    return manifestSchema.parse(JSON.parse(Buffer.from(bytes).toString('utf8')))
  } catch (cause) {
    throw warehouseErrors.create('WAREHOUSE_MANIFEST_INVALID', { received: name, cause })
  }
}

/**
 * The manifest as `table` wants it, or the same one when nothing is missing. Columns that only the
 * manifest has stay: a newer program has written them. Throws `WAREHOUSE_TABLE_MISMATCH`.
 */
export function withColumnsOf(manifest: Manifest, table: TableSpec): Manifest {
  const known = new Map(manifest.columns.map((column) => [column.name, column]))
  for (const { name, type, required } of table.columns) {
    const found = known.get(name)
    if (found === undefined ? required && manifest.files.length > 0 : found.type !== type)
      throw warehouseErrors.create('WAREHOUSE_TABLE_MISMATCH', {
        expected: `${table.name}.${name} of ${type}`,
        received: found?.type ?? 'a table with rows and without the required column',
      })
  }
  if (manifest.partitionColumn !== table.partitionColumn)
    throw warehouseErrors.create('WAREHOUSE_TABLE_MISMATCH', {
      expected: `${table.name} partitioned by ${table.partitionColumn}`,
      received: manifest.partitionColumn,
    })
  const own = new Set(table.columns.map(({ name }) => name))
  const wanted: Manifest = {
    ...manifest,
    ...emptyManifest(table),
    columns: [
      ...table.columns.map(columnOf),
      ...manifest.columns.filter(({ name }) => !own.has(name)),
    ],
    columnSets: manifest.columnSets,
    files: manifest.files,
    retired: manifest.retired,
    jobs: manifest.jobs,
  }
  const same = JSON.stringify(wanted) === JSON.stringify(manifest)
  return same ? manifest : wanted
}

export interface ManifestChange {
  readonly added: readonly TableFile[]
  readonly removed: readonly TableFile[]
  readonly columnSets: readonly (readonly string[])[]
  readonly job: JobResult
  readonly nowMs: number
}

export function changedManifest(manifest: Manifest, change: ManifestChange): Manifest {
  const { added, removed, columnSets, job, nowMs } = change
  const gone = new Set(removed.map(({ name }) => name))
  return {
    ...manifest,
    columnSets: columnSets.map((names) => [...names]),
    files: [...manifest.files.filter(({ name }) => !gone.has(name)), ...added],
    retired: [
      ...manifest.retired.filter(({ retiredAtMs }) => nowMs - retiredAtMs <= RETIRED_KEEP_MS),
      ...removed.map(({ name }) => ({ name, retiredAtMs: nowMs })),
    ],
    jobs: [...manifest.jobs.filter(({ jobId }) => jobId !== job.jobId), job].slice(
      -JOBS_REMEMBERED,
    ),
  }
}
