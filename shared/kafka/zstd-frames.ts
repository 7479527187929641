/**
 * Decompresses zstd in one piece where its frame says how long it will be (RFC 8878, 3.1.1.1). Node on
 * its own gathers the output in pieces of 16 KiB and then copies them together, which for a batch of
 * some hundred KiB takes twice the time, and leaves the collector dozens of buffers to look after.
 */
import { zstdDecompressSync } from 'node:zlib'

const MIB = 1024 * 1024
/** What a frame says of itself may be wrong: more than this is not taken at its word, bytes. */
const PIECE_MAX_BYTES = 16 * MIB
/** What Node takes on its own, bytes. */
const NODE_PIECE_BYTES = 16 * 1024
/** Of the frame: magic number, descriptor, window, dictionary, length of the content. */
const HEADER_MAX_BYTES = 18
const DESCRIPTOR_OFFSET = 4
const DICTIONARY_BYTES = [0, 1, 2, 4] as const

/** A frame in, its content out. Throws what zlib throws for what is not zstd. */
export function decompressZstd(data: Buffer): Buffer {
  const bytes = contentBytes(data)
  if (bytes === undefined || bytes <= NODE_PIECE_BYTES) return zstdDecompressSync(data)
  // One byte to spare, so that the end is seen without another piece.
  return zstdDecompressSync(data, { chunkSize: Math.min(bytes + 1, PIECE_MAX_BYTES) })
}

/** As the frame's header says; `undefined` where it does not. */
function contentBytes(data: Buffer): number | undefined {
  if (data.length < HEADER_MAX_BYTES) return undefined
  const descriptor = data.readUInt8(DESCRIPTOR_OFFSET)
  const isSingleSegment = (descriptor & 0x20) !== 0
  const dictionaryBytes = DICTIONARY_BYTES[(descriptor & 0x03) as 0 | 1 | 2 | 3]
  const offset = DESCRIPTOR_OFFSET + 1 + (isSingleSegment ? 0 : 1) + dictionaryBytes
  switch (descriptor >> 6) {
    case 0:
      return isSingleSegment ? data.readUInt8(offset) : undefined
    case 1:
      return data.readUInt16LE(offset) + 256
    case 2:
      return data.readUInt32LE(offset)
    default:
      return Number(data.readBigUInt64LE(offset))
  }
}
