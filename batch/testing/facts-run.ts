/**
 * Runs logs through loading and facts on the embedded warehouse, and reads the tables back in the
 * terms of the oracle.
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { DuckDBInstance } from '@duckdb/node-api'

import type { DecodedRecord } from '../../shared/log/record.ts'
import { openFolderObjectStore } from '../../shared/objects/folder-object-store.ts'
import type { ObjectStore } from '../../shared/objects/object-store.ts'
import {
  COUNTER_NAMES,
  type CounterName,
  type MinuteAggregates,
} from '../../shared/qoe/aggregates.ts'
import { DIMENSIONS, type Dimension, parseCut } from '../../shared/qoe/cuts.ts'
import type { FoldLimits } from '../../shared/qoe/fold.ts'
import { systemClock } from '../../shared/runtime/clock.ts'
import type { FoldException, PartSummary } from '../../shared/speed/rows.ts'
import { openDuckDbWarehouse } from '../../shared/warehouse/duckdb-warehouse.ts'
import type { ColumnSpec, TableSpec } from '../../shared/warehouse/table-spec.ts'
import { allTables, tables } from '../../shared/warehouse/tables.ts'
import type {
  Row,
  RowValue,
  Warehouse,
  WarehouseSession,
} from '../../shared/warehouse/warehouse.ts'
import {
  computeExplained,
  computeHistory,
  EXCEPTIONS_SCRATCH,
  FACTS_SCRATCH,
  type FactsRequest,
  type ReplacedFacts,
  replaceFacts,
} from '../facts.ts'
import { loadCopies } from '../load-copies.ts'
import { STAGED_COLUMNS, stageLog } from './stage-log.ts'

export const CUTS = ['total', 'content', 'cdn', 'deviceType', 'cdn+content'].map(parseCut)

export interface PartitionLog {
  readonly partition: number
  readonly records: readonly DecodedRecord[]
}

/** One part of a session, with what its row says of the whole incarnation. */
export interface SqlSession {
  readonly sessionId: string
  readonly incarnation: number
  readonly closed: boolean
  readonly lost: number
  readonly duplicates: number
  readonly rejected: number
  readonly repairs: { readonly state: number; readonly backwards: number; readonly clamped: number }
  readonly clockOffsetMs: number
  readonly lastLoggedAtMs: number
  readonly parts: readonly PartSummary[]
}

export interface SqlFacts {
  readonly sessions: readonly SqlSession[]
  /** By `cut|key|minuteStartMs`. */
  readonly minutes: ReadonlyMap<string, MinuteAggregates>
}

/** Memory of a session in tests, bytes. */
const MEMORY_MAX_BYTES = 300_000_000
/** More than one, so that what groups of sessions leave is seen to come together. */
const LOAD_BUCKETS = 2

/** A warehouse of its own in a temporary folder, and the runs of the batch on it. */
export class FactsRun {
  readonly #folder: string
  readonly #store: ObjectStore
  readonly #warehouse: Warehouse
  readonly #limits: FoldLimits
  readonly #watermarks = new Map<number, number>()
  #run = 0
  #staged = 0
  /** Rises when a run is repeated, so that its jobs are not known and do their work again. */
  #attempt = 0

  private constructor(parts: {
    folder: string
    store: ObjectStore
    warehouse: Warehouse
    limits: FoldLimits
  }) {
    this.#folder = parts.folder
    this.#store = parts.store
    this.#warehouse = parts.warehouse
    this.#limits = parts.limits
  }

  static async open(limits: FoldLimits): Promise<FactsRun> {
    const folder = await mkdtemp(join(tmpdir(), 'facts-test-'))
    const clock = systemClock
    const store = await openFolderObjectStore({ folder: join(folder, 'objects'), clock })
    const warehouse = await openDuckDbWarehouse({
      store,
      temporaryFolder: join(folder, 'temporary'),
      memoryMaxBytes: MEMORY_MAX_BYTES,
      threads: 1,
      clock,
    })
    await warehouse.ensureTables(allTables)
    return new FactsRun({ folder, store, warehouse, limits })
  }

  async close(): Promise<void> {
    await this.#warehouse.close()
    await this.#store.close()
    await rm(this.#folder, { recursive: true, force: true })
  }

  /** Loads the next range of each partition. */
  async load(logs: readonly PartitionLog[]): Promise<void> {
    this.#run += 1
    const { copies, frames } = this.#stage(logs)
    if (frames.length === 0) return
    await this.#during(async (session) => {
      await this.#stageRows(session, 'staged_rows', { columns: STAGED_COLUMNS, rows: copies })
      await this.#stageRows(session, 'staging_frames', {
        columns: tables.frames.columns,
        rows: frames,
      })
      const dates = [...new Set(frames.map((row) => String(row['received_date'])))]
      await session.insertMissing({
        table: tables.frames.name,
        select: { sql: 'SELECT * FROM staging_frames' },
        key: tables.frames.key,
        dates,
        jobId: `frames-${this.#run}-${this.#attempt}`,
      })
      const jobId = `load-${this.#run}-${this.#attempt}`
      await loadCopies(session, {
        run: this.#run,
        limits: this.#limits,
        copies: { sql: 'SELECT * FROM staged_rows' },
        dates,
        bucketCount: LOAD_BUCKETS,
        jobId,
      })
    })
  }

  /** Loads the last range again, as a run does that was interrupted after it. */
  async repeat(logs: readonly PartitionLog[]): Promise<void> {
    this.#run -= 1
    this.#watermarks.clear()
    this.#attempt += 1
    await this.load(logs)
  }

  /** Brings the tables of facts up to date. */
  computeHistory(bucketCount = 1): Promise<ReplacedFacts> {
    return this.#during(async (session) => {
      await computeHistory(session, this.#request(bucketCount))
      return replaceFacts(session, `facts-${this.#run}-${this.#attempt}`)
    })
  }

  /** What the tables say. */
  readHistory(): Promise<SqlFacts> {
    return this.#during((session) =>
      readFacts(session, tables.sessions.name, tables.qoeMinute.name),
    )
  }

  /**
   * What the live view shows, given what it did not apply. `mutate` changes the text of the steps, to
   * see a test fail.
   */
  async explained(
    exceptions: readonly FoldException[],
    { bucketCount = 1, mutate = (sql: string) => sql } = {},
  ): Promise<SqlFacts> {
    await this.#loadExceptions(exceptions)
    return this.#during(async (plainSession) => {
      const session = withMutation(plainSession, mutate)
      await session.scratch(EXCEPTIONS_SCRATCH, { sql: 'SELECT * FROM exceptions' })
      await computeExplained(session, {
        ...this.#request(bucketCount),
        sessions: { sql: ALL_SESSIONS },
        minutes: { sql: ALL_MINUTES },
      })
      return readFacts(session, FACTS_SCRATCH.sessions, FACTS_SCRATCH.qoeMinute)
    })
  }

  /** The rows of a table but their run, as text, in the order of its key. */
  readTable({ name, columns, key }: TableSpec): Promise<string[]> {
    const names = columns.map((column) => column.name).filter((column) => column !== 'run')
    const sql = `SELECT ${names.join(', ')} FROM ${name} ORDER BY ${key.join(', ')}`
    return this.#during(async (session) => {
      const rows = await session.query({ sql }, READ_LIMITS)
      return rows.map((row) => JSON.stringify(row, (_, value: unknown) => plain(value)))
    })
  }

  /** The same exceptions may be loaded again. */
  async #loadExceptions(exceptions: readonly FoldException[]): Promise<void> {
    const { columns, name, key } = tables.exceptions
    const rows = exceptions.map((exception, offset) => exceptionRow(exception, this.#run, offset))
    await this.#during(async (session) => {
      await this.#stageRows(session, 'staging_exceptions', { columns, rows })
      await session.insertMissing({
        table: name,
        select: { sql: 'SELECT * FROM staging_exceptions' },
        key,
        dates: [EXCEPTIONS_DATE],
        jobId: 'exceptions',
      })
    })
  }

  #stage(logs: readonly PartitionLog[]): { copies: Row[]; frames: Row[] } {
    const staged = logs.map(({ partition, records }) => {
      const log = stageLog(records, {
        run: this.#run,
        partition,
        outOfOrdernessMs: this.#limits.outOfOrdernessMs,
        watermarkBeforeMs: this.#watermarks.get(partition),
      })
      if (records.length > 0) this.#watermarks.set(partition, log.watermarkMs)
      return log
    })
    return {
      copies: staged.flatMap((log) => log.copies),
      frames: staged.flatMap((log) => log.frames),
    }
  }

  async #stageRows(
    session: WarehouseSession,
    scratch: string,
    { columns, rows }: { columns: readonly ColumnSpec[]; rows: readonly Row[] },
  ): Promise<void> {
    this.#staged += 1
    const object = `staging/${this.#staged}.parquet`
    await this.#store.create(object, await toParquet(columns, rows, this.#folder))
    await session.load({ scratch, objects: [object], columns, jobId: object })
  }

  async #during<T>(action: (session: WarehouseSession) => Promise<T>): Promise<T> {
    const session = await this.#warehouse.open()
    try {
      return await action(session)
    } finally {
      await session.close()
    }
  }

  #request(bucketCount: number): FactsRequest {
    return {
      run: this.#run,
      fromDate: '2020-01-01',
      limits: this.#limits,
      cuts: CUTS,
      watermarks: [...this.#watermarks].map(([partition, watermarkMs]) => {
        return { partition, watermarkMs }
      }),
      bucketCount,
    }
  }
}

const ALL_SESSIONS = `
  SELECT session_id, session_bucket FROM events
  UNION DISTINCT
  SELECT session_id, session_bucket FROM event_copies`

/** Any day will do. */
const EXCEPTIONS_DATE = '2027-01-15'

/** Every minute of the sessions computed, and those in which frames arrived. */
const ALL_MINUTES = `
  SELECT DATE(TIMESTAMP_MILLIS(minute_ms)) AS minute_date, minute_ms
  FROM (
    SELECT minute_ms FROM ${FACTS_SCRATCH.sessionMinutes}
    UNION DISTINCT
    SELECT received_at_ms - MOD(received_at_ms, 60000) AS minute_ms FROM frames
  ) AS minutes`

const READ_LIMITS = { maxRows: 1_000_000, timeoutMs: 60_000 }

/** As the log of exceptions would hold it. */
function exceptionRow(exception: FoldException, run: number, offset: number): Row {
  return {
    session_id: exception.sessionId,
    seq: exception.seq,
    reason: exception.reason,
    type: exception.type,
    forgotten: exception.forgotten,
    source_partition: exception.partition,
    source_offset: exception.offset,
    logged_date: EXCEPTIONS_DATE,
    logged_at_ms: Date.parse(EXCEPTIONS_DATE),
    log_partition: 0,
    log_offset: offset,
    run,
  }
}

/** Rows as a Parquet file: what flattening makes of raw files. */
async function toParquet(
  columns: readonly ColumnSpec[],
  rows: readonly Row[],
  folder: string,
): Promise<Uint8Array> {
  const json = join(folder, 'rows.ndjson')
  const parquet = join(folder, 'rows.parquet')
  await writeFile(json, rows.map((row) => `${JSON.stringify(row)}\n`).join(''))
  const types = columns.map(
    ({ name, type }) => `'${name}': '${type === 'FLOAT64' ? 'DOUBLE' : type}'`,
  )
  const instance = await DuckDBInstance.create(':memory:', { threads: '1' })
  const connection = await instance.connect()
  await connection.run(
    `COPY (SELECT * FROM read_json('${json}', format = 'newline_delimited', columns = {${types.join(', ')}})) TO '${parquet}' (FORMAT parquet)`,
  )
  connection.closeSync()
  instance.closeSync()
  return readFile(parquet)
}

/** The session, with the text of every step changed. */
function withMutation(
  session: WarehouseSession,
  mutate: (sql: string) => string,
): WarehouseSession {
  return {
    tables: session.tables,
    computesHere: session.computesHere,
    load: (request) => session.load(request),
    scratch: (name, select) => session.scratch(name, { ...select, sql: mutate(select.sql) }),
    append: (name, select) => session.append(name, { ...select, sql: mutate(select.sql) }),
    insertMissing: (request) => session.insertMissing(request),
    replaceRows: (request) => session.replaceRows(request),
    query: (select, limits) => session.query(select, limits),
    columns: (select) => session.columns(select),
    close: () => session.close(),
  }
}

/** Of tables with the columns of `sessions` and `qoe_minute`. */
export async function readFacts(
  session: WarehouseSession,
  sessions: string,
  minutes: string,
): Promise<SqlFacts> {
  const order = 'ORDER BY session_id, incarnation, part'
  const parts = await session.query({ sql: `SELECT * FROM ${sessions} ${order}` }, READ_LIMITS)
  const rows = await session.query({ sql: `SELECT * FROM ${minutes}` }, READ_LIMITS)
  return {
    sessions: toSessions(parts),
    minutes: new Map(rows.map((row) => [minuteId(row), toAggregates(row)])),
  }
}

function plain(value: unknown): unknown {
  return typeof value === 'bigint' ? `${value}` : value
}

function toSessions(rows: readonly Row[]): SqlSession[] {
  const groups = new Map<string, Row[]>()
  for (const row of rows) {
    const id = `${String(row['session_id'])}|${String(row['incarnation'])}`
    const group = groups.get(id)
    if (group === undefined) groups.set(id, [row])
    else group.push(row)
  }
  return [...groups.values()].map((parts) => {
    const sum = (name: string) => parts.reduce((total, row) => total + numberOf(row[name]), 0)
    const last = parts.at(-1) ?? {}
    return {
      sessionId: String(last['session_id']),
      incarnation: numberOf(last['incarnation']),
      closed: last['closed'] === true,
      lost: sum('lost'),
      duplicates: sum('duplicates'),
      rejected: sum('rejected'),
      repairs: {
        state: sum('repairs_state'),
        backwards: sum('repairs_backwards'),
        clamped: sum('repairs_clamped'),
      },
      clockOffsetMs: numberOf(last['clock_offset_ms']),
      lastLoggedAtMs: numberOf(last['last_logged_at_ms']),
      parts: parts.map(toPart),
    }
  })
}

function toPart(row: Row): PartSummary {
  const count = (name: string) => numberOf(row[name])
  const flag = (name: string) => (count(name) === 0 ? 0 : 1)
  return {
    part: count('part'),
    contentId: present(row['content_id'], String),
    firstEventTimeMs: count('first_event_time_ms'),
    lastEventTimeMs: count('last_event_time_ms'),
    state: String(row['state']) as PartSummary['state'],
    endReason: present(row['end_reason'], String) as PartSummary['endReason'],
    attempt: flag('attempt'),
    play: flag('play'),
    ebvs: flag('ebvs'),
    ebvsLong: flag('ebvs_long'),
    vsf: flag('vsf'),
    vpf: flag('vpf'),
    endedPlay: flag('ended_play'),
    failed: flag('failed'),
    startupMs: present(row['startup_ms'], Number),
    playerStartupMs: present(row['player_startup_ms'], Number),
    stallCount: count('stall_count'),
    stallMs: count('stall_ms'),
    playingMs: count('playing_ms'),
    watchedMs: count('watched_ms'),
    mediaUs: count('media_us'),
    ratedMediaUs: count('rated_media_us'),
    bitsPlayed: BigInt(String(row['bits_played'])),
    events: count('events'),
  }
}

const DIMENSION_COLUMNS: Readonly<Record<Dimension, string>> = {
  content: 'content_id',
  cdn: 'cdn',
  deviceType: 'device_type',
  player: 'player_name',
  playerVersion: 'player_version',
  country: 'country',
}

function minuteId(row: Row): string {
  const cut = String(row['cut'])
  const inOrder = cut === 'total' ? [] : cut.split('+')
  const key = inOrder.map((name) => {
    const dimension = DIMENSIONS.find((one) => one === name)
    return dimension === undefined ? null : row[DIMENSION_COLUMNS[dimension]]
  })
  return `${cut}|${JSON.stringify(key)}|${String(row['minute_ms'])}`
}

function toAggregates(row: Row): MinuteAggregates {
  const counters = Object.fromEntries(
    COUNTER_NAMES.map((name) => [name, numberOf(row[snakeCase(name)] ?? 0)]),
  ) as Record<CounterName, number>
  const instants = (name: string) =>
    Array.from({ length: 6 }, (_, index) => numberOf(row[`${name}_${index}`]))
  return {
    ...counters,
    bitsPlayed: BigInt(String(row['bits_played'])),
    startupHistogram: toPairs(row['startup_histogram']),
    concurrentPlays: instants('concurrent_plays'),
    concurrentViewers: instants('concurrent_viewers'),
    viewerRegisters: toPairs(row['viewer_registers']),
  }
}

function snakeCase(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
}

function toPairs(text: RowValue | undefined): [number, number][] {
  if (typeof text !== 'string' || text === '') return []
  return text.split(',').map((pair) => {
    const [index, value] = pair.split(':')
    return [Number(index), Number(value)]
  })
}

function numberOf(value: RowValue | undefined): number {
  const number = Number(value)
  if (value === null || value === undefined || !Number.isSafeInteger(number)) {
    throw new Error(`${String(value)} is not an integer`)
  }
  return number
}

function present<T>(value: RowValue | undefined, of: (value: RowValue) => T): T | undefined {
  return value === null || value === undefined ? undefined : of(value)
}
