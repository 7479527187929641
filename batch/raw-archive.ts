/** Raw files as the ledger knows them: whether they are intact, and the log's records in them. */
import { existsSync } from 'node:fs'
import type { LogRecord } from '../shared/log/event-log.ts'
import type { ObjectStore } from '../shared/objects/object-store.ts'
import { assert, BackhaulError } from '../shared/runtime/errors.ts'
import { integerOf, optionalIntegerOf, textOf } from '../shared/warehouse/row-values.ts'
import { tables } from '../shared/warehouse/tables.ts'
import type { Row, Select, WarehouseSession } from '../shared/warehouse/warehouse.ts'
import { batchErrors } from './errors.ts'
import { LEDGER_ROWS_MAX, QUERY_TIMEOUT_MS } from './limits.ts'
import { RAW_TOPICS, type RawTopic } from './raw-line.ts'
import { rawLines, recordOfLine } from './raw-reader.ts'
import { sha256Of } from './run-objects.ts'

/** A row of the ledger: a raw file, and what was made of it. */
export interface LedgerEntry {
  readonly run: number
  readonly topic: RawTopic
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

/** What is wrong with a file, if anything. */
export type FileFault = 'missing' | 'altered'

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
export async function readIfIntact(
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

/** The file's bytes; throws `BATCH_OBJECT_MISSING` or `BATCH_RAW_FILE_DAMAGED`. */
export async function readArchived(objects: ObjectStore, entry: LedgerEntry): Promise<Uint8Array> {
  const found = await readIfIntact(objects, entry)
  if (found === 'missing')
    throw batchErrors.create('BATCH_OBJECT_MISSING', { expected: entry.file })
  if (found === 'altered')
    throw batchErrors.create('BATCH_RAW_FILE_DAMAGED', {
      expected: `${entry.file} of ${entry.bytes} bytes with SHA-256 ${entry.sha256}`,
      received: 'other bytes',
    })
  return found
}

/** The file's records; one compressed file and one line are held at a time. */
export async function* archivedRecords(
  objects: ObjectStore,
  entry: LedgerEntry,
): AsyncGenerator<LogRecord> {
  const bytes = await readArchived(objects, entry)
  for await (const line of rawLines(entry.file, bytes))
    yield recordOfLine(entry.file, entry.partition, line)
}

function entryOf(row: Row): LedgerEntry {
  const topic = RAW_TOPICS.find((known) => known === row['topic'])
  assert(topic !== undefined, 'a topic of raw files in the ledger')
  return {
    topic,
    run: integerOf(row, 'run'),
    partition: integerOf(row, 'log_partition'),
    first: integerOf(row, 'first_offset'),
    last: integerOf(row, 'last_offset'),
    records: integerOf(row, 'records'),
    file: textOf(row, 'file') ?? '',
    bytes: integerOf(row, 'bytes'),
    sha256: textOf(row, 'sha256') ?? '',
    manifest: textOf(row, 'manifest') ?? '',
    stagingFile: textOf(row, 'staging_file') ?? null,
    jobId: textOf(row, 'job_id') ?? null,
    rowsLoaded: optionalIntegerOf(row, 'rows_loaded') ?? null,
    supersedes: textOf(row, 'supersedes') ?? null,
  }
}
