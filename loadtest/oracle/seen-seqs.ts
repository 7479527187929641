/** Which seqs of a session are known, and which gaps were given up. */

interface Range {
  readonly from: number
  readonly to: number
}

/** `forgotten`: below a skipped range that is no longer remembered, so nothing is known of it. */
export type Copy = 'forgotten' | 'known' | 'skipped' | 'new'

export class SeenSeqs {
  /** Applied, late, amended, after close, rejected or waiting: a further copy is a repeat. */
  readonly #known = new Set<number>()
  /** Known above the mark without waiting for a turn: rejected seqs. */
  readonly #filled = new Set<number>()
  /** Waiting for their turn. */
  readonly #held = new Set<number>()
  readonly #skipped: Range[] = []
  readonly #skippedRangesMax: number
  #forgottenBelow = 0
  #mark = 0
  #countedLargest = -1
  #countedSeqs = 0

  constructor(skippedRangesMax: number) {
    this.#skippedRangesMax = skippedRangesMax
  }

  /** The lowest seq that is neither passed nor skipped. */
  get mark(): number {
    return this.#mark
  }

  /** maxSeq + 1 − distinct seen seqs. */
  get missing(): number {
    return this.#countedLargest + 1 - this.#countedSeqs
  }

  judgeCopy(seq: number): Copy {
    if (seq < this.#forgottenBelow) return 'forgotten'
    if (this.#known.has(seq)) return 'known'
    return seq < this.#mark ? 'skipped' : 'new'
  }

  /** An accepted event waits for its turn. */
  hold(seq: number): void {
    this.#known.add(seq)
    this.#held.add(seq)
  }

  /** The held event at the mark has had its turn. */
  pass(seq: number, counts: boolean): void {
    this.#held.delete(seq)
    this.#filled.add(seq)
    if (counts) this.#count(seq)
    this.#moveMark()
  }

  /** A rejected seq at or above the mark. */
  fill(seq: number, counts: boolean): void {
    this.#known.add(seq)
    this.#filled.add(seq)
    if (counts) this.#count(seq)
    this.#moveMark()
  }

  /** A seq of a remembered skipped range arrived after all: the range splits around it. */
  fillSkipped(seq: number, counts: boolean): void {
    this.#known.add(seq)
    if (counts) this.#count(seq)
    const index = this.#skipped.findIndex((range) => range.from <= seq && seq <= range.to)
    const range = this.#skipped[index]
    if (range === undefined) throw new Error(`seq ${seq} is in no skipped range`)
    const halves = [
      { from: range.from, to: seq - 1 },
      { from: seq + 1, to: range.to },
    ].filter(({ from, to }) => from <= to)
    this.#skipped.splice(index, 1, ...halves)
    this.#forgetOldest()
  }

  /** Gives up the gap at the mark, which ends below the next known seq or below `boundSeq`. */
  skipLowestGap(boundSeq: number): void {
    const end = Math.min(boundSeq, ...this.#held, ...this.#filled)
    if (end <= this.#mark) throw new Error(`no gap at ${this.#mark}`)
    this.#skipped.push({ from: this.#mark, to: end - 1 })
    this.#mark = end
    this.#forgetOldest()
    this.#moveMark()
  }

  /** At a trailing close: gaps below rejected seqs may still be open. */
  skipAllGaps(): void {
    while (this.#filled.size > 0) this.skipLowestGap(Math.max(...this.#filled))
  }

  #count(seq: number): void {
    this.#countedLargest = Math.max(this.#countedLargest, seq)
    this.#countedSeqs += 1
  }

  #moveMark(): void {
    while (this.#filled.delete(this.#mark)) this.#mark += 1
  }

  #forgetOldest(): void {
    while (this.#skipped.length > this.#skippedRangesMax) {
      const oldest = this.#skipped.shift()
      if (oldest !== undefined) this.#forgottenBelow = oldest.to + 1
    }
  }
}
