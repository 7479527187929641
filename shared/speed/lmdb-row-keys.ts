/**
 * Keys of the LMDB speed store; all of fixed length, big-endian, so that they sort by time and
 * number. Names (view, cut, key, session) stand as 16 bytes of their SHA-256:
 *
 *   minutes     (view, cut) 16 · minute u48 · key 16 · origin 12
 *   sessions    (view, session) 16 · origin 12 · incarnation u32
 *   positions   a sessions key · row number u32
 *   partitions  view 16 · origin 12
 *   rules       view 16 · rule 16
 *   recent      view 16 · first received u48 · a sessions key
 *   viewers     (view, viewer) 16 · first received u48 · a sessions key
 *   expiry      expires u48 · table u8 · that table's key
 *
 * origin = topic epoch u32 · partition + 1 u32 (a repair's rows are of partition −1) · generation u32
 */
import { hash } from 'node:crypto'
import { MINUTE_MS } from '../qoe/aggregates.ts'
import { assert } from '../runtime/errors.ts'
import type {
  MinuteRow,
  PartitionRow,
  PositionRow,
  RowOrigin,
  RuleStateRow,
  SessionRow,
} from './rows.ts'

const DIGEST_BYTES = 16
const ORIGIN_BYTES = 12
const TIME_BYTES = 6
const SESSION_KEY_BYTES = DIGEST_BYTES + ORIGIN_BYTES + 4

export function minuteKey(row: MinuteRow): Buffer {
  assert(row.minuteStartMs % MINUTE_MS === 0, 'a minute row begins at a full minute')
  return Buffer.concat([
    minutePrefix(row.view, row.cut, row.minuteStartMs),
    keyDigest(row.key),
    originBytes(row),
  ])
}

/** Begins the keys of all minutes of a cut. */
export function cutPrefix(view: string, cut: string): Buffer {
  return digest(view, cut)
}

/** Begins the keys of one minute of a cut. */
export function minutePrefix(view: string, cut: string, minuteStartMs: number): Buffer {
  return Buffer.concat([cutPrefix(view, cut), timeBytes(minuteStartMs)])
}

/** The part of a minute's key that says which cut key it is. */
export function keyDigest(key: string): Buffer {
  return digest(key)
}

export function minuteKeyDigest(key: Buffer): Buffer {
  const start = DIGEST_BYTES + TIME_BYTES
  return key.subarray(start, start + DIGEST_BYTES)
}

export function sessionKey(row: SessionOf): Buffer {
  return Buffer.concat([
    sessionPrefix(row.view, row.sessionId),
    originBytes(row),
    u32(row.incarnation),
  ])
}

/** Begins the keys of all rows of a session. */
export function sessionPrefix(view: string, sessionId: string): Buffer {
  return digest(view, sessionId)
}

export function positionKey(session: SessionOf, rowNumber: number): Buffer {
  return Buffer.concat([sessionKey(session), u32(rowNumber)])
}

export function rowNumberOfPosition(key: Buffer): number {
  return key.readUInt32BE(SESSION_KEY_BYTES)
}

export function partitionKey(row: PartitionRow): Buffer {
  return Buffer.concat([viewPrefix(row.view), originBytes(row)])
}

/** Begins the keys of all partitions, recent sessions and rules of a view. */
export function viewPrefix(view: string): Buffer {
  return digest(view)
}

export function ruleKey(row: RuleStateRow): Buffer {
  return Buffer.concat([viewPrefix(row.view), digest(row.ruleId)])
}

export function recentKey(row: SessionRow): Buffer {
  return recentKeyOf(row.view, row.firstReceivedAtMs, sessionKey(row))
}

/** The recent key that points to a sessions key. */
export function recentKeyOf(view: string, firstReceivedAtMs: number, session: Buffer): Buffer {
  return Buffer.concat([viewPrefix(view), timeBytes(firstReceivedAtMs), session])
}

/** The same index entry at another start of arrival. */
export function recentKeyAt(recent: Buffer, firstReceivedAtMs: number): Buffer {
  const key = Buffer.from(recent)
  key.writeUIntBE(firstReceivedAtMs, DIGEST_BYTES, TIME_BYTES)
  return key
}

/** The sessions key that a recent key, or one of a viewer's, points to. */
export function sessionKeyOfEntry(key: Buffer): Buffer {
  return key.subarray(key.length - SESSION_KEY_BYTES)
}

/** The viewers key that points to a sessions key. */
export function viewerKey(viewer: string, row: SessionRow): Buffer {
  return Buffer.concat([viewerPrefix(row.view, viewer, row.firstReceivedAtMs), sessionKey(row)])
}

/** Begins the keys of a viewer's sessions of one start of arrival, and comes before all later ones. */
export function viewerPrefix(view: string, viewer: string, firstReceivedAtMs: number): Buffer {
  return Buffer.concat([digest(view, viewer), timeBytes(firstReceivedAtMs)])
}

export function expiryKey(expiresAtMs: number, table: number, key: Buffer): Buffer {
  return Buffer.concat([timeBytes(expiresAtMs), Buffer.of(table), key])
}

/** Above the keys of what expired before `nowMs`, not above later ones. */
export function expiryBound(nowMs: number): Buffer {
  return timeBytes(nowMs)
}

export interface ExpiryKey {
  readonly expiresAtMs: number
  readonly table: number
  readonly key: Buffer
}

export function parseExpiryKey(key: Buffer): ExpiryKey {
  return {
    expiresAtMs: key.readUIntBE(0, TIME_BYTES),
    table: key.readUInt8(TIME_BYTES),
    key: key.subarray(TIME_BYTES + 1),
  }
}

/** What a minute's key says of the row, besides the digests. */
export function parseMinuteKey(
  key: Buffer,
): Omit<RowOrigin, 'view'> & { readonly minuteStartMs: number } {
  const start = 2 * DIGEST_BYTES + TIME_BYTES
  return {
    minuteStartMs: key.readUIntBE(DIGEST_BYTES, TIME_BYTES),
    topicEpoch: key.readUInt32BE(start),
    partition: key.readUInt32BE(start + 4) - 1,
    generation: key.readUInt32BE(start + 8),
  }
}

type SessionOf = Pick<SessionRow | PositionRow, keyof RowOrigin | 'sessionId' | 'incarnation'>

function originBytes(origin: RowOrigin): Buffer {
  assert(origin.partition >= -1, 'a partition is −1 or more')
  const bytes = Buffer.allocUnsafe(ORIGIN_BYTES)
  bytes.writeUInt32BE(origin.topicEpoch, 0)
  bytes.writeUInt32BE(origin.partition + 1, 4)
  bytes.writeUInt32BE(origin.generation, 8)
  return bytes
}

function u32(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(4)
  bytes.writeUInt32BE(value, 0)
  return bytes
}

function timeBytes(epochMs: number): Buffer {
  const bytes = Buffer.allocUnsafe(TIME_BYTES)
  bytes.writeUIntBE(epochMs, 0, TIME_BYTES)
  return bytes
}

/** 128 bits of SHA-256; the length of the first name keeps pairs apart. */
function digest(name: string, second = ''): Buffer {
  return hash('sha256', `${name.length}:${name}${second}`, 'buffer').subarray(0, DIGEST_BYTES)
}
