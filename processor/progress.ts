/**
 * Publishes how far a partition's rows reach, after the rows it speaks of.
 *
 * The progress row depends on when writes ended, not on the log alone, so its stamp is not event
 * time: `ownerEpoch × 2^32 + n` for the n-th row of an owner. A later owner outranks an earlier one
 * whatever that still writes. What an earlier owner published stays true, for its rows are
 * durable: the first row waits until it has been read and never says less.
 */
import type { FoldStatus } from '../shared/qoe/fold.ts'
import { assert } from '../shared/runtime/errors.ts'
import type { PartitionRow, RowOrigin } from '../shared/speed/rows.ts'
import type { SpeedStore } from '../shared/speed/speed-store.ts'
import { OWNER_EPOCH_MAX, PROGRESS_ROWS_PER_OWNER_MAX } from './limits.ts'
import { retry, type RetryContext } from './retry.ts'
import type { ClassReach } from './row-writer.ts'
import type { Reach } from './write-queue.ts'

export interface ProgressParts {
  readonly origin: RowOrigin
  readonly ownerEpoch: number
  readonly rowRetentionMs: number
  readonly speed: SpeedStore
  retryContext(call: string): RetryContext
  onFailure(error: unknown): void
}

export interface ProgressNow {
  readonly fold: FoldStatus
  readonly reached: ClassReach
  /** Append time of the generation's first record; absent before there is one. */
  readonly generationStartMs: number | undefined
}

type ProgressBody = Omit<PartitionRow, keyof RowOrigin | 'stampUs'>

export class ProgressPublisher {
  readonly #parts: ProgressParts
  /** What the store held when this owner began; `null` when nothing. */
  #floor: PartitionRow | null | undefined
  #published: string | undefined
  #rows = 0
  #publishing: Promise<void> | undefined

  constructor(parts: ProgressParts) {
    assert(parts.ownerEpoch <= OWNER_EPOCH_MAX, `owner epoch ${parts.ownerEpoch} fits its stamp`)
    this.#parts = parts
  }

  /** Begins a publication if there is news and none is under way. */
  kick(now: ProgressNow): void {
    if (this.#publishing !== undefined) return
    this.#publishing = this.#publish(now)
      .catch(this.#parts.onFailure)
      .finally(() => (this.#publishing = undefined))
  }

  /** Publishes `now` after what is under way. */
  async flush(now: ProgressNow): Promise<void> {
    await this.#publishing
    await this.#publish(now)
  }

  async #publish(now: ProgressNow): Promise<void> {
    const { speed, origin, retryContext } = this.#parts
    if (this.#floor === undefined)
      this.#floor = await retry(retryContext('speed'), () => this.#readFloor())
    const body = this.#body(now)
    if (body === undefined) return
    const text = JSON.stringify(body)
    if (text === this.#published) return
    const row: PartitionRow = { ...origin, ...body, stampUs: this.#nextStamp() }
    await retry(retryContext('speed'), () => speed.putPartitions([row]))
    this.#published = text
  }

  async #readFloor(): Promise<PartitionRow | null> {
    const { speed, origin } = this.#parts
    const rows = await speed.readPartitions(origin.view)
    return rows.find((row) => sameOrigin(row, origin)) ?? null
  }

  /** `undefined` while there is nothing to say, or less than an earlier owner said. */
  #body({ fold, reached, generationStartMs }: ProgressNow): ProgressBody | undefined {
    const floor = this.#floor ?? undefined
    if (generationStartMs === undefined || fold.nextOffset === 0) return undefined
    if (floor !== undefined && fold.nextOffset < floor.appliedOffset) return undefined
    const narrow = further(reached.narrow, floor?.narrowOffset, floor?.narrowWatermarkMs)
    const wide = further(reached.wide, floor?.wideOffset, floor?.wideWatermarkMs)
    return {
      lastOffset: fold.nextOffset - 1,
      expiresAtMs: fold.lastLoggedAtMs + this.#parts.rowRetentionMs,
      appliedOffset: fold.nextOffset,
      narrowOffset: narrow.offset,
      wideOffset: wide.offset,
      sessionOffset: Math.max(reached.session.offset, floor?.sessionOffset ?? 0),
      watermarkMs: fold.watermarkMs,
      lastLoggedAtMs: fold.lastLoggedAtMs,
      narrowWatermarkMs: narrow.watermarkMs,
      wideWatermarkMs: wide.watermarkMs,
      generationStartMs,
    }
  }

  #nextStamp(): number {
    this.#rows += 1
    assert(this.#rows <= PROGRESS_ROWS_PER_OWNER_MAX, 'progress rows of one owner fit its stamp')
    return this.#parts.ownerEpoch * (PROGRESS_ROWS_PER_OWNER_MAX + 1) + this.#rows
  }
}

function further(reach: Reach, offset: number | undefined, watermarkMs: number | undefined): Reach {
  if (offset === undefined || watermarkMs === undefined || reach.offset >= offset) return reach
  return { offset, watermarkMs }
}

function sameOrigin(row: RowOrigin, origin: RowOrigin): boolean {
  return (
    row.topicEpoch === origin.topicEpoch &&
    row.partition === origin.partition &&
    row.generation === origin.generation
  )
}
