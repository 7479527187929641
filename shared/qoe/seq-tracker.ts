/**
 * Which seqs of a session are known, and which wait. Below the *mark* every seq is settled: seen,
 * or in a skipped range. At and above it stand the entries ahead: events that wait for lower seqs,
 * and seqs that were rejected. An event has its *turn* when the mark reaches it.
 *
 *   0 ……… forgottenBelow ……… [skipped] … mark ▁▁gap▁▁ ahead[0] … ahead[n]
 */

/** What is known of a seq that arrives. */
export type SeqStanding = 'forgotten' | 'known' | 'skipped' | 'new'

export interface AheadEntry<Waiting> {
  readonly seq: number
  /** The event that waits, or `undefined` for a rejected seq. */
  readonly waiting: Waiting | undefined
}

type Range = readonly [from: number, to: number]

export interface SeqTrackerState<Waiting> {
  mark: number
  forgottenBelow: number
  seenCount: number
  maxSeq: number
  skipped: readonly Range[]
  ahead: readonly AheadEntry<Waiting>[]
}

/** What a session has whose seqs do not come in order, one after another. */
interface Disorder<Waiting> {
  /** Below this nothing is remembered any more. */
  forgottenBelow: number
  skipped: readonly Range[]
  ahead: AheadEntry<Waiting>[]
  waitingCount: number
}

const NO_RANGES: readonly Range[] = []

export class SeqTracker<Waiting> {
  /** Lowest seq that is neither seen, skipped nor passed. */
  #mark = 0
  /** Distinct seqs that count as seen for `lost`. */
  #seenCount = 0
  #maxSeq = -1
  /** Most sessions have none, and no object for it then. */
  #disorder: Disorder<Waiting> | undefined
  readonly #skippedRangesMax: number

  constructor(skippedRangesMax: number) {
    this.#skippedRangesMax = skippedRangesMax
  }

  static restore<Waiting>(
    state: SeqTrackerState<Waiting>,
    skippedRangesMax: number,
  ): SeqTracker<Waiting> {
    const tracker = new SeqTracker<Waiting>(skippedRangesMax)
    tracker.#mark = state.mark
    tracker.#seenCount = state.seenCount
    tracker.#maxSeq = state.maxSeq
    const { forgottenBelow, skipped, ahead } = state
    if (forgottenBelow === 0 && skipped.length === 0 && ahead.length === 0) return tracker
    const waitingCount = ahead.filter((entry) => entry.waiting !== undefined).length
    tracker.#disorder = { forgottenBelow, skipped, ahead: [...ahead], waitingCount }
    return tracker
  }

  /** The state for a snapshot; valid until the next change. */
  state(): SeqTrackerState<Waiting> {
    return {
      mark: this.#mark,
      forgottenBelow: this.#forgottenBelow,
      seenCount: this.#seenCount,
      maxSeq: this.#maxSeq,
      skipped: this.#skipped,
      ahead: this.#disorder?.ahead ?? [],
    }
  }

  get mark(): number {
    return this.#mark
  }

  get waitingCount(): number {
    return this.#disorder?.waitingCount ?? 0
  }

  /** Seqs up to the highest seen that were never seen. */
  get missingCount(): number {
    return this.#maxSeq + 1 - this.#seenCount
  }

  standing(seq: number): SeqStanding {
    if (seq < this.#forgottenBelow) return 'forgotten'
    if (seq < this.#mark) return this.#rangeOf(seq) === -1 ? 'known' : 'skipped'
    const index = this.#indexAhead(seq)
    return this.#disorder?.ahead[index]?.seq === seq ? 'known' : 'new'
  }

  /** Counts the seq as seen for `lost`. */
  markSeen(seq: number): void {
    this.#seenCount += 1
    if (seq > this.#maxSeq) this.#maxSeq = seq
  }

  /** Moves the mark past the seq at the mark itself. */
  passMark(): void {
    this.#mark += 1
  }

  insertAhead(entry: AheadEntry<Waiting>): void {
    const disorder = this.#ownDisorder()
    disorder.ahead.splice(this.#indexAhead(entry.seq), 0, entry)
    if (entry.waiting !== undefined) disorder.waitingCount += 1
  }

  /** Takes the entry whose turn it is, moving the mark past it. */
  takeAtMark(): AheadEntry<Waiting> | undefined {
    const disorder = this.#disorder
    const first = disorder?.ahead[0]
    if (disorder === undefined || first?.seq !== this.#mark) return undefined
    disorder.ahead.shift()
    if (first.waiting !== undefined) disorder.waitingCount -= 1
    this.#mark += 1
    if (isOver(disorder)) this.#disorder = undefined
    return first
  }

  /** The event with the lowest seq that waits. */
  lowestWaiting(): Waiting | undefined {
    if (this.waitingCount === 0) return undefined
    return this.#disorder?.ahead.find((entry) => entry.waiting !== undefined)?.waiting
  }

  /**
   * Skips the gap between the mark and the next entry ahead, or `before` where that is nearer.
   * The skipped range is remembered; beyond the bound the oldest is forgotten.
   */
  skipLowestGap(before = Number.POSITIVE_INFINITY): void {
    const end = Math.min(this.#disorder?.ahead[0]?.seq ?? before, before)
    if (!Number.isFinite(end) || end <= this.#mark) return
    this.#ownDisorder().skipped = [...this.#skipped, [this.#mark, end - 1]]
    this.#mark = end
    this.#forgetOldest()
  }

  /** The seq of a skipped range has come after all: it leaves the range. */
  leaveSkipped(seq: number): void {
    const index = this.#rangeOf(seq)
    const range = this.#skipped[index]
    if (range === undefined) return
    const [from, to] = range
    const rest: Range[] = []
    if (from < seq) rest.push([from, seq - 1])
    if (seq < to) rest.push([seq + 1, to])
    this.#ownDisorder().skipped = this.#skipped.toSpliced(index, 1, ...rest)
    this.#forgetOldest()
  }

  get #forgottenBelow(): number {
    return this.#disorder?.forgottenBelow ?? 0
  }

  get #skipped(): readonly Range[] {
    return this.#disorder?.skipped ?? NO_RANGES
  }

  #ownDisorder(): Disorder<Waiting> {
    this.#disorder ??= { forgottenBelow: 0, skipped: NO_RANGES, ahead: [], waitingCount: 0 }
    return this.#disorder
  }

  #forgetOldest(): void {
    const surplus = this.#skipped.length - this.#skippedRangesMax
    if (surplus <= 0) return
    const disorder = this.#ownDisorder()
    const latestForgotten = disorder.skipped[surplus - 1]
    if (latestForgotten !== undefined) disorder.forgottenBelow = latestForgotten[1] + 1
    disorder.skipped = disorder.skipped.slice(surplus)
  }

  #rangeOf(seq: number): number {
    return this.#skipped.findIndex(([from, to]) => from <= seq && seq <= to)
  }

  /** Index of the first entry ahead whose seq is not below `seq`. */
  #indexAhead(seq: number): number {
    const ahead = this.#disorder?.ahead
    if (ahead === undefined) return 0
    let low = 0
    let high = ahead.length
    while (low < high) {
      const middle = (low + high) >>> 1
      const entry = ahead[middle]
      if (entry !== undefined && entry.seq < seq) low = middle + 1
      else high = middle
    }
    return low
  }
}

function isOver({ forgottenBelow, skipped, ahead }: Disorder<unknown>): boolean {
  return forgottenBelow === 0 && skipped.length === 0 && ahead.length === 0
}
