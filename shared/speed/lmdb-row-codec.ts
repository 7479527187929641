/**
 * Values of the LMDB speed store: a fixed header that the store itself works with, then the rest
 * of the row as JSON. What the key or the query says is not repeated.
 *
 *   stamp f64 · expires f64 · first received f64 (session rows, else 0) · JSON
 *
 * Equal rows have equal bytes.
 */
import { decodeAggregates, encodeAggregates } from '../qoe/aggregates-codec.ts'
import { parseMinuteKey } from './lmdb-row-keys.ts'
import { parsePositionsText, parseSessionText, positionsText, sessionText } from './row-text.ts'
import type {
  MinuteRow,
  PartitionRow,
  PositionRow,
  RowVersion,
  RuleStateRow,
  SessionRow,
} from './rows.ts'

const HEADER_BYTES = 24

export interface RowHeader {
  readonly stampUs: number
  readonly expiresAtMs: number
  readonly firstReceivedAtMs: number
}

export function decodeHeader(value: Buffer): RowHeader {
  return {
    stampUs: value.readDoubleBE(0),
    expiresAtMs: value.readDoubleBE(8),
    firstReceivedAtMs: value.readDoubleBE(16),
  }
}

function encodeText(
  row: Pick<RowVersion, 'stampUs' | 'expiresAtMs'>,
  text: string,
  firstReceivedAtMs = 0,
): Buffer {
  const value = Buffer.allocUnsafe(HEADER_BYTES + Buffer.byteLength(text))
  value.writeDoubleBE(row.stampUs, 0)
  value.writeDoubleBE(row.expiresAtMs, 8)
  value.writeDoubleBE(firstReceivedAtMs, 16)
  value.write(text, HEADER_BYTES)
  return value
}

function textOf(value: Buffer): string {
  return value.toString('utf8', HEADER_BYTES)
}

/** A minute's body: `[key, lastOffset]`, a line feed, the aggregates; JSON has no line feed of its own. */
type MinuteBody = [key: string, lastOffset: number]

export function encodeMinute(row: MinuteRow): Buffer {
  const body: MinuteBody = [row.key, row.lastOffset]
  return encodeText(row, `${JSON.stringify(body)}\n${encodeAggregates(row.aggregates)}`)
}

/** A minute row of the view and cut whose keys were read. */
export function decodeMinute(
  { view, cut }: Pick<MinuteRow, 'view' | 'cut'>,
  key: Buffer,
  value: Buffer,
): MinuteRow {
  const { stampUs, expiresAtMs } = decodeHeader(value)
  const text = textOf(value)
  const split = text.indexOf('\n')
  const [cutKey, lastOffset] = JSON.parse(text.slice(0, split)) as MinuteBody
  return {
    view,
    cut,
    key: cutKey,
    ...parseMinuteKey(key),
    stampUs,
    lastOffset,
    expiresAtMs,
    aggregates: decodeAggregates(text.slice(split + 1)),
  }
}

export function encodeSession(row: SessionRow): Buffer {
  return encodeText(row, sessionText(row), row.firstReceivedAtMs)
}

export function decodeSession(value: Buffer): SessionRow {
  return parseSessionText(textOf(value))
}

export function encodePositions(row: PositionRow): Buffer {
  return encodeText(row, positionsText(row))
}

export function decodePositions(
  session: SessionRow,
  rowNumber: number,
  value: Buffer,
): PositionRow {
  const { view, topicEpoch, partition, generation, sessionId, incarnation } = session
  const { stampUs, expiresAtMs } = decodeHeader(value)
  return {
    view,
    topicEpoch,
    partition,
    generation,
    sessionId,
    incarnation,
    rowNumber,
    stampUs,
    expiresAtMs,
    ...parsePositionsText(textOf(value)),
  }
}

export function encodePartition(row: PartitionRow): Buffer {
  return encodeText(row, JSON.stringify(row))
}

export function decodePartition(value: Buffer): PartitionRow {
  return JSON.parse(textOf(value)) as PartitionRow
}

/** A rule's body: its id, a line feed, the state; an id has no line feed of its own. */
export function encodeRuleState(row: RuleStateRow): Buffer {
  return encodeText(row, `${row.ruleId}\n${row.stateJson}`)
}

export function decodeRuleState(view: string, value: Buffer): RuleStateRow {
  const { stampUs, expiresAtMs } = decodeHeader(value)
  const text = textOf(value)
  const split = text.indexOf('\n')
  return {
    view,
    ruleId: text.slice(0, split),
    stampUs,
    expiresAtMs,
    stateJson: text.slice(split + 1),
  }
}
