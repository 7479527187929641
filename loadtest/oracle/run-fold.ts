/** Runs the product's fold over records and keeps its rows as a speed store would. */
import { isDeepStrictEqual } from 'node:util'

import type { DecodedRecord } from '../../shared/log/record.ts'
import type { MinuteAggregates } from '../../shared/qoe/aggregates.ts'
import type {
  ClosedSession,
  DirtyQueue,
  FoldCounters,
  FoldOptions,
  PartitionFold,
  RowTicket,
} from '../../shared/qoe/fold.ts'
import { createPartitionFold, restorePartitionFold } from '../../shared/qoe/partition-fold.ts'
import type { FoldException, MinuteRow, PositionRow, SessionRow } from '../../shared/speed/rows.ts'

const QUEUES: readonly DirtyQueue[] = ['narrow', 'wide', 'sessionUrgent', 'session']

export interface FoldRun {
  /** By `cut|key|minuteStartMs`. */
  readonly minutes: ReadonlyMap<string, MinuteAggregates>
  readonly sessions: readonly SessionRow[]
  readonly positions: readonly PositionRow[]
  readonly exceptions: readonly FoldException[]
  readonly closed: readonly ClosedSession[]
  readonly counters: FoldCounters
  /** Rows whose stamp went back, or whose bytes changed under an equal stamp. */
  readonly stampFaults: readonly string[]
}

/** What happens between two records; the plan of a run is drawn from its seed. */
export interface Interruption {
  /** Take and write rows of this queue … */
  readonly queue?: DirtyQueue
  /** … and give the tickets back, as when the write was acknowledged. */
  readonly acknowledge?: boolean
  /** Go on with a fold restored from a snapshot; what was not acknowledged is pending again. */
  readonly restart?: boolean
  /** Acknowledge pending outputs. */
  readonly outputs?: boolean
}

export class FoldRunner {
  #fold: PartitionFold
  readonly #options: FoldOptions
  readonly #minutes = new Map<string, MinuteRow>()
  readonly #sessions = new Map<string, SessionRow>()
  readonly #positions = new Map<string, PositionRow>()
  readonly #exceptions = new Map<string, FoldException>()
  readonly #closed: ClosedSession[] = []
  readonly #stampFaults: string[] = []

  constructor(options: FoldOptions) {
    this.#options = options
    this.#fold = createPartitionFold(options)
  }

  apply(record: DecodedRecord): void {
    this.#fold.apply(record)
  }

  interrupt({ queue, acknowledge, restart, outputs }: Interruption): void {
    if (queue !== undefined) this.#writeRows(queue, acknowledge === true)
    if (outputs === true) this.#takeOutputs(3)
    if (restart === true) this.#fold = restorePartitionFold(this.#options, snapshotOf(this.#fold))
  }

  finish(): FoldRun {
    for (const queue of QUEUES) while (this.#writeRows(queue, true) > 0);
    while (this.#takeOutputs(100) > 0);
    return {
      minutes: new Map([...this.#minutes].map(([id, row]) => [id, row.aggregates])),
      sessions: [...this.#sessions.values()],
      positions: [...this.#positions.values()],
      exceptions: [...this.#exceptions.values()],
      closed: this.#closed,
      counters: this.#fold.status.counters,
      stampFaults: this.#stampFaults,
    }
  }

  #writeRows(queue: DirtyQueue, acknowledge: boolean): number {
    const tickets = this.#fold.takeDirty(queue, 7)
    for (const ticket of tickets) this.#write(ticket)
    if (acknowledge) this.#fold.acknowledge(tickets)
    return tickets.length
  }

  #write(ticket: RowTicket): void {
    const { row } = ticket
    if (ticket.kind === 'minute') {
      const { cut, key, minuteStartMs } = ticket.row
      this.#keep(this.#minutes, `${cut}|${key}|${minuteStartMs}`, ticket.row)
    } else {
      const { sessionId, incarnation } = ticket.row
      this.#keep(this.#sessions, `${sessionId}|${incarnation}`, ticket.row)
      for (const position of ticket.positions) {
        const id = `${sessionId}|${incarnation}|${position.rowNumber}`
        this.#keep(this.#positions, id, position)
      }
    }
    if (!Number.isSafeInteger(row.stampUs)) this.#stampFaults.push(`stamp ${row.stampUs}`)
  }

  #keep<Row extends MinuteRow | SessionRow | PositionRow>(
    rows: Map<string, Row>,
    id: string,
    row: Row,
  ): void {
    const known = rows.get(id)
    if (known !== undefined && row.stampUs < known.stampUs) {
      this.#stampFaults.push(`${id}: stamp ${row.stampUs} after ${known.stampUs}`)
    }
    if (known?.stampUs === row.stampUs && !isDeepStrictEqual(known, row)) {
      this.#stampFaults.push(`${id}: two rows of stamp ${row.stampUs}`)
    }
    rows.set(id, row)
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

/** The whole snapshot in one piece, read in slices of a few entries. */
function snapshotOf(fold: PartitionFold): Uint8Array {
  const snapshot = fold.beginSnapshot()
  const slices: Uint8Array[] = []
  for (let slice = snapshot.next(3); slice !== undefined; slice = snapshot.next(3)) {
    slices.push(slice)
  }
  return Buffer.concat(slices)
}
