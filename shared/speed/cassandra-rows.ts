/** Rows as CQL statements, and back. Every row is one statement with its own stamp and expiry. */
import { types } from 'cassandra-driver'
import { murmur2 } from '../log/partitioner.ts'
import { MINUTE_MS } from '../qoe/aggregates.ts'
import { decodeAggregates, encodeAggregates } from '../qoe/aggregates-codec.ts'
import { parseCut } from '../qoe/cuts.ts'
import { assert } from '../runtime/errors.ts'
import type { RowWrite } from './cassandra-write-lane.ts'
import { parsePositionsText, parseSessionText, positionsText, sessionText } from './row-text.ts'
import type {
  MinuteRow,
  PartitionRow,
  PositionRow,
  RowOrigin,
  RowVersion,
  RuleStateRow,
  SessionRow,
} from './rows.ts'

/**
 * Buckets that the keys of one cut and hour are spread over: part of where rows lie, never changed.
 * They keep a Cassandra partition of a cut with thousands of keys, written by dozens of log
 * partitions, below some 100 MB, and few enough that batches are full.
 */
const KEY_BUCKETS = { narrow: 4, wide: 16 } as const
export const HOUR_MS = 60 * MINUTE_MS
/** The longest that Cassandra keeps what has an expiry: 20 years. */
const TTL_MAX_SECONDS = 20 * 365 * 86_400
/** Bytes of a row beside its texts, about. */
const ROW_OVERHEAD_BYTES = 96

const STAMPED = 'USING TIMESTAMP ? AND TTL ?'
const ORIGIN = 'topic_epoch, partition, generation'

const INSERT_MINUTE = `INSERT INTO minutes (view_id, cut, key_bucket, hour_ms, minute_ms, key, ${ORIGIN},
  last_offset, expires_at_ms, aggregates) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ${STAMPED}`
const INSERT_SESSION = `INSERT INTO sessions (view_id, session_id, ${ORIGIN}, incarnation,
  expires_at_ms, summary) VALUES (?, ?, ?, ?, ?, ?, ?, ?) ${STAMPED}`
const INSERT_POSITIONS = `INSERT INTO positions (view_id, session_id, ${ORIGIN}, incarnation, row_number,
  expires_at_ms, positions) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ${STAMPED}`
const INSERT_PARTITION = `INSERT INTO partitions (view_id, ${ORIGIN}, expires_at_ms, progress)
  VALUES (?, ?, ?, ?, ?, ?) ${STAMPED}`

const INSERT_RULE_STATE = `INSERT INTO rule_states (view_id, rule_id, expires_at_ms, state)
  VALUES (?, ?, ?, ?) ${STAMPED}`

/** Whether `expiresAtMs` is ahead: Cassandra takes no row that has expired. */
export function isAhead({ expiresAtMs }: Pick<RowVersion, 'expiresAtMs'>, nowMs: number): boolean {
  return expiresAtMs > nowMs
}

export function keyBuckets(cut: string): number {
  return KEY_BUCKETS[parseCut(cut).width]
}

export function keyBucket(key: string, buckets: number): number {
  return (murmur2(Buffer.from(key)) & 0x7fff_ffff) % buckets
}

export function hourOf(epochMs: number): number {
  return Math.floor(epochMs / HOUR_MS) * HOUR_MS
}

export function minuteWrite(row: MinuteRow, nowMs: number): RowWrite {
  const { view, cut, key, minuteStartMs, lastOffset, expiresAtMs } = row
  assert(minuteStartMs % MINUTE_MS === 0, 'a minute row begins at a full minute')
  const bucket = keyBucket(key, keyBuckets(cut))
  const hourMs = hourOf(minuteStartMs)
  const aggregates = encodeAggregates(row.aggregates)
  const place = [view, cut, bucket, hourMs, minuteStartMs, key, ...origin(row)]
  return {
    partition: `minutes\n${view}\n${cut}\n${bucket}\n${hourMs}`,
    query: INSERT_MINUTE,
    params: [...place, lastOffset, expiresAtMs, aggregates, ...stamped(row, nowMs)],
    bytes: ROW_OVERHEAD_BYTES + key.length + Buffer.byteLength(aggregates),
  }
}

export function sessionWrite(row: SessionRow, nowMs: number): RowWrite {
  const text = sessionText(row)
  return {
    partition: sessionPartition(row),
    query: INSERT_SESSION,
    params: [...sessionPlace(row), row.expiresAtMs, text, ...stamped(row, nowMs)],
    bytes: ROW_OVERHEAD_BYTES + Buffer.byteLength(text),
  }
}

export function positionsWrite(row: PositionRow, nowMs: number): RowWrite {
  const text = positionsText(row)
  return {
    partition: sessionPartition(row),
    query: INSERT_POSITIONS,
    params: [...sessionPlace(row), row.rowNumber, row.expiresAtMs, text, ...stamped(row, nowMs)],
    bytes: ROW_OVERHEAD_BYTES + text.length,
  }
}

/** Rows and positions of a session have one partition key: what is written together shares a batch. */
function sessionPartition({ view, sessionId }: SessionRow | PositionRow): string {
  return `sessions\n${view}\n${sessionId}`
}

export function partitionWrite(row: PartitionRow, nowMs: number): RowWrite {
  const text = JSON.stringify(row)
  return {
    partition: `partitions\n${row.view}`,
    query: INSERT_PARTITION,
    params: [row.view, ...origin(row), row.expiresAtMs, text, ...stamped(row, nowMs)],
    bytes: ROW_OVERHEAD_BYTES + text.length,
  }
}

export function ruleStateWrite(row: RuleStateRow, nowMs: number): RowWrite {
  const { view, ruleId, expiresAtMs, stateJson } = row
  return {
    partition: `rule_states\n${view}`,
    query: INSERT_RULE_STATE,
    params: [view, ruleId, expiresAtMs, stateJson, ...stamped(row, nowMs)],
    bytes: ROW_OVERHEAD_BYTES + Buffer.byteLength(stateJson),
  }
}

/** Values of a session row's key: partition key and clustering columns, in order. */
export function sessionPlace(row: SessionRow | PositionRow): readonly unknown[] {
  return [row.view, row.sessionId, ...origin(row), row.incarnation]
}

/** Values of `STAMPED`: the stamp as a 64-bit integer, the expiry in seconds from now. */
export function stamped(
  { stampUs, expiresAtMs }: Pick<RowVersion, 'stampUs' | 'expiresAtMs'>,
  nowMs: number,
): readonly unknown[] {
  const seconds = Math.ceil((expiresAtMs - nowMs) / 1_000)
  return [types.Long.fromNumber(stampUs), Math.min(seconds, TTL_MAX_SECONDS)]
}

function origin({ topicEpoch, partition, generation }: RowOrigin): readonly unknown[] {
  return [topicEpoch, partition, generation]
}

export const MINUTE_COLUMNS = `minute_ms, key, ${ORIGIN}, last_offset, expires_at_ms, aggregates,
  WRITETIME(aggregates) AS stamp_us`

/** A row of `MINUTE_COLUMNS` of the view and cut that were asked for. */
export function readMinute(
  { view, cut }: Pick<MinuteRow, 'view' | 'cut'>,
  row: types.Row,
): MinuteRow {
  return {
    view,
    cut,
    key: row['key'] as string,
    minuteStartMs: numberIn(row, 'minute_ms'),
    topicEpoch: row['topic_epoch'] as number,
    partition: row['partition'] as number,
    generation: row['generation'] as number,
    stampUs: numberIn(row, 'stamp_us'),
    lastOffset: numberIn(row, 'last_offset'),
    expiresAtMs: numberIn(row, 'expires_at_ms'),
    aggregates: decodeAggregates(row['aggregates'] as string),
  }
}

/** A row with the column `summary`. */
export function readSession(row: types.Row): SessionRow {
  return parseSessionText(row['summary'] as string)
}

export const POSITION_COLUMNS =
  'row_number, expires_at_ms, positions, WRITETIME(positions) AS stamp_us'

/** A row of `POSITION_COLUMNS` of the session that was asked for. */
export function readPositionRow(session: SessionRow, row: types.Row): PositionRow {
  const { view, topicEpoch, partition, generation, sessionId, incarnation } = session
  return {
    view,
    topicEpoch,
    partition,
    generation,
    sessionId,
    incarnation,
    rowNumber: row['row_number'] as number,
    stampUs: numberIn(row, 'stamp_us'),
    expiresAtMs: numberIn(row, 'expires_at_ms'),
    ...parsePositionsText(row['positions'] as string),
  }
}

/** A row with the column `progress`. */
export function readPartition(row: types.Row): PartitionRow {
  return JSON.parse(row['progress'] as string) as PartitionRow
}

export const RULE_STATE_COLUMNS = 'rule_id, expires_at_ms, state, WRITETIME(state) AS stamp_us'

/** A row of `RULE_STATE_COLUMNS` of the view that was asked for. */
export function readRuleState(view: string, row: types.Row): RuleStateRow {
  return {
    view,
    ruleId: row['rule_id'] as string,
    stampUs: numberIn(row, 'stamp_us'),
    expiresAtMs: numberIn(row, 'expires_at_ms'),
    stateJson: row['state'] as string,
  }
}

/** A row with the column `expires_at_ms`; Cassandra's own expiry is exact to a second. */
export function isAlive(row: types.Row, nowMs: number): boolean {
  return numberIn(row, 'expires_at_ms') >= nowMs
}

/** A `bigint` column within the integers that are exact. */
export function numberIn(row: types.Row, column: string): number {
  return (row[column] as types.Long).toNumber()
}
