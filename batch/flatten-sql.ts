/**
 * The SQL that makes staging files from one raw file. It is DuckDB's own, because the files are made
 * by DuckDB whatever the warehouse is. Columns and types are explicit, derived from the event
 * schema: a field that the schema does not know is passed over and stays in the raw file.
 */
import {
  contextColumns,
  eventColumns,
  type EventColumn,
} from '../shared/warehouse/event-columns.ts'
import { SESSION_BUCKETS } from '../shared/warehouse/event-tables.ts'
import { assert } from '../shared/runtime/errors.ts'
import { TOPICS } from '../shared/log/topics.ts'
import { RAW_LINE_BYTES_MAX } from './limits.ts'
import type { RawTopic } from './raw-line.ts'
import { type StagingKind, stagingColumns } from './staging.ts'

export interface FlattenPlan {
  /** Reads the file into the scratch table `records`. */
  readonly read: string
  /** Selects the staging rows of a kind from `records`. */
  readonly select: Readonly<Partial<Record<StagingKind, string>>>
}

export interface FlattenRequest {
  readonly topic: RawTopic
  readonly partition: number
  readonly outOfOrdernessMs: number
  /** Path of the raw file. */
  readonly path: string
}

export function flattenPlan(request: FlattenRequest): FlattenPlan {
  switch (request.topic) {
    case TOPICS.events:
      return planEvents(request)
    case TOPICS.rejects:
      return planRejects(request)
    case TOPICS.exceptions:
      return planExceptions(request)
  }
}

/** A name or a text as SQL has it. */
export function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}
export function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`
}

const DUCKDB_TYPES = {
  STRING: 'VARCHAR',
  INT64: 'BIGINT',
  FLOAT64: 'DOUBLE',
  BOOL: 'BOOLEAN',
  DATE: 'DATE',
  TIMESTAMP: 'TIMESTAMP',
} as const

type Expressions = Readonly<Record<string, string>>

/**
 * Rows stay in the order of the log, in which readers may pass over what they do not ask for; the
 * files of the tables are sorted by session where they are made.
 */
function planEvents(request: FlattenRequest): FlattenPlan {
  const { partition, outOfOrdernessMs } = request
  const context = contextColumns.map(
    (column) => `${valueOf(column, 'value.session')} AS ${quoted(column.name)}`,
  )
  const read = `
    CREATE OR REPLACE TEMP TABLE records AS
    SELECT
      ${context.join(',\n      ')},
      LEAST(value."receivedAt", "loggedAt") AS received_at_ms,
      value."sentAt" AS sent_at_ms,
      "loggedAt" AS logged_at_ms,
      GREATEST(COALESCE("loggedBefore", "loggedAt"), "loggedAt") - ${outOfOrdernessMs}
        AS watermark_ms,
      "loggedBefore" - ${outOfOrdernessMs} AS watermark_before_ms,
      CAST(${partition} AS BIGINT) AS log_partition,
      "offset" AS log_offset,
      ${bucketOf('value.session."sessionId"')} AS session_bucket,
      headers[${literal('schema')}] AS schema,
      bytes,
      COALESCE(value."rejectedSeqs", []) AS rejected_seqs,
      value.events AS events
    FROM ${linesOf(request.path, EVENT_VALUE)}
    WHERE value IS NOT NULL`
  return { read, select: { events: selectEvents(), frames: selectFrames() } }
}

function selectEvents(): string {
  const place: Expressions = Object.fromEntries(
    ['session_id', 'log_partition', 'log_offset', 'log_index'].map((name) => [name, name]),
  )
  const accepted = columnList('events', {
    ...place,
    ...Object.fromEntries(eventColumns.map((column) => [column.name, valueOf(column, 'event')])),
    kind: literal('accepted'),
  })
  const rejected = columnList('events', {
    ...place,
    ...Object.fromEntries(eventColumns.map(({ name }) => [name, 'NULL'])),
    seq: 'rejected_seq',
    kind: literal('rejected'),
  })
  return `
    SELECT ${accepted}
    FROM (
      SELECT
        session_id, log_partition, log_offset,
        UNNEST(events) AS event,
        UNNEST(RANGE(LEN(events))) AS log_index
      FROM records
    )
    UNION ALL
    SELECT ${rejected}
    FROM (
      SELECT
        session_id, log_partition, log_offset,
        UNNEST(rejected_seqs) AS rejected_seq,
        LEN(events) + UNNEST(RANGE(LEN(rejected_seqs))) AS log_index
      FROM records
    )`
}

function selectFrames(): string {
  const names = stagingColumns.frames.map(({ name }) => [name, quoted(name)])
  const columns = columnList('frames', {
    ...Object.fromEntries(names),
    received_date: dayOf('received_at_ms'),
    event_count: 'LEN(events)',
    rejected_count: 'LEN(rejected_seqs)',
  } as Expressions)
  return `SELECT ${columns} FROM records`
}

function planRejects({ path, partition }: FlattenRequest): FlattenPlan {
  const columns = columnList('rejects', {
    stage: 'value.stage',
    code: 'value.code',
    detail: 'value.detail',
    session_id: 'value."sessionId"',
    seq: 'value.seq',
    received_date: dayOf('LEAST(value."receivedAt", "loggedAt")'),
    received_at_ms: 'LEAST(value."receivedAt", "loggedAt")',
    source_partition: 'value.source.partition',
    source_offset: 'value.source."offset"',
    logged_at_ms: '"loggedAt"',
    log_partition: `${partition}`,
    log_offset: '"offset"',
  })
  return {
    read: readLines(path, REJECT_VALUE),
    select: { rejects: `SELECT ${columns} FROM records ORDER BY code, session_id, log_offset` },
  }
}

function planExceptions({ path, partition }: FlattenRequest): FlattenPlan {
  const columns = columnList('exceptions', {
    session_id: 'value."sessionId"',
    seq: 'value.seq',
    reason: 'value.reason',
    type: 'value."type"',
    forgotten: 'COALESCE(value.forgotten, FALSE)',
    live_view: `headers[${literal('view')}]`,
    source_partition: 'value.partition',
    source_offset: 'value."offset"',
    logged_date: dayOf('"loggedAt"'),
    logged_at_ms: '"loggedAt"',
    log_partition: `${partition}`,
    log_offset: '"offset"',
  })
  return {
    read: readLines(path, EXCEPTION_VALUE),
    select: { exceptions: `SELECT ${columns} FROM records ORDER BY session_id, seq, log_offset` },
  }
}

const EVENT_VALUE =
  `STRUCT(session ${structOf(contextColumns)}, "sentAt" BIGINT, "receivedAt" BIGINT, ` +
  `"rejectedSeqs" BIGINT[], events ${structOf(eventColumns)}[])`
const REJECT_VALUE =
  'STRUCT(stage VARCHAR, code VARCHAR, detail VARCHAR, "sessionId" VARCHAR, seq BIGINT, ' +
  '"receivedAt" BIGINT, source STRUCT(partition BIGINT, "offset" BIGINT))'
const EXCEPTION_VALUE =
  'STRUCT("sessionId" VARCHAR, seq BIGINT, reason VARCHAR, "type" VARCHAR, forgotten BOOLEAN, ' +
  'partition BIGINT, "offset" BIGINT)'

function readLines(path: string, valueType: string): string {
  return `CREATE OR REPLACE TEMP TABLE records AS
    SELECT * FROM ${linesOf(path, valueType)} WHERE value IS NOT NULL`
}

/** The lines of a raw file; ticks and records that cannot be read have no value. */
function linesOf(path: string, valueType: string): string {
  const types: Expressions = {
    offset: 'BIGINT',
    loggedAt: 'BIGINT',
    loggedBefore: 'BIGINT',
    bytes: 'BIGINT',
    headers: 'MAP(VARCHAR, VARCHAR)',
    value: valueType,
  }
  const columns = Object.entries(types).map(([name, type]) => `${quoted(name)}: ${literal(type)}`)
  return (
    `read_json(${literal(path)}, format = 'newline_delimited', compression = 'zstd', ` +
    `maximum_object_size = ${RAW_LINE_BYTES_MAX}, columns = {${columns.join(', ')}})`
  )
}

/** The staging columns of a kind, each with its expression and its type. */
function columnList(kind: StagingKind, expressions: Expressions): string {
  const columns = stagingColumns[kind].map(({ name, type }) => {
    const expression = expressions[name]
    assert(expression !== undefined, `an expression for the column ${name} of ${kind}`)
    return `CAST(${expression} AS ${DUCKDB_TYPES[type]}) AS ${quoted(name)}`
  })
  return columns.join(',\n      ')
}

function valueOf({ path, json }: EventColumn, from: string): string {
  const value = [from, ...path.map(quoted)].join('.')
  return json ? `CAST(${value} AS VARCHAR)` : value
}

function dayOf(ms: string): string {
  return `CAST(MAKE_TIMESTAMP_MS(${ms}) AS DATE)`
}

/** The first byte of the MD5: the same in every engine, at every time. */
function bucketOf(sessionId: string): string {
  assert(SESSION_BUCKETS === 256, 'a bucket is one byte')
  return `CAST('0x' || MD5(${sessionId})[1:2] AS BIGINT)`
}

interface TypeTree {
  [field: string]: string | TypeTree
}

/** `STRUCT(…)` that holds the columns where they stand in the JSON. */
function structOf(columns: readonly EventColumn[]): string {
  const tree: TypeTree = {}
  for (const { path, type, json } of columns) {
    let level = tree
    for (const field of path.slice(0, -1)) {
      const inner = level[field]
      level = typeof inner === 'object' ? inner : (level[field] = {})
    }
    level[path.at(-1) ?? ''] = json ? 'JSON' : DUCKDB_TYPES[type]
  }
  return structType(tree)
}

function structType(tree: TypeTree): string {
  const fields = Object.entries(tree).map(
    ([field, inner]) => `${quoted(field)} ${typeof inner === 'string' ? inner : structType(inner)}`,
  )
  return `STRUCT(${fields.join(', ')})`
}
