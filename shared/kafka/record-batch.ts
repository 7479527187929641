/**
 * Kafka's record batch (format 2), as appends are sent:
 *
 *   baseOffset i64 = 0 · length i32 · leaderEpoch i32 = −1 · magic i8 = 2 · crc32c u32 of what follows
 *   attributes i16 = zstd · lastOffsetDelta i32 · firstTimestamp i64 = 0 · maxTimestamp i64 = 0
 *   producerId i64 = −1 · producerEpoch i16 = −1 · baseSequence i32 = −1 · count i32 · records, compressed
 *
 * Times are left to the broker, which puts its append time in their place (LogAppendTime).
 *
 * All records are written into one buffer that is used again for every batch, and compressed out
 * of it: the libraries make a buffer or more for each field of each record, which is what most of
 * their time goes into.
 */
import { crc32c } from '@platformatic/kafka'
import type { NewRecord } from '../log/event-log.ts'
import { isTombstone } from './kafka-client.ts'
import { ZstdContext } from './zstd-context.ts'

const HEADER_BYTES = 61
const MAGIC = 2
const ZSTD = 4
/** Where the length's count and the checksum's bytes begin. */
const AFTER_LENGTH = 12
const CRC_AT = 17
const ATTRIBUTES_AT = 21
/** Largest fields of a record besides key, value and headers: its length, attributes, deltas and lengths. */
const RECORD_OVERHEAD_BYTES = 5 + 1 + 1 + 5 + 5 + 5
const SLAB_BYTES = 1024 * 1024
const ASCII_END = 0x80

export class RecordBatchEncoder {
  readonly #zstd = new ZstdContext()
  #slab = Buffer.allocUnsafeSlow(SLAB_BYTES)
  #at = 0
  /** Records mostly share one headers object; it is encoded once. */
  #headers: NewRecord['headers'] = {}
  #headerBytes = encodeHeaders({})

  /** The batch's header and its compressed records. */
  encode(records: readonly NewRecord[]): Buffer {
    this.#at = 0
    let offsetDelta = 0
    for (const record of records) this.#write(record, offsetDelta++)
    return asBatch(this.#zstd.compress(this.#slab.subarray(0, this.#at)), records.length)
  }

  #write({ key, value, headers }: NewRecord, offsetDelta: number): void {
    if (headers !== this.#headers) {
      this.#headers = headers
      this.#headerBytes = encodeHeaders(headers)
    }
    const isAsciiKey = key !== undefined && isAscii(key)
    const keyBytes = key === undefined ? -1 : isAsciiKey ? key.length : Buffer.byteLength(key)
    // Compaction takes null, and not what is empty, for the end of a key.
    const valueBytes = isTombstone(key, value) ? -1 : value.byteLength
    const bytes =
      2 +
      varintBytes(offsetDelta) +
      varintBytes(keyBytes) +
      Math.max(0, keyBytes) +
      varintBytes(valueBytes) +
      value.byteLength +
      this.#headerBytes.length
    this.#reserve(bytes + RECORD_OVERHEAD_BYTES)
    const slab = this.#slab
    let at = writeVarint(slab, bytes, this.#at)
    slab[at++] = 0
    slab[at++] = 0
    at = writeVarint(slab, offsetDelta, at)
    at = writeVarint(slab, keyBytes, at)
    // Keys are short, and mostly ASCII: a call out of the engine would cost more than the loop.
    if (isAsciiKey) for (let of = 0; of < keyBytes; of++) slab[at++] = key.charCodeAt(of)
    else if (key !== undefined) at += slab.write(key, at)
    at = writeVarint(slab, valueBytes, at)
    slab.set(value, at)
    at += value.byteLength
    slab.set(this.#headerBytes, at)
    this.#at = at + this.#headerBytes.length
  }

  /** Appends are bounded, and so is what the slab grows to. */
  #reserve(bytes: number): void {
    const needed = this.#at + bytes
    if (needed <= this.#slab.length) return
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, 2 * this.#slab.length))
    this.#slab.copy(larger, 0, 0, this.#at)
    this.#slab = larger
  }
}

function asBatch(body: Buffer, count: number): Buffer {
  // Every byte is written; clearing them first would cost as much as copying them.
  const batch = Buffer.allocUnsafe(HEADER_BYTES + body.length)
  batch.writeBigInt64BE(0n, 0)
  batch.writeInt32BE(batch.length - AFTER_LENGTH, 8)
  batch.writeInt32BE(-1, AFTER_LENGTH)
  batch.writeInt8(MAGIC, 16)
  let at = batch.writeInt16BE(ZSTD, ATTRIBUTES_AT)
  at = batch.writeInt32BE(count - 1, at)
  at = batch.writeBigInt64BE(0n, at)
  at = batch.writeBigInt64BE(0n, at)
  at = batch.writeBigInt64BE(-1n, at)
  at = batch.writeInt16BE(-1, at)
  at = batch.writeInt32BE(-1, at)
  at = batch.writeInt32BE(count, at)
  batch.set(body, at)
  batch.writeUInt32BE(crc32c(batch.subarray(ATTRIBUTES_AT)), CRC_AT)
  return batch
}

function isAscii(text: string): boolean {
  for (let at = 0; at < text.length; at++) if (text.charCodeAt(at) >= ASCII_END) return false
  return true
}

function encodeHeaders(headers: NewRecord['headers']): Buffer {
  const entries = Object.entries(headers)
  const parts = [varint(entries.length)]
  for (const entry of entries)
    for (const text of entry) {
      const bytes = Buffer.from(text)
      parts.push(varint(bytes.length), bytes)
    }
  return Buffer.concat(parts)
}

function varint(value: number): Buffer {
  const bytes = Buffer.alloc(varintBytes(value))
  writeVarint(bytes, value, 0)
  return bytes
}

/** Bytes of a signed number in zigzag, seven bits a byte. */
function varintBytes(value: number): number {
  const zigzag = ((value << 1) ^ (value >> 31)) >>> 0
  if (zigzag < 0x80) return 1
  if (zigzag < 0x4000) return 2
  if (zigzag < 0x200000) return 3
  return zigzag < 0x10000000 ? 4 : 5
}

function writeVarint(target: Buffer, value: number, at: number): number {
  let zigzag = ((value << 1) ^ (value >> 31)) >>> 0
  while (zigzag >= 0x80) {
    target[at++] = (zigzag & 0x7f) | 0x80
    zigzag >>>= 7
  }
  target[at++] = zigzag
  return at
}
