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

const NO_POSITIONS: readonly number[] = []
const NO_ROWS: readonly PositionRowDraft[] = []

export class TimelinePositions {
  #count: number
  /**
   * The open row: offset and append time of one position after another. Plain numbers in an array
   * of their exact number take a fifth of what objects in a growing one do, in every session.
   */
  #open: readonly number[]
  /** Full rows that are not durable yet. */
  #pending: readonly PositionRowDraft[]

  constructor(state?: TimelineState) {
    this.#count = state?.positionCount ?? 0
    this.#open = (state?.positions ?? []).flatMap(({ offset, loggedAtMs }) => [offset, loggedAtMs])
    this.#pending = state?.pendingPositions ?? NO_ROWS
  }

  get count(): number {
    return this.#count
  }

  add(position: TimelinePosition): void {
    this.#open = this.#open.concat([position.offset, position.loggedAtMs])
    this.#count += 1
    if (this.#open.length < 2 * POSITIONS_PER_ROW) return
    this.#pending = [...this.#pending, this.#openRow()]
    this.#open = NO_POSITIONS
  }

  /** The rows that are not durable yet, the open one included. */
  rows(): PositionRowDraft[] {
    return this.#open.length === 0 ? [...this.#pending] : [...this.#pending, this.#openRow()]
  }

  /** Full rows that were written, as full as they are, need not be kept. */
  acknowledge(written: readonly PositionRowDraft[]): void {
    if (this.#pending.length === 0) return
    const lastOffsets = new Map(written.map((row) => [row.rowNumber, row.lastOffset]))
    this.#pending = this.#pending.filter((row) => lastOffsets.get(row.rowNumber) !== row.lastOffset)
  }

  /** The state for a snapshot; valid until the next change. */
  state(): TimelineState {
    return {
      positionCount: this.#count,
      positions: this.#positions(),
      pendingPositions: this.#pending,
    }
  }

  #openRow(): PositionRowDraft {
    const positions = this.#positions()
    return {
      rowNumber: Math.floor((this.#count - 1) / POSITIONS_PER_ROW),
      lastOffset: positions.at(-1)?.offset ?? 0,
      positions,
    }
  }

  #positions(): TimelinePosition[] {
    const open = this.#open
    return Array.from({ length: open.length / 2 }, (_, index) => ({
      offset: open[2 * index] ?? 0,
      loggedAtMs: open[2 * index + 1] ?? 0,
    }))
  }
}
