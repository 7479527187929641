/** The ledger's rows of files that were joined: each old one names the content that it went into. */
import { createHash } from 'node:crypto'
import { tables } from '../../shared/warehouse/tables.ts'
import { required } from '../../shared/warehouse/table-spec.ts'
import type { WarehouseSession } from '../../shared/warehouse/warehouse.ts'
import { scratchValues, type ValueRow } from '../insert-values.ts'
import type { LedgerEntry } from '../raw-archive.ts'
import type { Join } from './plan.ts'

/** A join whose file is there. */
export interface Joined extends Join {
  readonly bytes: number
  readonly sha256: string
}

const JOINED = 'joined_files_of_day'
const PARTS = 'parts_of_joined_files'
const PART_COLUMNS = [
  required('old_file', 'STRING', 'Name of a file that was joined.'),
  required('old_sha256', 'STRING', 'Its SHA-256.'),
  required('new_sha256', 'STRING', 'SHA-256 of the file that it was joined in.'),
]

/** Old and new rows of a day, in one write. */
export async function supersedeParts(
  session: WarehouseSession,
  joined: readonly Joined[],
): Promise<void> {
  await scratchValues(session, {
    scratch: JOINED,
    columns: tables.ledger.columns,
    rows: joined.map(rowOf),
  })
  await scratchValues(session, {
    scratch: PARTS,
    columns: PART_COLUMNS,
    rows: joined.flatMap(({ parts, sha256 }) =>
      parts.map((part) => ({ old_file: part.file, old_sha256: part.sha256, new_sha256: sha256 })),
    ),
  })
  const names = tables.ledger.columns.map(({ name }) => name)
  const ofPart = names.map((name) => (name === 'superseded_by' ? 'p.new_sha256' : `l.${name}`))
  await session.replaceRows({
    table: tables.ledger.name,
    select: {
      sql: `SELECT ${ofPart.map((value, index) => `${value} AS ${names[index]}`).join(', ')}
FROM ledger AS l
JOIN ${PARTS} AS p ON p.old_file = l.file AND p.old_sha256 = l.sha256
UNION ALL
SELECT ${names.join(', ')} FROM ${JOINED}`,
    },
    scope: ['file'],
    scopeSelect: {
      sql: `SELECT old_file AS file FROM ${PARTS}
UNION ALL
SELECT file FROM ${JOINED}`,
    },
    dates: [
      ...new Set(joined.flatMap(({ parts }) => parts.map(({ runDate }) => runDate))),
    ].toSorted(),
    jobId: `compact-${digestOf(joined)}`,
  })
}

/** What it says of run and manifest is that of its last part; which rows are whose, the parts' rows say. */
function rowOf({ name, parts, bytes, sha256 }: Joined): ValueRow {
  const [first, last] = [parts[0], parts.at(-1)]
  const sum = (of: (part: LedgerEntry) => number) =>
    parts.reduce((total, part) => total + of(part), 0)
  return {
    run: last?.run,
    run_date: last?.runDate,
    topic: last?.topic,
    log_partition: last?.partition,
    first_offset: first?.first,
    last_offset: last?.last,
    records: sum(({ records }) => records),
    file: name,
    bytes,
    sha256,
    manifest: last?.manifest,
    rows_loaded: sum(({ rowsLoaded }) => rowsLoaded ?? 0),
    joined_files: sum(({ joinedFiles }) => joinedFiles ?? 1),
  }
}

function digestOf(joined: readonly Joined[]): string {
  const hash = createHash('sha256')
  for (const { name, sha256 } of joined) hash.update(`${name} ${sha256}\n`)
  return hash.digest('hex')
}
