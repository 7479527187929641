/** Raw files as the ledger knows them, and the log's records in them. */
import { existsSync } from 'node:fs'
import { zstdDecompressSync } from 'node:zlib'
import { z } from 'zod'
import type { ObjectStore } from '../../shared/objects/object-store.ts'
import { BackhaulError } from '../../shared/runtime/errors.ts'
import { tables } from '../../shared/warehouse/tables.ts'
import type { Row, Select, WarehouseSession } from '../../shared/warehouse/warehouse.ts'
import { batchErrors } from '../errors.ts'
import { sha256Of } from '../run-objects.ts'
import { LEDGER_ROWS_MAX, QUERY_TIMEOUT_MS } from './limits.ts'

/** A row of the ledger. */
export interface LedgerEntry {
  readonly run: number
  readonly topic: string
  readonly partition: number
  readonly first: number
  /** Inclusive. */
  readonly last: number
  readonly records: number
  readonly file: string
  readonly bytes: number
  readonly sha256: string
  readonly manifest: string
  readonly stagingFile: string | null
  readonly jobId: string | null
  readonly rowsLoaded: number | null
  readonly supersedes: string | null
}

export interface ArchivedRecord {
  readonly partition: number
  readonly offset: number
  readonly loggedAtMs: number
  readonly value: Uint8Array
  readonly headers: Readonly<Record<string, string>>
}

/** What is wrong with a file, if anything. */
export type FileFault = 'missing' | 'altered'

const lineSchema = z.object({
  offset: z.int(),
  loggedAt: z.int(),
  headers: z.record(z.string(), z.string()),
  value: z.unknown(),
  original: z.base64().optional(),
})

/**
 * Rows of the ledger by a condition, ascending by topic, partition and offset. Of a file whose
 * content was replaced only the present content counts.
 */
export async function readLedger(
  session: WarehouseSession,
  condition: Select = { sql: 'TRUE' },
): Promise<LedgerEntry[]> {
  const sql = `SELECT * FROM ${tables.ledger.name} WHERE superseded_by IS NULL AND (${condition.sql})
    ORDER BY topic, log_partition, first_offset`
  const rows = await session.query(
    { ...condition, sql },
    { maxRows: LEDGER_ROWS_MAX, timeoutMs: QUERY_TIMEOUT_MS },
  )
  return rows.map(entryOf)
}

/** The file's bytes if they are those that the ledger gives, what is wrong with them otherwise. */
export async function readRawFile(
  objects: ObjectStore,
  { file, sha256 }: LedgerEntry,
): Promise<Uint8Array | FileFault> {
  let bytes: Uint8Array | undefined
  try {
    bytes = (await objects.read(file))?.bytes
  } catch (error) {
    // The store itself found that the bytes are not those it was given.
    if (error instanceof BackhaulError && error.code === 'OBJECT_DAMAGED')
      return (await hasFile(objects, file)) ? 'altered' : 'missing'
    throw error
  }
  if (bytes === undefined) return 'missing'
  return sha256Of(bytes) === sha256 ? bytes : 'altered'
}

/** A store of files may know of an object whose file somebody has deleted. */
async function hasFile(objects: ObjectStore, name: string): Promise<boolean> {
  const { local } = objects
  const info = await objects.stat(name)
  return info !== undefined && (local === undefined || existsSync(local.path(info)))
}

/** Throws `BATCH_OBJECT_MISSING` or `BATCH_RAW_FILE_DAMAGED`. */
export async function readArchived(
  objects: ObjectStore,
  entry: LedgerEntry,
): Promise<ArchivedRecord[]> {
  const found = await readRawFile(objects, entry)
  if (found === 'missing')
    throw batchErrors.create('BATCH_OBJECT_MISSING', { expected: entry.file })
  if (found === 'altered')
    throw batchErrors.create('BATCH_RAW_FILE_DAMAGED', {
      expected: `${entry.file} with SHA-256 ${entry.sha256}`,
      received: 'other bytes',
    })
  const text = zstdDecompressSync(found).toString()
  return text.split('\n').flatMap((line) => (line === '' ? [] : [recordOf(entry, line)]))
}

function recordOf({ partition }: LedgerEntry, line: string): ArchivedRecord {
  const { offset, loggedAt, headers, value, original } = lineSchema.parse(JSON.parse(line))
  return {
    partition,
    offset,
    loggedAtMs: loggedAt,
    headers,
    value:
      original !== undefined
        ? Buffer.from(original, 'base64')
        : Buffer.from(value === null ? '' : JSON.stringify(value)),
  }
}

function entryOf(row: Row): LedgerEntry {
  return {
    run: Number(row['run']),
    topic: String(row['topic']),
    partition: Number(row['log_partition']),
    first: Number(row['first_offset']),
    last: Number(row['last_offset']),
    records: Number(row['records']),
    file: String(row['file']),
    bytes: Number(row['bytes']),
    sha256: String(row['sha256']),
    manifest: String(row['manifest']),
    stagingFile: textOrNull(row, 'staging_file'),
    jobId: textOrNull(row, 'job_id'),
    rowsLoaded: row['rows_loaded'] === null ? null : Number(row['rows_loaded']),
    supersedes: textOrNull(row, 'supersedes'),
  }
}

function textOrNull(row: Row, name: string): string | null {
  const value = row[name]
  return value === null || value === undefined ? null : String(value)
}
