/**
 * Whether the tables hold as many rows as the raw files have: what was deleted from a table, or
 * written twice, after its run was over shows in no hash. Counted by partition, one read of two columns
 * of each table; only where a count differs are the ranges of its files looked at. Whose run a row is of
 * decides nothing: what waited in `late_events` is settled by another, and a joined file is of several.
 */
import type { ObjectStore } from '../shared/objects/object-store.ts'
import type { BackhaulError } from '../shared/runtime/errors.ts'
import { TOPICS } from '../shared/log/topics.ts'
import { integerOf, textOf } from '../shared/warehouse/row-values.ts'
import type { TableSpec } from '../shared/warehouse/table-spec.ts'
import { tables } from '../shared/warehouse/tables.ts'
import type { Select, WarehouseSession } from '../shared/warehouse/warehouse.ts'
import { readControl } from './control.ts'
import { batchErrors } from './errors.ts'
import { LEDGER_ROWS_MAX, QUERY_TIMEOUT_MS, VERIFY_PLACES_MAX } from './limits.ts'
import { readManifest } from './manifest.ts'
import { rawFileDay } from './object-names.ts'
import type { LedgerEntry } from './raw-archive.ts'
import { addCounts, encodeRawLine, NO_COUNTS, type RawCounts, type RawTopic } from './raw-line.ts'
import { rawLines, recordOfLine } from './raw-reader.ts'

/** Rows that are wrong in number: of a raw file, in tables that share its records. */
export interface RowsDifference {
  readonly code: 'BATCH_TABLE_ROWS_DIFFER'
  readonly tables: readonly string[]
  readonly run: number
  readonly topic: RawTopic
  readonly partition: number
  readonly first: number
  /** Inclusive. */
  readonly last: number
  readonly expected: number
  readonly found: number
  /** What brings the rows back, or takes away what is too many. */
  readonly command: string
}

export interface RowsParts {
  readonly session: WarehouseSession
  readonly objects: ObjectStore
  readonly entries: readonly LedgerEntry[]
  /** What is in those that are intact and were written anew, by their names. */
  readonly counted: ReadonlyMap<string, RawCounts>
}

interface Stored {
  readonly topic: RawTopic
  readonly tables: readonly TableSpec[]
  rowsOf(counts: RawCounts): number
}

/** Which of a copy's tables it is in only the load decides, so they are counted as one. */
const STORED: readonly Stored[] = [
  {
    topic: TOPICS.events,
    tables: [tables.events, tables.eventCopies, tables.lateEvents],
    rowsOf: ({ events, rejectedSeqs }) => events + rejectedSeqs,
  },
  { topic: TOPICS.events, tables: [tables.frames], rowsOf: ({ rows }) => rows },
  { topic: TOPICS.rejects, tables: [tables.rejects], rowsOf: ({ rows }) => rows },
  { topic: TOPICS.exceptions, tables: [tables.exceptions], rowsOf: ({ rows }) => rows },
]

/**
 * The first `VERIFY_PLACES_MAX` differences of runs that are over. Nobody must write the tables
 * meanwhile.
 */
export async function compareRows(parts: RowsParts): Promise<RowsDifference[]> {
  const { session, entries } = parts
  const { lastRun } = await readControl(session)
  const counts = await countsByFile(parts)
  const differences: RowsDifference[] = []
  for (const stored of STORED) {
    const ofTopic = entries.filter(({ topic, run }) => topic === stored.topic && run <= lastRun)
    const found = await countByPartition(session, stored, lastRun)
    for (const [partition, files] of Map.groupBy(ofTopic, (entry) => entry.partition)) {
      const expected = expectedRows(stored, files, counts)
      const sum = [...expected.values()].reduce((total, rows) => total + rows, 0)
      if (expected.size === files.length && sum === (found.get(partition) ?? 0)) continue
      const ofPartition = { partition, lastRun, files, expected }
      differences.push(...(await differingFiles(session, stored, ofPartition)))
      if (differences.length >= VERIFY_PLACES_MAX) return differences.slice(0, VERIFY_PLACES_MAX)
    }
  }
  return differences
}

/** By file; nothing of one that was written anew and is missing or altered: nobody can say. */
function expectedRows(
  { rowsOf }: Stored,
  files: readonly LedgerEntry[],
  counts: ReadonlyMap<string, RawCounts>,
): ReadonlyMap<string, number> {
  return new Map(
    files.flatMap(({ file }) => {
      const known = counts.get(file)
      return known === undefined ? [] : [[file, rowsOf(known)] as const]
    }),
  )
}

/** By an erasure, or joined of others. */
export function isWrittenAnew({ supersedes, joinedFiles }: LedgerEntry): boolean {
  return supersedes !== null || joinedFiles !== null
}

export function rowsDifferenceError(difference: RowsDifference): BackhaulError {
  const { topic, partition, first, last, run, expected, found, command } = difference
  return batchErrors.create('BATCH_TABLE_ROWS_DIFFER', {
    expected: `${expected} rows of run ${run}, ${topic}/${partition}, offsets ${first} to ${last}, in ${difference.tables.join(' and ')}`,
    received: `${found}; ${command}`,
  })
}

/** What the records of a raw file are. */
export async function countRecords(
  { file, topic, partition }: LedgerEntry,
  bytes: Uint8Array,
): Promise<RawCounts> {
  let counts = NO_COUNTS
  for await (const line of rawLines(file, bytes))
    counts = addCounts(
      counts,
      encodeRawLine(topic, recordOfLine(file, partition, line), null).counts,
    )
  return counts
}

/** From the manifests of their runs, but of files that were written anew since. */
async function countsByFile({
  objects,
  entries,
  counted,
}: RowsParts): Promise<ReadonlyMap<string, RawCounts>> {
  const counts = new Map(counted)
  const asWritten = entries.filter((entry) => !isWrittenAnew(entry))
  const names = new Set(asWritten.map(({ file }) => file))
  for (const run of new Set(asWritten.map((entry) => entry.run)))
    for (const file of (await readManifest(objects, run))?.files ?? [])
      if (names.has(file.name)) counts.set(file.name, file.counts)
  return counts
}

/** Without what a run has loaded that is not over. */
function rowsSelect({ tables: stored }: Stored, columns: string): string {
  return stored
    .map(({ name }) => `SELECT ${columns} FROM ${name} WHERE run <= CAST(@last_run AS INT64)`)
    .join(' UNION ALL ')
}

async function countByPartition(
  session: WarehouseSession,
  stored: Stored,
  lastRun: number,
): Promise<ReadonlyMap<number, number>> {
  const rows = await query(session, {
    sql: `SELECT log_partition, COUNT(*) AS found
FROM (${rowsSelect(stored, 'log_partition')}) AS r
GROUP BY log_partition`,
    parameters: { last_run: lastRun },
  })
  return new Map(rows.map((row) => [integerOf(row, 'log_partition'), integerOf(row, 'found')]))
}

interface FilesOfPartition {
  readonly partition: number
  readonly lastRun: number
  readonly files: readonly LedgerEntry[]
  readonly expected: ReadonlyMap<string, number>
}

/** A range that came again after a loss of control rows is in two files, and its rows are there once. */
async function differingFiles(
  session: WarehouseSession,
  stored: Stored,
  { partition, lastRun, files, expected }: FilesOfPartition,
): Promise<RowsDifference[]> {
  const rows = await query(session, {
    sql: `SELECT l.file, COUNT(r.log_offset) AS found
FROM ledger AS l
LEFT JOIN (${rowsSelect(stored, 'log_partition, log_offset')}) AS r
  ON r.log_partition = l.log_partition
  AND r.log_offset BETWEEN l.first_offset AND l.last_offset
WHERE l.superseded_by IS NULL AND l.topic = @topic AND l.log_partition = CAST(@partition AS INT64)
GROUP BY l.file`,
    parameters: { topic: stored.topic, partition, last_run: lastRun },
  })
  const found = new Map(rows.map((row) => [textOf(row, 'file'), integerOf(row, 'found')]))
  return files.flatMap((entry) => {
    const [expectedOfFile, foundOfFile] = [expected.get(entry.file), found.get(entry.file) ?? 0]
    if (expectedOfFile === undefined || expectedOfFile === foundOfFile) return []
    return [differenceOf(stored, entry, { expected: expectedOfFile, found: foundOfFile })]
  })
}

function differenceOf(
  stored: Stored,
  { run, topic, partition, first, last, file }: LedgerEntry,
  { expected, found }: Pick<RowsDifference, 'expected' | 'found'>,
): RowsDifference {
  const day = rawFileDay(file)
  const command =
    found < expected
      ? `npx backhaul replay --range ${topic}/${partition}@${first}-${last}`
      : `npx backhaul backfill --from ${day} --to ${day}`
  const names = stored.tables.map(({ name }) => name)
  return {
    code: 'BATCH_TABLE_ROWS_DIFFER',
    tables: names,
    run,
    topic,
    partition,
    first,
    last,
    expected,
    found,
    command,
  }
}

function query(session: WarehouseSession, select: Select) {
  return session.query(select, { maxRows: LEDGER_ROWS_MAX, timeoutMs: QUERY_TIMEOUT_MS })
}
