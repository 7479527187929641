/**
 * Runs the product's fold over records as a processor would: rows are taken, written to a store that
 * keeps the highest stamp, and acknowledged or not; checkpoints are read in slices while records go
 * on; a restart goes back to the last checkpoint and reads the records after it again.
 */
import { isDeepStrictEqual } from 'node:util'

import type { DecodedRecord } from '../../shared/log/record.ts'
import type { MinuteAggregates } from '../../shared/qoe/aggregates.ts'
import type {
  ClosedSession,
  DirtyQueue,
  FoldOptions,
  FoldSnapshot,
  FoldStatus,
  PartitionFold,
  RowTicket,
} from '../../shared/qoe/fold.ts'
import { createPartitionFold, restorePartitionFold } from '../../shared/qoe/partition-fold.ts'
import type { FoldException, MinuteRow, PositionRow, SessionRow } from '../../shared/speed/rows.ts'

const QUEUES: readonly DirtyQueue[] = ['narrow', 'wide', 'sessionUrgent', 'session']
const ENTRIES_PER_TAKE = 7
const ENTRIES_PER_SLICE = 3
/** Larger counters and offsets; the smallest session or pane is larger. */
const EMPTY_SNAPSHOT_SLACK_BYTES = 200
const YEAR_MS = 366 * 86_400_000

export interface FoldRun {
  /** By `cut|key|minuteStartMs`. */
  readonly minutes: ReadonlyMap<string, MinuteAggregates>
  readonly sessions: readonly SessionRow[]
  readonly positions: readonly PositionRow[]
  readonly exceptions: readonly FoldException[]
  readonly closed: readonly ClosedSession[]
  readonly status: FoldStatus
  /** Stamps that went back, rows that changed under an equal stamp, state that is never let go. */
  readonly faults: readonly string[]
}

/** What happens between two records; the plan of a run is drawn from its seed. */
export type Interruption =
  | { readonly kind: 'writeRows'; readonly queue: DirtyQueue; readonly fate: WriteFate }
  | { readonly kind: 'takeOutputs' }
  /** Begins a checkpoint or reads its next slice. */
  | { readonly kind: 'checkpoint' }
  | { readonly kind: 'abandonCheckpoint' }
  /** A crash: back to the last complete checkpoint, if there is one. */
  | { readonly kind: 'restart' }

/**
 * `acknowledged` ends all writes in flight. `unanswered` rows are in the store already, `unsent`
 * ones are not, and a crash loses them.
 */
export type WriteFate = 'acknowledged' | 'unanswered' | 'unsent'

interface Checkpoint {
  readonly bytes: Uint8Array
  readonly recordsAfter: DecodedRecord[]
}

interface OpenCheckpoint {
  readonly snapshot: FoldSnapshot
  readonly slices: Uint8Array[]
  readonly recordsAfter: DecodedRecord[]
}

export class FoldRunner {
  #fold: PartitionFold
  #checkpoint: Checkpoint | undefined
  #open: OpenCheckpoint | undefined
  /** Taken and not acknowledged yet; a crash forgets them. */
  #inFlight: RowTicket[] = []
  /** By row, since the last restart. */
  #lastStamps = new Map<string, number>()
  readonly #options: FoldOptions
  readonly #minutes = new Map<string, MinuteRow>()
  readonly #sessions = new Map<string, SessionRow>()
  readonly #positions = new Map<string, PositionRow>()
  readonly #exceptions = new Map<string, FoldException>()
  readonly #closed: ClosedSession[] = []
  readonly #faults: string[] = []

  constructor(options: FoldOptions) {
    this.#options = options
    this.#fold = createPartitionFold(options)
  }

  apply(record: DecodedRecord): void {
    this.#fold.apply(record)
    this.#checkpoint?.recordsAfter.push(record)
    this.#open?.recordsAfter.push(record)
  }

  interrupt(interruption: Interruption): void {
    switch (interruption.kind) {
      case 'writeRows':
        this.#writeRows(interruption.queue, interruption.fate)
        break
      case 'takeOutputs':
        this.#takeOutputs(ENTRIES_PER_TAKE)
        break
      case 'checkpoint':
        this.#advanceCheckpoint()
        break
      case 'abandonCheckpoint':
        this.#open?.snapshot.abandon()
        this.#open = undefined
        break
      case 'restart':
        this.#restart()
    }
  }

  finish(): FoldRun {
    this.#flush()
    const run = {
      minutes: new Map([...this.#minutes].map(([id, row]) => [id, row.aggregates])),
      sessions: [...this.#sessions.values()],
      positions: [...this.#positions.values()],
      exceptions: [...this.#exceptions.values()],
      closed: [...this.#closed],
      status: this.#fold.status,
    }
    return { ...run, faults: [...this.#faults, ...this.#leftovers()] }
  }

  #advanceCheckpoint(): void {
    if (this.#open === undefined) {
      this.#open = { snapshot: this.#fold.beginSnapshot(), slices: [], recordsAfter: [] }
      return
    }
    const { snapshot, slices, recordsAfter } = this.#open
    const slice = snapshot.next(ENTRIES_PER_SLICE)
    if (slice !== undefined) slices.push(slice)
    else {
      this.#checkpoint = { bytes: Buffer.concat(slices), recordsAfter }
      this.#open = undefined
    }
  }

  #restart(): void {
    if (this.#checkpoint === undefined) return
    this.#open = undefined
    this.#inFlight = []
    this.#lastStamps = new Map()
    this.#fold = restorePartitionFold(this.#options, this.#checkpoint.bytes)
    for (const record of this.#checkpoint.recordsAfter) {
      this.#writeRows('wide', 'unsent')
      this.#writeRows('session', 'acknowledged')
      this.#fold.apply(record)
    }
  }

  #flush(): void {
    for (const queue of QUEUES) while (this.#writeRows(queue, 'acknowledged') > 0);
    while (this.#takeOutputs(100) > 0);
  }

  /** Long after the last record, with everything acknowledged, the fold holds nothing. */
  #leftovers(): string[] {
    for (const yearsLater of [1, 2]) {
      const { nextOffset: offset, lastLoggedAtMs } = this.#fold.status
      this.#fold.apply({ kind: 'tick', offset, loggedAtMs: lastLoggedAtMs + yearsLater * YEAR_MS })
      this.#flush()
    }
    const { sessions, openSessions, panes, pendingOutputs } = this.#fold.status
    const held = { sessions, openSessions, panes, pendingOutputs }
    const isEmpty = Object.values(held).every((count) => count === 0)
    const bytes = snapshotBytes(this.#fold)
    const emptyBytes = snapshotBytes(createPartitionFold(this.#options))
    return isEmpty && bytes < emptyBytes + EMPTY_SNAPSHOT_SLACK_BYTES
      ? []
      : [`still held a year later: ${JSON.stringify(held)}, a snapshot of ${bytes} bytes`]
  }

  #writeRows(queue: DirtyQueue, fate: WriteFate): number {
    const tickets = this.#fold.takeDirty(queue, ENTRIES_PER_TAKE)
    for (const ticket of tickets) this.#checkStamp(ticket)
    this.#inFlight.push(...tickets)
    if (fate === 'unanswered') for (const ticket of tickets) this.#write(ticket)
    if (fate === 'acknowledged') {
      for (const ticket of this.#inFlight) this.#write(ticket)
      this.#fold.acknowledge(this.#inFlight.splice(0))
    }
    return tickets.length
  }

  #write(ticket: RowTicket): void {
    if (ticket.kind === 'minute') {
      this.#store(this.#minutes, minuteKey(ticket.row), ticket.row)
      return
    }
    const id = sessionKey(ticket.row)
    this.#store(this.#sessions, id, ticket.row)
    for (const position of ticket.positions) {
      this.#store(this.#positions, `${id}|${position.rowNumber}`, position)
    }
  }

  #store<Row extends MinuteRow | SessionRow | PositionRow>(
    rows: Map<string, Row>,
    id: string,
    row: Row,
  ): void {
    const known = rows.get(id)
    if (known?.stampUs === row.stampUs && !isDeepStrictEqual(known, row)) {
      this.#faults.push(`${id}: two rows of stamp ${row.stampUs}`)
    }
    if (known === undefined || row.stampUs >= known.stampUs) rows.set(id, row)
  }

  /** The fold itself never hands out an older row after a newer one. */
  #checkStamp({ kind, row }: RowTicket): void {
    const id = kind === 'minute' ? minuteKey(row) : sessionKey(row)
    const before = this.#lastStamps.get(id) ?? 0
    if (row.stampUs < before) this.#faults.push(`${id}: stamp ${row.stampUs} after ${before}`)
    if (!Number.isSafeInteger(row.stampUs)) this.#faults.push(`${id}: stamp ${row.stampUs}`)
    this.#lastStamps.set(id, row.stampUs)
  }

  #takeOutputs(maxOutputs: number): number {
    const outputs = this.#fold.pendingOutputs(maxOutputs)
    for (const output of outputs) {
      if (output.kind === 'closedSession') this.#closed.push(output)
      else this.#exceptions.set(JSON.stringify(output.exception), output.exception)
    }
    this.#fold.acknowledgeOutputs(outputs.length)
    return outputs.length
  }
}

function snapshotBytes(fold: PartitionFold): number {
  const snapshot = fold.beginSnapshot()
  let bytes = 0
  for (let slice = snapshot.next(10); slice !== undefined; slice = snapshot.next(10)) {
    bytes += slice.byteLength
  }
  return bytes
}

function minuteKey({ cut, key, minuteStartMs }: MinuteRow): string {
  return `${cut}|${key}|${minuteStartMs}`
}

function sessionKey({ sessionId, incarnation }: SessionRow): string {
  return `${sessionId}|${incarnation}`
}
