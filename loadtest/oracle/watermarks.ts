/** The watermark at every record of a partition, known before any session is looked at. */
import { MINUTE_MS } from '../../shared/qoe/aggregates.ts'
import type { FoldLimits } from '../../shared/qoe/fold.ts'
import type { DecodedRecord } from '../../shared/log/record.ts'

export class Watermarks {
  /** `#byRecord[i]` is W as advanced by record i; it never decreases. */
  readonly #byRecord: number[] = []
  readonly #paneLifeMs: number

  constructor(records: readonly DecodedRecord[], limits: FoldLimits) {
    let largestLoggedAtMs = Number.NEGATIVE_INFINITY
    for (const record of records) {
      largestLoggedAtMs = Math.max(largestLoggedAtMs, record.loggedAtMs)
      this.#byRecord.push(largestLoggedAtMs - limits.outOfOrdernessMs)
    }
    this.#paneLifeMs =
      limits.allowedLatenessMs +
      limits.sessionTimeoutMs +
      limits.reorderMs +
      limits.outOfOrdernessMs
  }

  get recordCount(): number {
    return this.#byRecord.length
  }

  at(recordIndex: number): number {
    const watermarkMs = this.#byRecord[recordIndex]
    if (watermarkMs === undefined) throw new RangeError(`no record ${recordIndex}`)
    return watermarkMs
  }

  /** Index of the first record from `fromIndex` on whose W is greater than `thresholdMs`. */
  firstBeyond(thresholdMs: number, fromIndex: number): number | undefined {
    let low = fromIndex
    let high = this.#byRecord.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.at(middle) > thresholdMs) high = middle
      else low = middle + 1
    }
    return low < this.#byRecord.length ? low : undefined
  }

  /** Whether record `recordIndex` may still write a minute: panes close after each record. */
  isWritable(minuteStartMs: number, recordIndex: number): boolean {
    if (recordIndex === 0) return true
    return this.at(recordIndex - 1) <= minuteStartMs + MINUTE_MS + this.#paneLifeMs
  }
}
