/**
 * Messages that have no room in memory, on disk, first in first out. It outlives connections but not
 * the process: what is in it is not yet acknowledged, and a feed that can resume sends it again.
 * Files are segments, written to their end and closed when they have been read; they have no name any
 * more once they are open, so that whatever ends the process frees their room.
 */
import { closeSync, mkdirSync, openSync, readSync, rmSync, unlinkSync, writeSync } from 'node:fs'
import { join } from 'node:path'

export interface SpooledMessage {
  readonly bytes: Uint8Array
  /** Epoch ms. */
  readonly receivedAtMs: number
}

interface Segment {
  readonly file: number
  sizeBytes: number
  readBytes: number
}

/** Length of the message and when it came. */
const HEADER_BYTES = 12
const SEGMENTS = 8

export class Spool {
  readonly #folder: string
  readonly #maxBytes: number
  readonly #segments: Segment[] = []
  #created = 0
  #usedBytes = 0
  #messages = 0

  /** What an earlier process has left in the folder goes. */
  constructor(folder: string, maxBytes: number) {
    this.#folder = folder
    this.#maxBytes = maxBytes
    rmSync(folder, { recursive: true, force: true })
  }

  /** Bytes of files, of which the first may be read in part. */
  get usedBytes(): number {
    return this.#usedBytes
  }

  get messages(): number {
    return this.#messages
  }

  /** False when there is no room for it; throws what the file system throws. */
  append({ bytes, receivedAtMs }: SpooledMessage): boolean {
    const size = HEADER_BYTES + bytes.length
    if (this.#usedBytes + size > this.#maxBytes) return false
    const segment = this.#segmentFor(size)
    const header = Buffer.alloc(HEADER_BYTES)
    header.writeUInt32LE(bytes.length, 0)
    header.writeDoubleLE(receivedAtMs, 4)
    // A write that fails leaves the segment as it was: its size says where the next one goes.
    writeAll(segment.file, header, segment.sizeBytes)
    writeAll(segment.file, bytes, segment.sizeBytes + HEADER_BYTES)
    segment.sizeBytes += size
    this.#usedBytes += size
    this.#messages += 1
    return true
  }

  take(): SpooledMessage | undefined {
    // One that could not be written to has nothing, and another may stand behind it.
    let [segment] = this.#segments
    for (; segment !== undefined && isRead(segment); [segment] = this.#segments) this.#drop(segment)
    if (segment === undefined) return undefined
    const header = readAll(segment.file, HEADER_BYTES, segment.readBytes)
    const length = header.readUInt32LE(0)
    const bytes = readAll(segment.file, length, segment.readBytes + HEADER_BYTES)
    segment.readBytes += HEADER_BYTES + length
    this.#messages -= 1
    if (isRead(segment)) this.#drop(segment)
    return { bytes, receivedAtMs: header.readDoubleLE(4) }
  }

  clear(): void {
    while (this.#segments[0] !== undefined) this.#drop(this.#segments[0])
    this.#messages = 0
  }

  close(): void {
    this.clear()
    rmSync(this.#folder, { recursive: true, force: true })
  }

  #segmentFor(size: number): Segment {
    const last = this.#segments.at(-1)
    if (last !== undefined && last.sizeBytes + size <= this.#maxBytes / SEGMENTS) return last
    mkdirSync(this.#folder, { recursive: true })
    const path = join(this.#folder, `${(this.#created += 1)}`)
    const segment = { file: openSync(path, 'w+'), sizeBytes: 0, readBytes: 0 }
    unlinkSync(path)
    this.#segments.push(segment)
    return segment
  }

  #drop(segment: Segment): void {
    this.#segments.shift()
    this.#usedBytes -= segment.sizeBytes
    closeSync(segment.file)
  }
}

function isRead({ readBytes, sizeBytes }: Segment): boolean {
  return readBytes === sizeBytes
}

function writeAll(file: number, bytes: Uint8Array, position: number): void {
  for (let written = 0; written < bytes.length;)
    written += writeSync(file, bytes, written, bytes.length - written, position + written)
}

function readAll(file: number, length: number, position: number): Buffer {
  const bytes = Buffer.allocUnsafe(length)
  for (let read = 0; read < length;) {
    const count = readSync(file, bytes, read, length - read, position + read)
    if (count === 0) throw new Error('assertion failed: a spooled message is whole')
    read += count
  }
  return bytes
}
