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
import { constants, zstdCompressSync } from 'node:zlib'
import { crc32c } from '@platformatic/kafka'
import type { NewRecord } from '../log/event-log.ts'
import { isTombstone, ZSTD_LEVEL } from './kafka-client.ts'

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
/** zstd's buffer for its output; a batch is seldom larger compressed. */
const OUTPUT_CHUNK_BYTES = 64 * 1024
const COMPRESSION = {
  params: { [constants.ZSTD_c_compressionLevel]: ZSTD_LEVEL },
  chunkSize: OUTPUT_CHUNK_BYTES,
}

export class RecordBatchEncoder {
  #slab = Buffer.allocUnsafeSlow(SLAB_BYTES)
  #at = 0
  /** Records mostly share one headers object; it is encoded once. */
  #headers: NewRecord['headers'] = {}
  #headerBytes = encodeHeaders({})

  /** The batch's header and its compressed records, to be sent one after the other. */
  encode(records: readonly NewRecord[]): readonly [Buffer, Buffer] {
    this.#at = 0
    for (const [index, record] of records.entries()) this.#write(record, index)
    const body = zstdCompressSync(this.#slab.subarray(0, this.#at), COMPRESSION)
    return [batchHeader(body, records.length), body]
  }

  #write({ key, value, headers }: NewRecord, offsetDelta: number): void {
    if (headers !== this.#headers) {
      this.#headers = headers
      this.#headerBytes = encodeHeaders(headers)
    }
    const keyBytes = key === undefined ? -1 : Buffer.byteLength(key)
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
    if (key !== undefined) at += slab.write(key, at)
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

function batchHeader(body: Buffer, count: number): Buffer {
  const header = Buffer.allocUnsafe(HEADER_BYTES)
  header.writeBigInt64BE(0n, 0)
  header.writeInt32BE(HEADER_BYTES - AFTER_LENGTH + body.length, 8)
  header.writeInt32BE(-1, AFTER_LENGTH)
  header.writeInt8(MAGIC, 16)
  let at = header.writeInt16BE(ZSTD, ATTRIBUTES_AT)
  at = header.writeInt32BE(count - 1, at)
  at = header.writeBigInt64BE(0n, at)
  at = header.writeBigInt64BE(0n, at)
  at = header.writeBigInt64BE(-1n, at)
  at = header.writeInt16BE(-1, at)
  at = header.writeInt32BE(-1, at)
  header.writeInt32BE(count, at)
  const checked = Buffer.concat([header.subarray(ATTRIBUTES_AT), body])
  header.writeUInt32BE(crc32c(checked), CRC_AT)
  return header
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
