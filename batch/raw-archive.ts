/** Raw files as the ledger knows them: whether they are intact, and the log's records in them. */
import { existsSync } from 'node:fs'
import type { LogRecord } from '../shared/log/event-log.ts'
import type { ObjectStore } from '../shared/objects/object-store.ts'
import { assert, BackhaulError } from '../shared/runtime/errors.ts'
import { integerOf, optionalIntegerOf, textOf } from '../shared/warehouse/row-values.ts'
import { tables } from '../shared/warehouse/tables.ts'
import type { Row, Select, Warehouse, WarehouseSession } from '../shared/warehouse/warehouse.ts'
import { batchErrors } from './errors.ts'
import { LEDGER_ROWS_MAX, QUERY_TIMEOUT_MS } from './limits.ts'
import { RAW_TOPICS, type RawTopic } from './raw-line.ts'
import { rawLines, recordOfLine } from './raw-reader.ts'
import { sha256Of } from './run-objects.ts'

/** A row of the ledger: a raw file, and what was made of it. */
export interface LedgerEntry {
  readonly run: number
  /** UTC day of the run's cut. */
  readonly runDate: string
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
  readonly supersededBy: string | null
  /** Files of runs that are joined in it; `null` for the file of one run. */
  readonly joinedFiles: number | null
}

/** What is wrong with a file, if anything. */
export type FileFault = 'missing' | 'altered'

/**
 * Rows of the ledger by a condition, ascending by topic, partition and offset. Of a file whose
 * content was replaced only the present content counts.
 */
export function readLedger(
  session: WarehouseSession,
  condition: Select = { sql: 'TRUE' },
): Promise<LedgerEntry[]> {
  return readWholeLedger(session, {
    ...condition,
    sql: `superseded_by IS NULL AND (${condition.sql})`,
  })
}

/** The same with the rows of content that was replaced. */
export async function readWholeLedger(
  session: WarehouseSession,
  condition: Select = { sql: 'TRUE' },
): Promise<LedgerEntry[]> {
  const sql = `SELECT * FROM ${tables.ledger.name} WHERE ${condition.sql}
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

export interface Archive {
  readonly objects: ObjectStore
  readonly warehouse: Pick<Warehouse, 'open'>
}

/**
 * The file's records; one compressed file and one line are held at a time. Whoever holds no lease may
 * find that the file was replaced since the ledger was read: then what replaced it is read.
 */
export async function* archivedRecords(
  archive: Archive,
  entry: LedgerEntry,
): AsyncGenerator<LogRecord> {
  const { file, bytes } = await readPresent(archive, entry)
  for await (const line of rawLines(file, bytes)) {
    const record = recordOfLine(file, entry.partition, line)
    if (record.offset >= entry.first && record.offset <= entry.last) yield record
  }
}

async function readPresent(
  { objects, warehouse }: Archive,
  entry: LedgerEntry,
): Promise<{ readonly file: string; readonly bytes: Uint8Array }> {
  try {
    return { file: entry.file, bytes: await readArchived(objects, entry) }
  } catch (error) {
    if (!(error instanceof BackhaulError) || error.code !== 'BATCH_OBJECT_MISSING') throw error
    const session = await warehouse.open()
    try {
      const replacing = (await readReplacing(session, entry)).at(0)
      if (replacing === undefined) throw error
      return { file: replacing.file, bytes: await readArchived(objects, replacing) }
    } finally {
      await session.close()
    }
  }
}

/** What has the file's records now, if it is no longer in force; of a younger session. */
export async function readReplacing(
  session: WarehouseSession,
  { file, topic, partition, first, last }: LedgerEntry,
): Promise<LedgerEntry[]> {
  return readLedger(session, {
    sql: `file <> @file AND topic = @topic AND log_partition = @partition
      AND first_offset <= @first AND last_offset >= @last`,
    parameters: { file, topic, partition, first, last },
  })
}

function entryOf(row: Row): LedgerEntry {
  const topic = RAW_TOPICS.find((known) => known === row['topic'])
  assert(topic !== undefined, 'a topic of raw files in the ledger')
  return {
    topic,
    run: integerOf(row, 'run'),
    runDate: textOf(row, 'run_date') ?? '',
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
    supersededBy: textOf(row, 'superseded_by') ?? null,
    joinedFiles: optionalIntegerOf(row, 'joined_files') ?? null,
  }
}
