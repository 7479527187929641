/**
 * Content metadata in the history. A run takes it as it is then; sessions that the run computes are
 * joined with it by SQL as of the beginning of each part, and those of earlier runs whose content has
 * changed meanwhile are filled in.
 *
 *   changed contents, marked in the table ─► facts ─► sessions filled in ─► the table, unmarked
 *
 * A mark is an empty hash. It is there before any session carries what is new, so that a try which is
 * cut off leaves those contents changed for the next, whatever the metadata says of them by then.
 */
import { createHash } from 'node:crypto'
import type { Catalogue } from '../shared/content/catalogue.ts'
import { encodeContent, type Content } from '../shared/content/content-record.ts'
import { CONTENTS_MAX } from '../shared/content/limits.ts'
import { CARRIED_COLUMNS, factColumn, metadataColumns } from '../shared/warehouse/content-table.ts'
import { tables } from '../shared/warehouse/tables.ts'
import type { Select, WarehouseSession } from '../shared/warehouse/warehouse.ts'
import { scratchLines } from './insert-lines.ts'
import type { ValueRow } from './insert-values.ts'
import { replaceByDates } from './by-dates.ts'
import { DATES_MAX, QUERY_TIMEOUT_MS } from './limits.ts'
import { readSql } from './read-sql.ts'

/** Metadata as a run takes it. */
export interface ContentOfRun {
  readonly catalogue: Catalogue
  /** When; it tells the jobs of a try from those of others, which may have taken something else. */
  readonly takenAtMs: number
}

/** What has changed of it since the table was written; its rows are in scratch tables of the session. */
export interface ChangedContent {
  readonly contents: number
  /** All of the metadata, in the columns of `content`. */
  readonly select: Select
  /** The earliest UTC day on which what is said of them may be another now. */
  readonly fromDate: string
  /** What the names of its jobs begin with. */
  readonly jobs: string
}

const HASH_DIGITS = 16
/** Contents of the table: those that ended and those that came, while a try marks them. */
const CONTENTS_KNOWN_MAX = 2 * CONTENTS_MAX

/**
 * Compares the catalogue with the table, and marks what has changed. An empty catalogue changes
 * nothing: it is a source that has not been filled rather than the end of all contents.
 */
export async function beginContent(
  session: WarehouseSession,
  { catalogue, takenAtMs }: ContentOfRun,
  { run, jobs }: { readonly run: number; readonly jobs: string },
): Promise<ChangedContent> {
  const known = new Map<string, string>()
  for (const row of await session.query(sql('hashes'), limitsOf(CONTENTS_KNOWN_MAX)))
    known.set(String(row['content_id']), String(row['content_hash']))
  const hashes = new Map([...catalogue].map((content) => [content.contentId, hashOf(content)]))
  const changed = [...hashes].flatMap(([id, hash]) => (known.get(id) === hash ? [] : id))
  if (catalogue.contents > 0) for (const id of known.keys()) if (!hashes.has(id)) changed.push(id)
  const { columns } = tables.content
  await scratchLines(session, {
    scratch: 'content_changed',
    columns: columns.filter(({ name }) => name === 'content_id'),
    rows: changed.map((id) => ({ content_id: id })),
  })
  await scratchLines(session, {
    scratch: 'content_changed_rows',
    columns,
    rows: changed.flatMap((id) => {
      const content = catalogue.get(id)
      return content === undefined ? [] : rowsOf(content, hashes.get(id) ?? '', run)
    }),
  })
  // What was said of marked contents before is gone: it may have been of any time.
  const isMarked = changed.some((id) => known.get(id) === '')
  const [fromDate = EARLIEST_DATE] = isMarked ? [] : await datesOf(session, 'from-date')
  const content = {
    contents: changed.length,
    select: sql('content'),
    fromDate,
    jobs: `${jobs}-content-${takenAtMs}`,
  }
  if (changed.length > 0)
    await replaceContents(session, { sql: markedSql() }, `${content.jobs}-marked`)
  return content
}

/** Fills sessions in, and takes the marks away; a repeat changes nothing. */
export async function finishContent(
  session: WarehouseSession,
  { contents, fromDate, jobs }: ChangedContent,
): Promise<void> {
  if (contents === 0) return
  await refillSessions(session, fromDate, jobs)
  await replaceContents(session, { sql: 'SELECT * FROM content_changed_rows' }, jobs)
}

/** Replaces the rows of the changed contents in the table. */
async function replaceContents(
  session: WarehouseSession,
  select: Select,
  jobId: string,
): Promise<void> {
  await session.replaceRows({
    table: tables.content.name,
    select,
    scope: ['content_id'],
    scopeSelect: { sql: 'SELECT content_id FROM content_changed' },
    dates: await datesOf(session, 'years'),
    jobId,
  })
}

/** The changed contents as they are now, and those that have ended as they were, all without a hash. */
function markedSql(): string {
  const columns = tables.content.columns
    .map(({ name }) => (name === 'content_hash' ? `'' AS ${name}` : `c.${name}`))
    .join(', ')
  return `SELECT ${columns} FROM content_changed_rows AS c
    UNION ALL
    SELECT ${columns}
    FROM content AS c
    JOIN content_changed AS d ON d.content_id = c.content_id
    WHERE NOT EXISTS (SELECT 1 FROM content_changed_rows AS r WHERE r.content_id = c.content_id)`
}

/** Rewrites the parts of changed contents that say something else than the metadata does now. */
async function refillSessions(
  session: WarehouseSession,
  fromDate: string,
  jobs: string,
): Promise<void> {
  await session.scratch('content_refilled', refilledSelect(fromDate))
  const dates = await datesOf(session, 'refilled-dates')
  const { name, key } = tables.sessions
  await replaceByDates(session, {
    table: name,
    select: { sql: 'SELECT * FROM content_refilled' },
    scope: key,
    scopeSelect: { sql: `SELECT ${key.join(', ')} FROM content_refilled` },
    dates,
    jobId: `${jobs}-sessions`,
  })
}

const EARLIEST_DATE = '1970-01-01'

/** Rows of `sessions`, its own columns as they are and those of the metadata as they should be. */
function refilledSelect(fromDate: string): Select {
  const carried = new Map(CARRIED_COLUMNS.map(({ name }) => [factColumn(name), `k.${name}`]))
  const columns = tables.sessions.columns.map(
    ({ name }) => `${carried.get(name) ?? `s.${name}`} AS ${name}`,
  )
  const differences = [...carried].map(([own, now]) => `s.${own} IS DISTINCT FROM ${now}`)
  return {
    sql: `SELECT ${columns.join(', ')}
      FROM sessions AS s
      JOIN content_changed AS d ON d.content_id = s.content_id
      LEFT JOIN facts_content AS k
        ON k.content_id = s.content_id
        AND k.valid_from_ms <= s.first_event_time_ms
        AND (k.valid_to_ms IS NULL OR s.first_event_time_ms < k.valid_to_ms)
      WHERE s.start_date >= CAST(@from_date AS DATE) AND (${differences.join(' OR ')})`,
    parameters: { from_date: fromDate },
  }
}

function rowsOf({ contentId, versions }: Content, hash: string, run: number): ValueRow[] {
  return versions.map((version, index) => ({
    content_id: contentId,
    valid_from_ms: version.validFromMs,
    valid_to_ms: versions[index + 1]?.validFromMs,
    valid_from_year: `${new Date(version.validFromMs).toISOString().slice(0, 4)}-01-01`,
    ...Object.fromEntries(
      metadataColumns.map(({ name, path }) => {
        const value = version[path[0] as keyof typeof version]
        return [name, typeof value === 'object' ? JSON.stringify(value) : value]
      }),
    ),
    content_hash: hash,
    run,
  }))
}

function hashOf(content: Content): string {
  return createHash('sha256').update(encodeContent(content)).digest('hex').slice(0, HASH_DIGITS)
}

async function datesOf(session: WarehouseSession, file: string): Promise<string[]> {
  const rows = await session.query(sql(file), limitsOf(DATES_MAX))
  return rows.flatMap((row) => (row['date'] === null ? [] : String(row['date']))).toSorted()
}

function sql(file: string): Select {
  return { sql: readSql(`content/${file}`) }
}

function limitsOf(maxRows: number) {
  return { maxRows, timeoutMs: QUERY_TIMEOUT_MS }
}
