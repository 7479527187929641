/**
 * Snapshots of a fold as bytes: one JSON object a line. The first line is the header, then the
 * pending outputs, then one line per session and pane. Format version 1; a fold refuses others.
 */
import type { FoldOutput, FoldSnapshot } from './fold.ts'
import type { CopyOnWrite, SnapshotEntry } from './copy-on-write.ts'
import type { SerialisedPane } from './panes.ts'
import type { EventCounters, SerialisedSession } from './session.ts'

const SNAPSHOT_VERSION = 1

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
  readonly #entries: readonly SnapshotEntry[]
  /** Lines of the header and the outputs, of the moment the snapshot began. */
  readonly #head: readonly string[]
  #headDone = false
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
    this.#head = [
      JSON.stringify({ k: 'fold', version: SNAPSHOT_VERSION, ...header }),
      ...outputs.map((output) => JSON.stringify({ k: 'output', output }, withBigints)),
    ]
    copyOnWrite.begin()
  }

  next(maxEntries: number): Uint8Array | undefined {
    if (!this.#headDone) {
      this.#headDone = true
      return encodeLines(this.#head)
    }
    if (this.#index >= this.#entries.length) {
      this.#copyOnWrite.end()
      return undefined
    }
    const slice = this.#entries.slice(this.#index, this.#index + maxEntries)
    this.#index += slice.length
    return encodeLines(slice.map((entry) => this.#copyOnWrite.read(entry)))
  }

  abandon(): void {
    this.#index = this.#entries.length
    this.#headDone = true
    this.#copyOnWrite.end()
  }
}

export interface DecodedSnapshot {
  readonly header: SnapshotHeader
  readonly outputs: FoldOutput[]
  readonly sessions: readonly SerialisedSession[]
  readonly panes: readonly SerialisedPane[]
}

/** Throws a plain Error when the bytes are not a whole snapshot of this version. */
export function decodeSnapshot(bytes: Uint8Array): DecodedSnapshot {
  const outputs: FoldOutput[] = []
  const sessions: SerialisedSession[] = []
  const panes: SerialisedPane[] = []
  let header: SnapshotHeader | undefined
  for (const line of Buffer.from(bytes).toString('utf8').split('\n')) {
    if (line === '') continue
    const entry = JSON.parse(line, fromBigints) as { k: string; version?: number }
    if (entry.k === 'fold') {
      if (entry.version !== SNAPSHOT_VERSION)
        throw new Error(`snapshot version ${entry.version}, expected ${SNAPSHOT_VERSION}`)
      header = entry as unknown as SnapshotHeader
    } else if (entry.k === 'output')
      outputs.push((entry as unknown as { output: FoldOutput }).output)
    else if (entry.k === 'session') sessions.push(entry as unknown as SerialisedSession)
    else if (entry.k === 'pane') panes.push(entry as unknown as SerialisedPane)
    else throw new Error(`unknown snapshot entry ${entry.k}`)
  }
  if (header === undefined) throw new Error('a snapshot without its header')
  return { header, outputs, sessions, panes }
}

function encodeLines(lines: readonly string[]): Uint8Array {
  return Buffer.from(lines.length === 0 ? '' : `${lines.join('\n')}\n`)
}

/** Bigints as `{"$bigint":"…"}`; only the rows of pending outputs hold any. */
function withBigints(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? { $bigint: value.toString() } : value
}

function fromBigints(_key: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || !('$bigint' in value)) return value
  return BigInt(String(value.$bigint))
}
