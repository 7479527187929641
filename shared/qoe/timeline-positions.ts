/**
 * Where a session's frames stand in the log, in rows of a fixed number of positions. The state
 * keeps the open row, and full rows only until they are durable.
 */
import { POSITIONS_PER_ROW, type PositionRow, type TimelinePosition } from '../speed/rows.ts'

/** A position row without the identity and stamp that all rows of a session share. */
export type PositionRowDraft = Pick<PositionRow, 'rowNumber' | 'lastOffset' | 'positions'>

export interface TimelineState {
  readonly positionCount: number
  readonly positions: readonly TimelinePosition[]
  readonly pendingPositions: readonly PositionRowDraft[]
}

export class TimelinePositions {
  #count: number
  /** The open row. */
  #open: TimelinePosition[]
  /** Full rows that are not durable yet. */
  #pending: PositionRowDraft[]

  constructor(state?: TimelineState) {
    this.#count = state?.positionCount ?? 0
    this.#open = [...(state?.positions ?? [])]
    this.#pending = [...(state?.pendingPositions ?? [])]
  }

  get count(): number {
    return this.#count
  }

  add(position: TimelinePosition): void {
    this.#open.push(position)
    this.#count += 1
    if (this.#open.length < POSITIONS_PER_ROW) return
    this.#pending.push(this.#openRow(position))
    this.#open = []
  }

  /** The rows that are not durable yet, the open one included. */
  rows(): PositionRowDraft[] {
    const last = this.#open.at(-1)
    return last === undefined ? [...this.#pending] : [...this.#pending, this.#openRow(last)]
  }

  /** Full rows that were written, as full as they are, need not be kept. */
  acknowledge(written: readonly PositionRowDraft[]): void {
    const lastOffsets = new Map(written.map((row) => [row.rowNumber, row.lastOffset]))
    this.#pending = this.#pending.filter((row) => lastOffsets.get(row.rowNumber) !== row.lastOffset)
  }

  /** The state for a snapshot; valid until the next change. */
  state(): TimelineState {
    return {
      positionCount: this.#count,
      positions: this.#open,
      pendingPositions: this.#pending,
    }
  }

  #openRow(last: TimelinePosition): PositionRowDraft {
    return {
      rowNumber: Math.floor((this.#count - 1) / POSITIONS_PER_ROW),
      lastOffset: last.offset,
      positions: [...this.#open],
    }
  }
}
