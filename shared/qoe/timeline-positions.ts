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

const NO_POSITIONS: number[] = []
/** Up to here a session’s numbers are as many as its positions need: most sessions are short. */
const EXACT_NUMBERS = 8
const ONE_MORE: readonly number[] = [Number.NaN, Number.NaN]
/** Beyond, room for some more is made at once, or every frame of a long session would copy them all. */
const SEVERAL_MORE: readonly number[] = Array.from({ length: 16 }, () => Number.NaN)
const NO_ROWS: readonly PositionRowDraft[] = []

export class TimelinePositions {
  #count: number
  /**
   * The open row: offset and append time of one position after another. Plain numbers in an array
   * of about their number take a fifth of what objects in a growing one do, in every session.
   */
  #open: number[]
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
    const at = 2 * this.#openCount
    if (at === this.#open.length)
      this.#open = this.#open.concat(at < EXACT_NUMBERS ? ONE_MORE : SEVERAL_MORE)
    this.#open[at] = position.offset
    this.#open[at + 1] = position.loggedAtMs
    this.#count += 1
    if (this.#openCount > 0) return
    this.#pending = [...this.#pending, this.#row(POSITIONS_PER_ROW)]
    this.#open = NO_POSITIONS
  }

  /** The rows that are not durable yet, the open one included. */
  rows(): PositionRowDraft[] {
    const open = this.#openCount
    return open === 0 ? [...this.#pending] : [...this.#pending, this.#row(open)]
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
      positions: this.#positions(this.#openCount),
      pendingPositions: this.#pending,
    }
  }

  /** Of the open row; a full one is not open any more. */
  get #openCount(): number {
    return this.#count % POSITIONS_PER_ROW
  }

  #row(count: number): PositionRowDraft {
    const positions = this.#positions(count)
    return {
      rowNumber: Math.floor((this.#count - 1) / POSITIONS_PER_ROW),
      lastOffset: positions.at(-1)?.offset ?? 0,
      positions,
    }
  }

  #positions(count: number): TimelinePosition[] {
    const open = this.#open
    const positions: TimelinePosition[] = []
    for (let at = 0; at < 2 * count; at += 2)
      positions.push({ offset: open[at] ?? 0, loggedAtMs: open[at + 1] ?? 0 })
    return positions
  }
}
