/** The ledger's rows of files that an erasure replaced: old and new content name each other. */
import { tables } from '../../shared/warehouse/tables.ts'
import { nullable, required } from '../../shared/warehouse/table-spec.ts'
import type { WarehouseSession } from '../../shared/warehouse/warehouse.ts'
import { scratchValues } from '../insert-values.ts'
import { readWholeLedger } from '../raw-archive.ts'
import type { ErasedFile, ErasurePlan, PlannedFile } from './erasure-objects.ts'
import { nextGenerationName } from './rewrite-file.ts'

const SCRATCH = 'replaced_files'
const COLUMNS = [
  required('old_file', 'STRING', 'Name of the content that is replaced.'),
  required('old_sha256', 'STRING', 'Its SHA-256.'),
  required('new_file', 'STRING', 'Name of the content that replaces it.'),
  required('new_sha256', 'STRING', 'Its SHA-256.'),
  nullable('new_bytes', 'INT64', 'Its size, bytes.'),
]

/** What a column of the new content's row is; the others are those of the old one's. */
const OF_NEW: Readonly<Record<string, string>> = {
  file: 'r.new_file',
  sha256: 'r.new_sha256',
  bytes: 'r.new_bytes',
  // The staging files go as well, and nothing was loaded from the new content.
  staging_file: 'CAST(NULL AS STRING)',
  supersedes: 'r.old_sha256',
  superseded_by: 'CAST(NULL AS STRING)',
}
const OF_OLD: Readonly<Record<string, string>> = { superseded_by: 'r.new_sha256' }

export interface Superseded {
  readonly plan: ErasurePlan
  readonly files: readonly ErasedFile[]
  readonly jobId: string
}

export async function supersede(
  session: WarehouseSession,
  { plan, files, jobId }: Superseded,
): Promise<void> {
  if (files.length === 0) return
  const rows = files.map((file) => ({
    old_file: file.name,
    old_sha256: file.sha256,
    new_file: file.replacedBy,
    new_sha256: file.replacedBySha256,
    new_bytes: file.bytes,
  }))
  await scratchValues(session, { scratch: SCRATCH, columns: COLUMNS, rows })
  const scope = `SELECT old_file AS file FROM ${SCRATCH}
UNION ALL
SELECT new_file AS file FROM ${SCRATCH}`
  await session.replaceRows({
    table: tables.ledger.name,
    select: { sql: `${selectOf(OF_OLD)}\nUNION ALL\n${selectOf(OF_NEW)}` },
    scope: ['file'],
    scopeSelect: { sql: scope },
    dates: [...new Set(plan.files.map(({ runDate }) => runDate))].toSorted(),
    jobId,
  })
}

/**
 * Whether the ledger has the files as the plan names them, or those that the erasure has put in their
 * place, which it does in one write; or others, that something else has put there.
 */
export async function stateOf(
  session: WarehouseSession,
  files: readonly PlannedFile[],
): Promise<'inForce' | 'followed' | 'overtaken'> {
  if (files.length === 0) return 'followed'
  const entries = await readWholeLedger(session)
  const names = new Set(entries.map(({ file }) => file))
  if (files.some(({ name }) => names.has(nextGenerationName(name)))) return 'followed'
  const present = new Set(
    entries.flatMap(({ file, supersededBy }) => (supersededBy === null ? [file] : [])),
  )
  return files.every(({ name }) => present.has(name)) ? 'inForce' : 'overtaken'
}

function selectOf(changed: Readonly<Record<string, string>>): string {
  const columns = tables.ledger.columns.map(
    ({ name }) => `${changed[name] ?? `l.${name}`} AS ${name}`,
  )
  return `SELECT ${columns.join(', ')}
FROM ledger AS l
JOIN ${SCRATCH} AS r ON r.old_file = l.file AND r.old_sha256 = l.sha256`
}
