/**
 * What an erasure removes, looked up before anything goes: once rows are gone they cannot say any
 * more where they came from, so a repeat follows the plan that the first try wrote.
 */
import { z } from 'zod'
import { TOPICS } from '../../shared/log/topics.ts'
import type { ObjectStore } from '../../shared/objects/object-store.ts'
import type { SpeedStore } from '../../shared/speed/speed-store.ts'
import type { TableSpec } from '../../shared/warehouse/table-spec.ts'
import { tables } from '../../shared/warehouse/tables.ts'
import { integerOf, textOf } from '../../shared/warehouse/row-values.ts'
import type { Select, WarehouseSession } from '../../shared/warehouse/warehouse.ts'
import { batchErrors } from '../errors.ts'
import { readStagingList } from '../flatten.ts'
import { scratchValues } from '../insert-values.ts'
import {
  ERASE_FILES_MAX,
  ERASE_SESSIONS_MAX,
  ERASE_SESSIONS_PER_PAGE,
  QUERY_TIMEOUT_MS,
} from '../limits.ts'
import { RAW_TOPICS, type RawTopic } from '../raw-line.ts'
import { readRunFiles } from '../run-files.ts'
import type { ErasurePlan, ErasureRecord, PlannedFile } from './erasure-objects.ts'

/**
 * Tables with rows of a session, in the order in which they are erased. What waits goes first: else a
 * run after a cut-off erasure could settle it into days of `events` that count as erased. Sums over
 * all sessions (`qoe_minute`) name nobody, and stay.
 */
export const SESSION_TABLES: readonly TableSpec[] = [
  tables.lateEvents,
  tables.events,
  tables.eventCopies,
  tables.frames,
  tables.sessions,
  tables.sessionMinutes,
  tables.rejects,
  tables.exceptions,
]

/** The scratch table of the sessions that are erased. */
export const ERASED_SESSIONS = 'erased_sessions'

export interface PlanParts {
  readonly session: WarehouseSession
  readonly objects: ObjectStore
  readonly speed: SpeedStore
  readonly views: readonly string[]
  readonly record: ErasureRecord
  /** Sessions of earlier rounds: what came of them since goes as well. */
  readonly earlierSessions: readonly string[]
}

export async function makePlan(parts: PlanParts): Promise<ErasurePlan> {
  const { session, record } = parts
  const found = new Set(parts.earlierSessions)
  for (const id of await sessionsOfTables(session, record)) found.add(id)
  for (const view of parts.views) await addLiveSessions(parts, view, found)
  if (found.size > ERASE_SESSIONS_MAX) throw tooLarge(`${ERASE_SESSIONS_MAX} sessions`, found.size)
  const sessions = [...found].toSorted()
  await scratchSessions(session, sessions)
  const files = await filesOf(session)
  const rows: Record<string, number> = {}
  for (const table of SESSION_TABLES) rows[table.name] = await countRows(session, table)
  return {
    format: 1,
    erasedAtMs: record.erasedAtMs,
    sessions,
    files,
    stagingFiles: await stagingFilesOf(parts, files),
    rows,
  }
}

export function scratchSessions(
  session: WarehouseSession,
  sessions: readonly string[],
): Promise<void> {
  const columns = tables.frames.columns.filter(({ name }) => name === 'session_id')
  const rows = sessions.map((id) => ({ session_id: id }))
  return scratchValues(session, { scratch: ERASED_SESSIONS, columns, rows })
}

async function sessionsOfTables(
  session: WarehouseSession,
  { erasedAtMs, pseudonyms }: ErasureRecord,
): Promise<string[]> {
  const parameters = Object.fromEntries(pseudonyms.map((one, index) => [`p_${index}`, one]))
  const names = Object.keys(parameters).map((name) => `@${name}`)
  const selects = [tables.events, tables.eventCopies, tables.lateEvents].map(
    ({ name }) => `SELECT session_id
FROM ${name}
WHERE viewer_pseudonym IN (${names.join(', ')}) AND logged_at_ms <= @erased_at_ms`,
  )
  const rows = await query(
    session,
    {
      sql: selects.join('\nUNION DISTINCT\n'),
      parameters: { ...parameters, erased_at_ms: erasedAtMs },
    },
    ERASE_SESSIONS_MAX,
  )
  return rows.map((row) => textOf(row, 'session_id') ?? '')
}

const contextSchema = z.object({ viewerPseudonym: z.string().optional() })

/** Sessions that no run has loaded yet are known to the live view. */
async function addLiveSessions(
  { speed, record }: PlanParts,
  view: string,
  found: Set<string>,
): Promise<void> {
  for (let afterSessionId: string | undefined; ;) {
    const page = await speed.readSessions(view, {
      limit: ERASE_SESSIONS_PER_PAGE,
      ...(afterSessionId === undefined ? {} : { afterSessionId }),
    })
    for (const { sessionId, contextJson, firstReceivedAtMs } of page) {
      const { viewerPseudonym } = contextSchema.parse(JSON.parse(contextJson))
      const isOfViewer = record.pseudonyms.some((one) => one === viewerPseudonym)
      if (isOfViewer && firstReceivedAtMs <= record.erasedAtMs) found.add(sessionId)
    }
    afterSessionId = page.at(-1)?.sessionId
    if (afterSessionId === undefined) return
  }
}

const PLACES: Readonly<Record<RawTopic, TableSpec>> = {
  [TOPICS.events]: tables.frames,
  [TOPICS.rejects]: tables.rejects,
  [TOPICS.exceptions]: tables.exceptions,
}

/** Raw files that hold a record of an erased session, in the order of the ledger. */
async function filesOf(session: WarehouseSession): Promise<PlannedFile[]> {
  const files: PlannedFile[] = []
  for (const topic of RAW_TOPICS) {
    const rows = await query(
      session,
      {
        sql: `SELECT DISTINCT l.file, l.sha256, l.log_partition, l.first_offset, l.last_offset,
  l.run, l.run_date
FROM ledger AS l
JOIN ${PLACES[topic].name} AS r
  ON r.log_partition = l.log_partition
  AND r.log_offset BETWEEN l.first_offset AND l.last_offset
JOIN ${ERASED_SESSIONS} AS e ON e.session_id = r.session_id
WHERE l.topic = @topic AND l.superseded_by IS NULL
ORDER BY l.log_partition, l.first_offset`,
        parameters: { topic },
      },
      ERASE_FILES_MAX,
    )
    files.push(
      ...rows.map((row) => ({
        name: textOf(row, 'file') ?? '',
        sha256: textOf(row, 'sha256') ?? '',
        topic,
        partition: integerOf(row, 'log_partition'),
        first: integerOf(row, 'first_offset'),
        last: integerOf(row, 'last_offset'),
        run: integerOf(row, 'run'),
        runDate: textOf(row, 'run_date') ?? '',
      })),
    )
  }
  return files
}

/** What runs made from the files, or from those that are joined in them. */
async function stagingFilesOf(
  { objects, session }: PlanParts,
  files: readonly PlannedFile[],
): Promise<string[]> {
  const planned = new Set(files.map(({ name }) => name))
  const written = (await readRunFiles(session))
    .filter(({ present }) => planned.has(present.file))
    .map((file) => file.written)
  const rawFiles = new Set(written.map(({ file }) => file))
  const staged: string[] = []
  for (const run of new Set(written.map((file) => file.run)))
    for (const { name, rawFile } of (await readStagingList(objects, run)) ?? [])
      if (rawFiles.has(rawFile)) staged.push(name)
  return staged
}

async function countRows(session: WarehouseSession, { name }: TableSpec): Promise<number> {
  const sql = `SELECT COUNT(*) AS n
FROM ${name}
WHERE session_id IN (SELECT session_id FROM ${ERASED_SESSIONS})`
  const [row] = await query(session, { sql }, 1)
  return row === undefined ? 0 : integerOf(row, 'n')
}

async function query(session: WarehouseSession, select: Select, maxRows: number) {
  return session.query(select, { maxRows, timeoutMs: QUERY_TIMEOUT_MS })
}

function tooLarge(expected: string, received: number) {
  return batchErrors.create('BATCH_ERASE_TOO_LARGE', { expected, received: `${received}` })
}
