/**
 * How records lie in LMDB. Records of one append are kept together in chunks, so that small frames
 * cost neither a tree entry nor a page each. A chunk is found by the offset of its last record:
 *
 *   key    topic u16 · partition u16 · last offset u48 · append time u48 · value's length u32
 *   value  format u8 (1) · base offset u48 · append time u48 · count u32 · records
 *   record key length u16 (0xffff: none) · key · headers u16 · (length u16 · text) × 2 each ·
 *          value length u32 · value
 *
 * all big-endian, texts in UTF-8, headers sorted by name: equal records have equal bytes. The first
 * key at or after (topic, partition, offset) belongs to the chunk that holds the offset; append time
 * and length are in the key so that the retention reads no values.
 */
import { assert } from '../runtime/errors.ts'
import type { LogRecord, NewRecord } from './event-log.ts'

export interface ChunkKey {
  readonly lastOffset: number
  readonly loggedAtMs: number
  readonly valueBytes: number
}

const KEY_BYTES = 20
const FORMAT = 1
const CHUNK_HEADER_BYTES = 17
const NO_KEY = 0xffff
/** Bytes of a key, of a header's name or value; and headers of a record. */
export const TEXT_MAX_BYTES = 0xfffe

/** The key of a chunk. */
export function chunkKey(topic: number, partition: number, chunk: ChunkKey): Buffer {
  const key = Buffer.allocUnsafe(KEY_BYTES)
  key.writeUInt16BE(topic, 0)
  key.writeUInt16BE(partition, 2)
  key.writeUIntBE(chunk.lastOffset, 4, 6)
  key.writeUIntBE(chunk.loggedAtMs, 10, 6)
  key.writeUInt32BE(chunk.valueBytes, 16)
  return key
}

/** Not above the key of the chunk that holds the offset, and above those of all chunks before it. */
export function chunkSeekKey(topic: number, partition: number, offset: number): Buffer {
  return chunkKey(topic, partition, { lastOffset: offset, loggedAtMs: 0, valueBytes: 0 })
}

/** Above every key of the partition. */
export function partitionEndKey(topic: number, partition: number): Buffer {
  const key = Buffer.allocUnsafe(5)
  key.writeUInt16BE(topic, 0)
  key.writeUInt16BE(partition, 2)
  key.writeUInt8(0xff, 4)
  return key
}

export function parseChunkKey(key: Buffer): ChunkKey {
  assert(key.length === KEY_BYTES, 'a chunk key has its length')
  return {
    lastOffset: key.readUIntBE(4, 6),
    loggedAtMs: key.readUIntBE(10, 6),
    valueBytes: key.readUInt32BE(16),
  }
}

/** Bytes of a record in a chunk; `undefined` when a text exceeds what its length field can say. */
export function recordBytes(record: NewRecord): number | undefined {
  const texts = Object.entries(record.headers).flat()
  if (texts.length / 2 > TEXT_MAX_BYTES) return undefined
  if (record.key !== undefined) texts.push(record.key)
  let bytes = 8 + record.value.byteLength
  for (const text of texts) {
    const textBytes = Buffer.byteLength(text)
    if (textBytes > TEXT_MAX_BYTES) return undefined
    bytes += textBytes
  }
  return bytes + 4 * Object.keys(record.headers).length
}

export interface ChunkContent {
  readonly baseOffset: number
  readonly loggedAtMs: number
  readonly records: readonly NewRecord[]
  /** Sum of the records' bytes. */
  readonly bytes: number
}

export function encodeChunk(content: ChunkContent): Buffer {
  const chunk = Buffer.allocUnsafe(CHUNK_HEADER_BYTES + content.bytes)
  chunk.writeUInt8(FORMAT, 0)
  chunk.writeUIntBE(content.baseOffset, 1, 6)
  chunk.writeUIntBE(content.loggedAtMs, 7, 6)
  chunk.writeUInt32BE(content.records.length, 13)
  let at = CHUNK_HEADER_BYTES
  const writeText = (text: string): void => {
    const length = chunk.write(text, at + 2)
    at = chunk.writeUInt16BE(length, at) + length
  }
  for (const record of content.records) {
    if (record.key === undefined) at = chunk.writeUInt16BE(NO_KEY, at)
    else writeText(record.key)
    const names = Object.keys(record.headers).toSorted()
    at = chunk.writeUInt16BE(names.length, at)
    for (const name of names) {
      writeText(name)
      writeText(record.headers[name] ?? '')
    }
    at = chunk.writeUInt32BE(record.value.byteLength, at)
    chunk.set(record.value, at)
    at += record.value.byteLength
  }
  assert(at === chunk.length, 'the bytes of the records are counted exactly')
  return chunk
}

/** The records of a chunk from `fromOffset` on; their values are views into `chunk`. */
export function* decodeChunk(
  chunk: Buffer,
  partition: number,
  fromOffset: number,
): Generator<LogRecord, void, undefined> {
  assert(chunk.readUInt8(0) === FORMAT, 'a chunk has the known format')
  const baseOffset = chunk.readUIntBE(1, 6)
  const loggedAtMs = chunk.readUIntBE(7, 6)
  const endOffset = baseOffset + chunk.readUInt32BE(13)
  let at = CHUNK_HEADER_BYTES
  const readText = (): string => {
    const start = at + 2
    at = start + chunk.readUInt16BE(at)
    return chunk.toString('utf8', start, at)
  }
  for (let offset = baseOffset; offset < endOffset; offset += 1) {
    let key: string | undefined
    if (chunk.readUInt16BE(at) === NO_KEY) at += 2
    else key = readText()
    const headers: [name: string, value: string][] = []
    const headerCount = chunk.readUInt16BE(at)
    at += 2
    for (let index = 0; index < headerCount; index += 1) {
      headers.push([readText(), readText()])
    }
    const start = at + 4
    at = start + chunk.readUInt32BE(at)
    if (offset < fromOffset) continue
    const value = chunk.subarray(start, at)
    yield { partition, offset, loggedAtMs, key, value, headers: Object.fromEntries(headers) }
  }
}
