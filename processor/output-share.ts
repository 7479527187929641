/**
 * What becomes of the oldest pending outputs of a partition: sent by the primary view and by one
 * that owes them, dropped when the primary has covered what they came of, held until then.
 * A fold does not say which record an output came of, so marks remember below which offset.
 */
import { assert } from '../shared/runtime/errors.ts'
import { OUTPUT_MARKS_MAX } from './limits.ts'
import type { PartitionRole } from './view-role.ts'

export interface Verdict {
  readonly kind: 'send' | 'drop' | 'hold'
  /** Of the oldest outputs; 0 when nothing is pending. */
  readonly count: number
}

interface Mark {
  count: number
  /** The outputs came of records from here on, */
  readonly fromOffset: number
  /** and below here. */
  belowOffset: number
}

export class OutputShare {
  readonly #role: PartitionRole
  #marks: Mark[] = []
  #marked = 0
  /** Up to here all outputs have marks. */
  #markedOffset = 0
  #wasPrimary = false
  #owedOffset: number

  constructor(role: PartitionRole, owedOffset = 0) {
    this.#role = role
    this.#owedOffset = owedOffset
  }

  /** What came of records below it is for this view to deliver, at `nextOffset`. */
  owedOffset(nextOffset: number): number {
    const { isPrimary, owedOffset } = this.#role
    // A switch that is not seen here yet still leaves it what was folded before.
    if (isPrimary || this.#wasPrimary) return nextOffset
    return Math.max(owedOffset, this.#owedOffset)
  }

  /** `pending` outputs came of records below `nextOffset`. */
  verdict(pending: number, nextOffset: number): Verdict {
    const { isPrimary, primaryOffset } = this.#role
    // What was folded until the switch was known here is delivered here.
    if (this.#wasPrimary && !isPrimary) this.#owedOffset = nextOffset
    this.#wasPrimary = isPrimary
    this.#mark(pending, nextOffset)
    const [oldest] = this.#marks
    if (oldest === undefined) return { kind: 'hold', count: 0 }
    if (isPrimary) return { kind: 'send', count: this.#marked }
    const { count, fromOffset, belowOffset } = oldest
    // Some of them may be owed: those that are not are delivered twice, as everything may be.
    if (fromOffset < this.owedOffset(nextOffset)) return { kind: 'send', count }
    return { kind: belowOffset <= primaryOffset ? 'drop' : 'hold', count }
  }

  /** The oldest outputs are pending no more. */
  taken(count: number): void {
    assert(count <= this.#marked, 'only what is pending is taken')
    this.#marked -= count
    for (let left = count; left > 0;) {
      const [oldest] = this.#marks
      assert(oldest !== undefined, 'every pending output has a mark')
      const taken = Math.min(left, oldest.count)
      oldest.count -= taken
      left -= taken
      if (oldest.count === 0) this.#marks.shift()
    }
  }

  #mark(pending: number, nextOffset: number): void {
    const added = pending - this.#marked
    const fromOffset = this.#markedOffset
    this.#markedOffset = nextOffset
    if (added === 0) return
    this.#marked = pending
    const newest = this.#marks.at(-1)
    // Beyond the bound the newest ones share a mark, and are held for as long as the last of them.
    if (newest !== undefined && this.#marks.length === OUTPUT_MARKS_MAX) {
      newest.count += added
      newest.belowOffset = nextOffset
    } else this.#marks.push({ count: added, fromOffset, belowOffset: nextOffset })
  }
}
