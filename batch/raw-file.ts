/** One raw file in the making: lines go in, compressed bytes come out. */
import { once } from 'node:events'
import { constants, createZstdCompress, type ZstdCompress } from 'node:zlib'
import type { LogRecord } from '../shared/log/event-log.ts'
import { RAW_CHUNK_BYTES, RAW_ZSTD_LEVEL } from './limits.ts'
import type { RawFileInfo } from './manifest.ts'
import { addCounts, NO_COUNTS, type RawCounts, type RawLine } from './raw-line.ts'
import { sha256Of } from './run-objects.ts'

const HOUR_MS = 60 * 60_000

/** What a file keeps of a record beside its line. */
export type RecordPlace = Pick<LogRecord, 'offset' | 'loggedAtMs'>

type EndedFile = Omit<RawFileInfo, 'name' | 'topic' | 'partition'> & { readonly bytes: Uint8Array }

export class RawFile {
  readonly first: number
  /** Append time that gives the file its day and hour, epoch ms. */
  readonly hourOfMs: number
  readonly #targetBytes: number
  readonly #zstd: ZstdCompress
  readonly #compressed: Buffer[] = []
  #waiting: Uint8Array[] = []
  #waitingBytes = 0
  #textBytes = 0
  #last: number
  #loggedAtMinMs = Number.MAX_SAFE_INTEGER
  #loggedAtMaxMs = Number.MIN_SAFE_INTEGER
  #counts: RawCounts = NO_COUNTS

  constructor(first: number, hourOfMs: number, targetBytes: number) {
    this.first = first
    this.hourOfMs = hourOfMs
    this.#last = first
    this.#targetBytes = targetBytes
    this.#zstd = createZstdCompress({
      params: {
        [constants.ZSTD_c_compressionLevel]: RAW_ZSTD_LEVEL,
        [constants.ZSTD_c_checksumFlag]: 1,
      },
    })
    this.#zstd.on('data', (chunk: Buffer) => this.#compressed.push(chunk))
  }

  /** Whether a record that moves the largest append time to `loggedAtMaxMs` begins another file. */
  isCompleteBefore(loggedAtMaxMs: number): boolean {
    const hourIsOver = Math.floor(loggedAtMaxMs / HOUR_MS) > Math.floor(this.hourOfMs / HOUR_MS)
    return hourIsOver || this.#textBytes >= this.#targetBytes
  }

  async add({ offset, loggedAtMs }: RecordPlace, line: RawLine): Promise<void> {
    this.#last = offset
    this.#loggedAtMinMs = Math.min(this.#loggedAtMinMs, loggedAtMs)
    this.#loggedAtMaxMs = Math.max(this.#loggedAtMaxMs, loggedAtMs)
    this.#counts = addCounts(this.#counts, line.counts)
    this.#textBytes += line.bytes.length
    this.#waiting.push(line.bytes)
    this.#waitingBytes += line.bytes.length
    // Chunks are cut by the lines alone: what is compressed together does not depend on the reads.
    if (this.#waitingBytes >= RAW_CHUNK_BYTES) await this.#compress()
  }

  async end(): Promise<EndedFile> {
    await this.#compress()
    const ended = once(this.#zstd, 'end')
    this.#zstd.end()
    await ended
    const bytes = Buffer.concat(this.#compressed)
    return {
      bytes,
      first: this.first,
      last: this.#last,
      sizeBytes: bytes.length,
      sha256: sha256Of(bytes),
      textBytes: this.#textBytes,
      loggedAtMinMs: this.#loggedAtMinMs,
      loggedAtMaxMs: this.#loggedAtMaxMs,
      counts: this.#counts,
    }
  }

  /** Gives the file up. */
  abandon(): void {
    this.#zstd.destroy()
  }

  async #compress(): Promise<void> {
    if (this.#waitingBytes === 0) return
    const chunk = Buffer.concat(this.#waiting)
    this.#waiting = []
    this.#waitingBytes = 0
    if (!this.#zstd.write(chunk)) await once(this.#zstd, 'drain')
  }
}
