/**
 * The bytes of a checkpoint object:
 *
 *   magic "BHCP" · format u16 · header length u32 · header (JSON)
 *   · per piece: raw length u32, stored length u32, bytes (zstd) ·
 *   SHA-256 of everything before it
 *
 * Of any format, now and later, the magic, the format and the closing hash stand where they stand:
 * so an old program tells a newer checkpoint from a damaged one. Pieces are compressed as they come,
 * so that only the compressed bytes are held.
 */
import { createHash } from 'node:crypto'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { promisify } from 'node:util'
import {
  constants,
  zstdCompress,
  zstdCompressSync,
  zstdDecompress,
  zstdDecompressSync,
} from 'node:zlib'
import { z } from 'zod'
import { objectErrors } from './object-errors.ts'

/** Raised when older programs could not read what is written. */
export const CHECKPOINT_OBJECT_FORMAT = 1

export interface CheckpointObjectHeader {
  readonly name: string
  readonly offset: number
  readonly topicId?: string | undefined
}

const headerSchema = z.object({
  name: z.string(),
  offset: z.int().min(0),
  topicId: z.string().optional(),
})

const MAGIC = 'BHCP'
const HASH_BYTES = 32
const PREFIX_BYTES = 10
const PIECE_HEADER_BYTES = 8
/** Hashed, or unpacked at once, before the event loop has its turn. */
const SLICE_BYTES = 1024 * 1024
/** A smaller piece takes less time than its way to another thread and back. */
const PIECE_AT_ONCE_MAX_BYTES = 16 * 1024
/** Level 1: a snapshot shrinks as much as at 3 in less than half the time. */
const LEVEL = { params: { [constants.ZSTD_c_compressionLevel]: 1 } }

const compress = promisify(zstdCompress)
const decompress = promisify(zstdDecompress)

export async function encodeCheckpointObject(
  header: CheckpointObjectHeader,
  chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
): Promise<Uint8Array> {
  const json = Buffer.from(JSON.stringify(header))
  const prefix = Buffer.alloc(PREFIX_BYTES)
  prefix.write(MAGIC, 0, 'latin1')
  prefix.writeUInt16BE(CHECKPOINT_OBJECT_FORMAT, 4)
  prefix.writeUInt32BE(json.length, 6)
  const parts = [prefix, json]
  const hash = createHash('sha256').update(prefix).update(json)
  for await (const chunk of chunks) {
    if (chunk.length === 0) continue
    const isSmall = chunk.length <= PIECE_AT_ONCE_MAX_BYTES
    const stored = isSmall ? zstdCompressSync(chunk, LEVEL) : await compress(chunk, LEVEL)
    const lengths = Buffer.allocUnsafe(PIECE_HEADER_BYTES)
    lengths.writeUInt32BE(chunk.length, 0)
    lengths.writeUInt32BE(stored.length, 4)
    parts.push(lengths, stored)
    hash.update(lengths).update(stored)
  }
  return Buffer.concat([...parts, hash.digest()])
}

/**
 * What a checkpoint object holds, or `undefined` when it is damaged. Throws
 * `CHECKPOINT_VERSION_NEWER` for a sound one of a later format.
 */
export async function decodeCheckpointObject(
  objectName: string,
  bytes: Uint8Array,
): Promise<{ readonly header: CheckpointObjectHeader; readonly bytes: Uint8Array } | undefined> {
  const object = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (object.length < PREFIX_BYTES + HASH_BYTES) return undefined
  if (object.toString('latin1', 0, MAGIC.length) !== MAGIC) return undefined
  const end = object.length - HASH_BYTES
  if (!(await hashOf(object.subarray(0, end))).equals(object.subarray(end))) return undefined
  const format = object.readUInt16BE(4)
  if (format > CHECKPOINT_OBJECT_FORMAT)
    throw objectErrors.create('CHECKPOINT_VERSION_NEWER', {
      expected: `${objectName} of format ${CHECKPOINT_OBJECT_FORMAT} or lower`,
      received: `format ${format}`,
    })
  try {
    return await unpack(object.subarray(0, end))
  } catch {
    // The hash vouches for what is stored, not for who stored it: anybody can hash what is no checkpoint.
    return undefined
  }
}

/** Throws whatever it meets in bytes that are no checkpoint; no piece becomes more than it says. */
async function unpack(object: Buffer) {
  const headerEnd = PREFIX_BYTES + object.readUInt32BE(6)
  const header = headerSchema.parse(JSON.parse(object.toString('utf8', PREFIX_BYTES, headerEnd)))
  const pieces = [...piecesOf(object, headerEnd)]
  // Filled piece by piece: to put them together at the end would hold up everybody.
  const bytes = Buffer.allocUnsafeSlow(pieces.reduce((sum, { rawBytes }) => sum + rawBytes, 0))
  let end = 0
  let turnEndsAt = SLICE_BYTES
  for (const { rawBytes, stored } of pieces) {
    const bounds = { maxOutputLength: Math.max(1, rawBytes) }
    const isSmall = rawBytes <= PIECE_AT_ONCE_MAX_BYTES
    const piece = isSmall ? zstdDecompressSync(stored, bounds) : await decompress(stored, bounds)
    bytes.set(piece, end)
    end += piece.length
    if (end < turnEndsAt) continue
    await nextTurn()
    turnEndsAt = end + SLICE_BYTES
  }
  return { header, bytes: bytes.subarray(0, end) }
}

function* piecesOf(object: Buffer, start: number) {
  for (let at = start; at < object.length;) {
    const storedStart = at + PIECE_HEADER_BYTES
    const rawBytes = object.readUInt32BE(at)
    at = storedStart + object.readUInt32BE(at + 4)
    yield { rawBytes, stored: object.subarray(storedStart, at) }
  }
}

/** Hashes in slices, between which the event loop has its turn. */
async function hashOf(bytes: Buffer): Promise<Buffer> {
  const hash = createHash('sha256')
  for (let at = 0; at < bytes.length; at += SLICE_BYTES) {
    if (at > 0) await nextTurn()
    hash.update(bytes.subarray(at, at + SLICE_BYTES))
  }
  return hash.digest()
}
