/**
 * The live side of a test: the fold over the log's records, its rows in a speed store and its
 * exceptions in the log, as a processor keeps them.
 */
import { join } from 'node:path'
import type { EventLog, LogRecord } from '../../shared/log/event-log.ts'
import { encodeException } from '../../shared/log/exception-record.ts'
import { decodeRecord, type DecodedRecord } from '../../shared/log/record.ts'
import { TOPICS } from '../../shared/log/topics.ts'
import type { Cut } from '../../shared/qoe/cuts.ts'
import type { DirtyQueue, FoldLimits, PartitionFold, RowTicket } from '../../shared/qoe/fold.ts'
import { createPartitionFold } from '../../shared/qoe/partition-fold.ts'
import type { Clock } from '../../shared/runtime/clock.ts'
import { openLmdbSpeedStore } from '../../shared/speed/lmdb-speed-store.ts'
import type { SpeedStore } from '../../shared/speed/speed-store.ts'

const QUEUES: readonly DirtyQueue[] = ['narrow', 'wide', 'sessionUrgent', 'session']
const DAY_MS = 86_400_000
const ALL = 1_000_000
const ROWS_PER_PUT = 500

export const LIVE_VIEW = 'live'
export const ROW_RETENTION_MS = 90 * DAY_MS

export interface LiveSideOptions {
  readonly folder: string
  readonly log: EventLog
  readonly clock: Clock
  readonly partitions: number
  readonly limits: FoldLimits
  readonly cuts: readonly Cut[]
  /** `LIVE_VIEW` when absent. */
  readonly view?: string
  /** Changes or drops a record before the fold sees it: a seeded defect. */
  readonly alter?: (record: DecodedRecord) => DecodedRecord
}

export class LiveSide {
  readonly speed: SpeedStore
  readonly #options: LiveSideOptions
  readonly #folds: readonly PartitionFold[]
  readonly #view: string
  #stamp = 1

  private constructor(speed: SpeedStore, options: LiveSideOptions) {
    this.speed = speed
    this.#options = options
    const { limits, cuts, view = LIVE_VIEW } = options
    this.#view = view
    this.#folds = Array.from({ length: options.partitions }, (_, partition) =>
      createPartitionFold({
        origin: { view, topicEpoch: 0, partition, generation: 0 },
        limits,
        cuts,
        rowRetentionMs: ROW_RETENTION_MS,
      }),
    )
  }

  static async open(options: LiveSideOptions): Promise<LiveSide> {
    const { folder, clock } = options
    const speed = await openLmdbSpeedStore({
      folder: join(folder, 'speed'),
      mapBytes: 2 ** 28,
      clock,
    })
    return new LiveSide(speed, options)
  }

  /** Folds everything the log holds and writes every row and exception. */
  async catchUp(): Promise<void> {
    for (const [partition, fold] of this.#folds.entries()) {
      const { end } = await this.#options.log.offsets(TOPICS.events, partition)
      while (fold.status.nextOffset < end)
        for (const record of await this.#read(partition, fold.status.nextOffset)) {
          const decoded = decodeRecord(record)
          fold.apply(this.#options.alter?.(decoded) ?? decoded)
        }
      await this.#write(fold)
      await this.#report(partition, fold)
    }
  }

  close(): Promise<void> {
    return this.speed.close()
  }

  async #read(partition: number, fromOffset: number): Promise<readonly LogRecord[]> {
    const request = { fromOffset, maxRecords: 10_000, maxBytes: 2 ** 26, waitMs: 0 }
    return (await this.#options.log.read(TOPICS.events, partition, request)).records
  }

  async #write(fold: PartitionFold): Promise<void> {
    for (const queue of QUEUES) {
      const tickets = fold.takeDirty(queue, ALL)
      await this.#put(tickets)
      fold.acknowledge(tickets)
    }
    const outputs = fold.pendingOutputs(ALL)
    for (const output of outputs)
      if (output.kind === 'exception')
        await this.#options.log.append(TOPICS.exceptions, output.exception.partition, [
          {
            key: output.exception.sessionId,
            value: encodeException(output.exception),
            headers: { schema: 'exception.v1' },
          },
        ])
    fold.acknowledgeOutputs(outputs.length)
  }

  async #put(tickets: readonly RowTicket[]): Promise<void> {
    const minutes = tickets.flatMap((ticket) => (ticket.kind === 'minute' ? [ticket.row] : []))
    const sessions = tickets.flatMap((ticket) => (ticket.kind === 'session' ? [ticket] : []))
    for (let first = 0; first < minutes.length; first += ROWS_PER_PUT)
      await this.speed.putMinutes(minutes.slice(first, first + ROWS_PER_PUT))
    for (const { row, positions } of sessions) await this.speed.putSessions([row], positions)
  }

  async #report(partition: number, { status }: PartitionFold): Promise<void> {
    const { nextOffset, watermarkMs, lastLoggedAtMs } = status
    await this.speed.putPartitions([
      {
        view: this.#view,
        topicEpoch: 0,
        partition,
        generation: 0,
        stampUs: this.#stamp++,
        lastOffset: Math.max(0, nextOffset - 1),
        expiresAtMs: lastLoggedAtMs + ROW_RETENTION_MS,
        appliedOffset: nextOffset,
        narrowOffset: nextOffset,
        wideOffset: nextOffset,
        sessionOffset: nextOffset,
        watermarkMs,
        lastLoggedAtMs,
        narrowWatermarkMs: watermarkMs,
        wideWatermarkMs: watermarkMs,
        generationStartMs: 0,
      },
    ])
  }
}
