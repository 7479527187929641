/**
 * Snapshots of a fold as bytes: one JSON object a line. The first line is the header, then the
 * pending outputs, then one line per session and pane. Format version 1; a fold refuses others.
 */
import type { FoldOutput, FoldSnapshot } from './fold.ts'
import type { CopyOnWrite, SnapshotEntry } from './copy-on-write.ts'
import type { SerialisedPane } from './panes.ts'
import type { EventCounters, SerialisedSession } from './session-state.ts'

const SNAPSHOT_VERSION = 1
const LF = 0x0a

export interface SnapshotHeader {
  readonly nextOffset: number
  readonly lastLoggedAtMs: number
  readonly ticks: number
  readonly receivedAtClamped: number
  readonly counters: EventCounters
}

/** Reads a snapshot in slices while the fold goes on; see `FoldSnapshot`. */
export class SnapshotReader implements FoldSnapshot {
  readonly nextOffset: number
  readonly #copyOnWrite: CopyOnWrite
  readonly #header: string
  /** The outputs pending when the snapshot began; they never change. */
  readonly #outputs: readonly FoldOutput[]
  readonly #entries: readonly SnapshotEntry[]
  #headerDone = false
  /** How far the outputs, and after them the entries, are read. */
  #index = 0

  constructor(
    header: SnapshotHeader,
    outputs: readonly FoldOutput[],
    entries: readonly SnapshotEntry[],
    copyOnWrite: CopyOnWrite,
  ) {
    this.nextOffset = header.nextOffset
    this.#entries = entries
    this.#copyOnWrite = copyOnWrite
    this.#header = JSON.stringify({ k: 'fold', version: SNAPSHOT_VERSION, ...header })
    this.#outputs = [...outputs]
    copyOnWrite.begin()
  }

  next(maxEntries: number): Uint8Array | undefined {
    if (!this.#headerDone) {
      this.#headerDone = true
      return encodeLines([this.#header])
    }
    const from = this.#index
    const outputs = this.#outputs.slice(from, from + maxEntries)
    const firstEntry = Math.max(0, from - this.#outputs.length)
    const entries = this.#entries.slice(firstEntry, firstEntry + maxEntries - outputs.length)
    this.#index += outputs.length + entries.length
    if (this.#index === from) {
      this.#copyOnWrite.end()
      return undefined
    }
    return encodeLines([
      ...outputs.map((output) => JSON.stringify({ k: 'output', output }, bigintAsText)),
      ...entries.map((entry) => this.#copyOnWrite.read(entry)),
    ])
  }

  abandon(): void {
    this.#index = this.#outputs.length + this.#entries.length
    this.#headerDone = true
    this.#copyOnWrite.end()
  }
}

export type DecodedEntry =
  | { readonly kind: 'output'; readonly output: FoldOutput }
  | { readonly kind: 'session'; readonly saved: SerialisedSession }
  | { readonly kind: 'pane'; readonly saved: SerialisedPane }

/**
 * Decodes a snapshot line by line, so that whoever restores it may do so in slices. Throws a plain
 * Error on what is not a snapshot of this version.
 */
export class SnapshotDecoder {
  readonly header: SnapshotHeader
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    const line = this.#line()
    if (line === undefined) throw new Error('a snapshot without its header')
    const header = JSON.parse(line) as SnapshotHeader & { k: string; version?: number }
    if (header.k !== 'fold') throw new Error('a snapshot without its header')
    if (header.version !== SNAPSHOT_VERSION)
      throw new Error(`snapshot version ${header.version}, expected ${SNAPSHOT_VERSION}`)
    this.header = header
  }

  /** The next entry; `undefined` at the end. */
  next(): DecodedEntry | undefined {
    const line = this.#line()
    if (line === undefined) return undefined
    const entry = JSON.parse(line) as { k: string }
    if (entry.k === 'output') return { kind: 'output', output: decodeOutput(line) }
    if (entry.k === 'session')
      return { kind: 'session', saved: entry as unknown as SerialisedSession }
    if (entry.k === 'pane') return { kind: 'pane', saved: entry as unknown as SerialisedPane }
    throw new Error(`unknown snapshot entry ${entry.k}`)
  }

  #line(): string | undefined {
    if (this.#at >= this.#bytes.length) return undefined
    const found = this.#bytes.indexOf(LF, this.#at)
    const end = found === -1 ? this.#bytes.length : found
    const line = this.#bytes.toString('utf8', this.#at, end)
    this.#at = end + 1
    return line
  }
}

function encodeLines(lines: readonly string[]): Uint8Array {
  return Buffer.from(lines.length === 0 ? '' : `${lines.join('\n')}\n`)
}

function bigintAsText(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? value.toString() : value
}

/** Only a part's `bitsPlayed` is a bigint; what a client wrote stays what it is. */
function decodeOutput(line: string): FoldOutput {
  const { output } = JSON.parse(line) as { output: FoldOutput }
  if (output.kind !== 'closedSession') return output
  const parts = output.row.parts.map((part) => ({ ...part, bitsPlayed: BigInt(part.bitsPlayed) }))
  return { ...output, row: { ...output.row, parts } }
}
