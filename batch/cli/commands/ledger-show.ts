/** `ledger show`: where something in the log went, and where something in the files came from. */
import { type LedgerEntry, readWholeLedger } from '../../raw-archive.ts'
import { RAW_TOPICS, type RawTopic } from '../../raw-line.ts'
import { TOPICS } from '../../../shared/log/topics.ts'
import { integerOf, optionalIntegerOf } from '../../../shared/warehouse/row-values.ts'
import { tables } from '../../../shared/warehouse/tables.ts'
import type { Row, Select, WarehouseSession } from '../../../shared/warehouse/warehouse.ts'
import { usage } from '../arguments.ts'
import { type Command, EXIT } from '../command.ts'
import { cliErrors } from '../errors.ts'
import { QUERY_TIMEOUT_MS, SHOWN_ROWS_MAX } from '../limits.ts'

/** A record, or all records of a file. */
interface Place {
  readonly topic: string
  readonly partition: number
  readonly first: number
  readonly last: number
}

/** Rows of a table that came of a place. */
interface TableRows {
  readonly table: string
  readonly rows: number
  /** The rows themselves where they are of one record. */
  readonly listed: readonly Row[]
}

interface Step {
  readonly place: Place
  /** The raw file that has it now. */
  readonly entry: LedgerEntry
  /** Its row of the run that took it, another one when files were joined since. */
  readonly written: LedgerEntry
  readonly bytes: RunBytes | undefined
  readonly tables: readonly TableRows[]
}

/** What the run that took a place has moved. */
interface RunBytes {
  /** Of the partition that the place is in. */
  readonly raw: number
  readonly staging: number | null
  /** Of the whole run; `null` where nobody bills. */
  readonly warehouseRead: number | null
  readonly warehouseBilled: number | null
}

const POSITION = /^(?<topic>[a-z.]+)\/(?<partition>\d{1,5})@(?<offset>\d{1,15})$/
const EVENT = /^(?<session>.+)\/(?<seq>\d{1,15})$/
const FILE_PREFIXES = ['raw/', 'batch/runs/']

/** Tables that hold rows of a topic, with the columns that tell one row from another. */
const TABLES_OF: Readonly<Record<RawTopic, Readonly<Record<string, readonly string[]>>>> = {
  [TOPICS.events]: {
    [tables.frames.name]: ['session_id', 'event_count', 'run'],
    [tables.events.name]: ['session_id', 'seq', 'type', 'log_index', 'run'],
    [tables.eventCopies.name]: ['kind', 'session_id', 'seq', 'log_index', 'run'],
    [tables.lateEvents.name]: ['reason', 'session_id', 'seq', 'log_index', 'run'],
  },
  [TOPICS.rejects]: { [tables.rejects.name]: ['stage', 'code', 'session_id', 'seq', 'run'] },
  [TOPICS.exceptions]: { [tables.exceptions.name]: ['session_id', 'seq', 'reason', 'run'] },
}

export const ledgerShow: Command = {
  name: 'ledger show',
  summary: 'log offset → file → job → rows, from any of them',
  about: `<what> is an event (sessionId/seq), a place in the log (topic/partition@offset), or a raw or
staging file by its object name. Shows where each copy stands in the log, the raw file and its hash,
the staging file, the job that loaded it, and the rows in the tables. Exits with 1 when the ledger
does not know it.`,
  examples: [
    'ledger show session-7/41',
    'ledger show playback.events/3@1027',
    'ledger show raw/topic=playback.events/dt=2026-03-01/hour=12/p=03/00000000000000000000-00000000000000001999.ndjson.zst --json',
  ],
  options: {},
  positionals: ['what'],
  async run({ stores }, given) {
    const what = given.positional('what')
    const session = await (await stores.warehouse()).open()
    try {
      const steps = await stepsOf(session, what)
      if (steps.length === 0)
        throw cliErrors.create('CLI_LEDGER_ABSENT', {
          expected: 'an event, a place in the log or a file that a completed run has taken',
          received: what,
        })
      return {
        exitCode: EXIT.done,
        json: { what, steps },
        text: steps.map(textOf).join('\n\n'),
      }
    } finally {
      await session.close()
    }
  },
}

async function stepsOf(session: WarehouseSession, what: string): Promise<Step[]> {
  if (FILE_PREFIXES.some((prefix) => what.startsWith(prefix)))
    return stepsOfPlaces(session, await placesOfFile(session, what))
  const position = POSITION.exec(what)?.groups
  if (position !== undefined) {
    const { topic = '', partition, offset } = position
    return stepsOfPlaces(session, [placeOf(topic, Number(partition), Number(offset))])
  }
  const event = EVENT.exec(what)?.groups
  if (event === undefined)
    throw usage('<what> to be sessionId/seq, topic/partition@offset or the name of a file', what)
  const sessionId = event['session'] ?? ''
  const seq = Number(event['seq'])
  return stepsOfPlaces(session, await placesOfEvent(session, sessionId, seq), seq)
}

/**
 * Of one record, or of all records of a file that a run wrote; with `seq`, of the events of a frame
 * only that one is listed.
 */
async function stepsOfPlaces(
  session: WarehouseSession,
  places: readonly Place[],
  seq?: number,
): Promise<Step[]> {
  const steps: Step[] = []
  for (const place of places) {
    const { topic, partition, first, last } = place
    const rows = await readWholeLedger(session, {
      sql: `topic = @topic AND log_partition = @partition
        AND first_offset <= @first AND last_offset >= @last`,
      parameters: { topic, partition, first, last },
    })
    const entry = rows.find(({ supersededBy }) => supersededBy === null)
    if (entry === undefined) continue
    const written = entry.joinedFiles === null ? entry : (rows.find(isOfRun) ?? entry)
    const bytes = await bytesOfRun(session, written)
    steps.push({ place, entry, written, bytes, tables: await rowsOf(session, place, seq) })
  }
  return steps
}

async function bytesOfRun(
  session: WarehouseSession,
  { run, topic, partition }: LedgerEntry,
): Promise<RunBytes | undefined> {
  const [row] = await query(session, {
    sql: `SELECT bytes, staging_bytes, warehouse_read_bytes, warehouse_billed_bytes
      FROM ${tables.batchRuns.name}
      WHERE run = @run AND topic = @topic AND log_partition = @partition`,
    parameters: { run, topic, partition },
  })
  return (
    row && {
      raw: integerOf(row, 'bytes'),
      staging: optionalIntegerOf(row, 'staging_bytes') ?? null,
      warehouseRead: optionalIntegerOf(row, 'warehouse_read_bytes') ?? null,
      warehouseBilled: optionalIntegerOf(row, 'warehouse_billed_bytes') ?? null,
    }
  )
}

/** The files that runs wrote, whatever of them the name is of, or of what replaced them. */
async function placesOfFile(session: WarehouseSession, name: string): Promise<Place[]> {
  const rows = await readWholeLedger(session, {
    sql: 'file = @name OR staging_file = @name OR manifest = @name',
    parameters: { name },
  })
  const places = new Map<string, Place>()
  for (const row of rows)
    for (const { topic, partition, first, last } of await writtenOf(session, row))
      places.set(`${topic}/${partition}@${first}-${last}`, { topic, partition, first, last })
  return [...places.values()]
}

async function writtenOf(session: WarehouseSession, row: LedgerEntry): Promise<LedgerEntry[]> {
  if (row.joinedFiles === null) return [row]
  const { topic, partition, first, last } = row
  const rows = await readWholeLedger(session, {
    sql: `topic = @topic AND log_partition = @partition
      AND first_offset >= @first AND last_offset <= @last`,
    parameters: { topic, partition, first, last },
  })
  return rows.filter(isOfRun)
}

/** Whether the row is what a run wrote, and not what replaced it. */
function isOfRun({ supersedes, joinedFiles }: LedgerEntry): boolean {
  return supersedes === null && joinedFiles === null
}

async function placesOfEvent(
  session: WarehouseSession,
  sessionId: string,
  seq: number,
): Promise<Place[]> {
  const copies = [tables.events.name, tables.eventCopies.name, tables.lateEvents.name].map(
    (table) => `SELECT log_partition, log_offset FROM ${table}
      WHERE session_id = @session_id AND seq = @seq`,
  )
  const sql = `SELECT DISTINCT log_partition, log_offset FROM (${copies.join(' UNION ALL ')}) AS c
    ORDER BY log_partition, log_offset`
  const rows = await query(session, { sql, parameters: { session_id: sessionId, seq } })
  return rows.map((row) =>
    placeOf(TOPICS.events, Number(row['log_partition']), Number(row['log_offset'])),
  )
}

function placeOf(topic: string, partition: number, offset: number): Place {
  return { topic, partition, first: offset, last: offset }
}

async function rowsOf(session: WarehouseSession, place: Place, seq?: number): Promise<TableRows[]> {
  const topic = RAW_TOPICS.find((one) => one === place.topic)
  if (topic === undefined) return []
  const found: TableRows[] = []
  const { partition, first, last } = place
  const parameters = { partition, first, last }
  for (const [table, columns] of Object.entries(TABLES_OF[topic])) {
    const where = `FROM ${table}
      WHERE log_partition = @partition AND log_offset BETWEEN @first AND @last`
    const [count] = await query(session, { sql: `SELECT COUNT(*) AS n ${where}`, parameters })
    const listed =
      first === last ? await listedOf(session, { columns, where, parameters, seq }) : []
    found.push({ table, rows: Number(count?.['n']), listed })
  }
  return found
}

interface Listing {
  readonly columns: readonly string[]
  readonly where: string
  readonly parameters: NonNullable<Select['parameters']>
  readonly seq: number | undefined
}

/** The first rows of a record, or those of one event of it. */
function listedOf(
  session: WarehouseSession,
  { columns, where, parameters, seq }: Listing,
): Promise<readonly Row[]> {
  const sql = `SELECT ${columns.join(', ')} ${where}`
  if (seq !== undefined && columns.includes('seq'))
    return query(session, { sql: `${sql} AND seq = @seq`, parameters: { ...parameters, seq } })
  const limit = `ORDER BY ${columns.join(', ')} LIMIT ${SHOWN_ROWS_MAX}`
  return query(session, { sql: `${sql} ${limit}`, parameters })
}

function query(session: WarehouseSession, select: Select): Promise<readonly Row[]> {
  return session.query(select, { maxRows: SHOWN_ROWS_MAX, timeoutMs: QUERY_TIMEOUT_MS })
}

function textOf({ place, entry, written, bytes, tables: found }: Step): string {
  const { topic, partition, first, last } = place
  const offsets = first === last ? `@${first}` : ` offsets ${first} to ${last}`
  return [
    `log       ${topic}/${partition}${offsets}`,
    `raw file  ${entry.file}`,
    `          ${entry.records} records, ${entry.bytes} bytes, SHA-256 ${entry.sha256}`,
    ...(written === entry ? [] : [`joined of ${written.file}`]),
    `run       ${written.run}, manifest ${written.manifest}`,
    `staging   ${written.stagingFile ?? 'none'}`,
    `job       ${written.jobId ?? 'none'}, ${written.rowsLoaded ?? 0} rows of the file`,
    ...(bytes === undefined ? [] : [bytesText(bytes)]),
    ...found.flatMap(tableLines),
  ].join('\n')
}

function tableLines({ table, rows, listed }: TableRows): string[] {
  const more = listed.length > 0 ? rows - listed.length : 0
  return [
    `rows      ${table}: ${rows}`,
    ...listed.map((row) => `          ${rowText(row)}`),
    ...(more > 0 ? [`          … and ${more} more of the same record`] : []),
  ]
}

function bytesText({ raw, staging, warehouseRead, warehouseBilled }: RunBytes): string {
  const ofPartition = `bytes     ${raw} in raw files and ${staging ?? 'unknown'} in staging files of the partition`
  return warehouseRead === null
    ? ofPartition
    : `${ofPartition}, ${warehouseRead} read and ${warehouseBilled} billed by the warehouse for the run`
}

function rowText(row: Row): string {
  return Object.entries(row)
    .map(([name, value]) => `${name} ${value}`)
    .join(', ')
}
