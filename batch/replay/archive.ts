/** The raw files as they are now, and their records in the order of the log. */
import type { LogRecord } from '../../shared/log/event-log.ts'
import type { ObjectStore } from '../../shared/objects/object-store.ts'
import { integerOf, textOf } from '../../shared/warehouse/row-values.ts'
import type { Row, WarehouseSession } from '../../shared/warehouse/warehouse.ts'
import { batchErrors } from '../errors.ts'
import { QUERY_TIMEOUT_MS, REPLAY_FILES_MAX } from '../limits.ts'
import { RAW_TOPICS, type RawTopic } from '../raw-line.ts'
import { rawLines, recordOfLine } from '../raw-reader.ts'
import { readObject, sha256Of } from '../run-objects.ts'

/** A file that the ledger names and no other has replaced. */
export interface ArchivedFile {
  readonly name: string
  readonly sha256: string
  readonly topic: RawTopic
  readonly partition: number
  readonly first: number
  /** Inclusive. */
  readonly last: number
  readonly run: number
}

/** All of them, in the order of topic, partition and offset. */
export async function archivedFiles(session: WarehouseSession): Promise<ArchivedFile[]> {
  const rows = await session.query(
    {
      sql: `SELECT file, sha256, topic, log_partition, first_offset, last_offset, run
FROM ledger
WHERE superseded_by IS NULL
ORDER BY topic, log_partition, first_offset`,
    },
    { maxRows: REPLAY_FILES_MAX, timeoutMs: QUERY_TIMEOUT_MS },
  )
  return rows.flatMap(fileOf)
}

function fileOf(row: Row): ArchivedFile[] {
  const topic = RAW_TOPICS.find((known) => known === row['topic'])
  if (topic === undefined) return []
  return [
    {
      topic,
      name: textOf(row, 'file') ?? '',
      sha256: textOf(row, 'sha256') ?? '',
      partition: integerOf(row, 'log_partition'),
      first: integerOf(row, 'first_offset'),
      last: integerOf(row, 'last_offset'),
      run: integerOf(row, 'run'),
    },
  ]
}

/** The file's bytes; throws `BATCH_OBJECT_MISSING` or `BATCH_RAW_FILE_DAMAGED`. */
export async function readArchived(objects: ObjectStore, file: ArchivedFile): Promise<Uint8Array> {
  const bytes = await readObject(objects, file.name)
  const found = sha256Of(bytes)
  if (found !== file.sha256)
    throw batchErrors.create('BATCH_RAW_FILE_DAMAGED', {
      expected: `${file.name} with SHA-256 ${file.sha256}`,
      received: `${bytes.length} bytes with ${found}`,
    })
  return bytes
}

/** The file's records; one compressed file and one line are held at a time. */
export async function* archivedRecords(
  objects: ObjectStore,
  file: ArchivedFile,
): AsyncGenerator<LogRecord> {
  const bytes = await readArchived(objects, file)
  for await (const line of rawLines(file.name, bytes))
    yield recordOfLine(file.name, file.partition, line)
}
