/**
 * Fills a fresh view of the speed store: the fold of the live view over the archived records, then
 * over the rest of the log, with rows under another view's id. What is closed leaves the fold once
 * its rows are written, so memory is bounded as it is in a processor. The fold is a pure function of
 * the log: the rows equal those of the live view. What the fold puts out beside rows (closed
 * sessions, exceptions) was put out by the live view, and is not put out again.
 */
import type { EventLog, LogRecord } from '../../shared/log/event-log.ts'
import { decodeRecord, encodeTick } from '../../shared/log/record.ts'
import { TOPICS } from '../../shared/log/topics.ts'
import { type Erasures, listErasures, readErasures } from '../../shared/objects/erasures.ts'
import type { ObjectStore } from '../../shared/objects/object-store.ts'
import type { Cut } from '../../shared/qoe/cuts.ts'
import type { DirtyQueue, FoldLimits, PartitionFold, RowTicket } from '../../shared/qoe/fold.ts'
import { createPartitionFold } from '../../shared/qoe/partition-fold.ts'
import type { SpeedStore } from '../../shared/speed/speed-store.ts'
import type { Warehouse } from '../../shared/warehouse/warehouse.ts'
import type { BatchConfig } from '../config.ts'
import { isErased } from '../erase/erased-record.ts'
import { batchErrors } from '../errors.ts'
import { REPLAY_RECORDS_PER_WRITE, REPLAY_ROWS_PER_WRITE } from '../limits.ts'
import { archivedRecords, type LedgerEntry, readLedger } from '../raw-archive.ts'
import { rememberView } from './replayed-views.ts'

const QUEUES: readonly DirtyQueue[] = ['narrow', 'wide', 'sessionUrgent', 'session']

export interface ReplayViewParts {
  readonly log: EventLog
  readonly objects: ObjectStore
  readonly warehouse: Warehouse
  readonly speed: SpeedStore
  readonly config: Pick<BatchConfig, 'fetchRecordsMax' | 'fetchBytesMax'>
  /** Those of the live view, when its rows are to be had again. */
  readonly limits: FoldLimits
  readonly cuts: readonly Cut[]
  /** The view that is served, which is never written to. */
  readonly liveView: string
  /** How long rows stay in the speed store after their minute, ms. */
  readonly rowRetentionMs: number
  /** Records between two writes of rows; `REPLAY_RECORDS_PER_WRITE` when absent. */
  readonly recordsPerWrite?: number
  readonly signal?: AbortSignal
  onProgress?(done: ReplayedPartition): void
}

export interface ReplayedPartition {
  readonly partition: number
  /** Records from raw files, and from the log after them. */
  readonly archived: number
  readonly fromLog: number
  readonly minuteRows: number
  readonly sessionRows: number
  /** Offset up to which the view is filled, exclusive. */
  readonly nextOffset: number
}

/** Throws `BATCH_REPLAY_VIEW_TAKEN` for a view that has rows, and `BATCH_REPLAY_GAP`. */
export async function replayIntoView(
  parts: ReplayViewParts,
  view: string,
): Promise<readonly ReplayedPartition[]> {
  const { log, objects, warehouse, speed } = parts
  const isTaken = view === parts.liveView || (await speed.readPartitions(view)).length > 0
  if (isTaken)
    throw batchErrors.create('BATCH_REPLAY_VIEW_TAKEN', { expected: 'a new view', received: view })
  await rememberView(objects, view)
  const { partitions } = await log.describeTopic(TOPICS.events)
  const session = await warehouse.open()
  let files: readonly LedgerEntry[]
  try {
    files = await readLedger(session, {
      sql: 'topic = @topic',
      parameters: { topic: TOPICS.events },
    })
  } finally {
    await session.close()
  }
  const erasures = await readErasures(objects, await listErasures(objects))
  const replayed: ReplayedPartition[] = []
  for (let partition = 0; partition < partitions; partition += 1) {
    const ofPartition = files.filter((file) => file.partition === partition)
    replayed.push(await new PartitionReplay(parts, { view, partition, erasures }).run(ofPartition))
  }
  return replayed
}

interface ReplayOf {
  readonly view: string
  readonly partition: number
  readonly erasures: Erasures
}

class PartitionReplay {
  readonly #parts: ReplayViewParts
  readonly #of: ReplayOf
  readonly #fold: PartitionFold
  #startedAtMs: number | undefined
  #next = 0
  #unwritten = 0
  #minuteRows = 0
  #sessionRows = 0
  #archived = 0
  #fromLog = 0

  constructor(parts: ReplayViewParts, of: ReplayOf) {
    this.#parts = parts
    this.#of = of
    const { view, partition } = of
    const { limits, cuts, rowRetentionMs } = parts
    const origin = { view, topicEpoch: 0, partition, generation: 0 }
    this.#fold = createPartitionFold({ origin, limits, cuts, rowRetentionMs })
  }

  async run(files: readonly LedgerEntry[]): Promise<ReplayedPartition> {
    const { objects, log } = this.#parts
    const { partition } = this.#of
    const { start, end } = await log.offsets(TOPICS.events, partition)
    this.#next = files[0]?.first ?? start
    for (const file of files) {
      this.#refuseGap(file.first, file.file)
      for await (const record of archivedRecords(objects, file)) await this.#apply(record)
    }
    this.#archived = this.#next - (files[0]?.first ?? start)
    this.#refuseGap(Math.max(start, Math.min(this.#next, end)), 'the log')
    await this.#readLog(end)
    await this.#write()
    await this.#report()
    return this.#progress()
  }

  async #readLog(end: number): Promise<void> {
    const { log, config, signal } = this.#parts
    const first = this.#next
    while (this.#next < end) {
      signal?.throwIfAborted()
      const { records } = await log.read(TOPICS.events, this.#of.partition, {
        fromOffset: this.#next,
        maxRecords: config.fetchRecordsMax,
        maxBytes: config.fetchBytesMax,
        waitMs: 0,
      })
      if (records.length === 0) this.#refuseGap(end, 'the log')
      for (const record of records) if (record.offset < end) await this.#apply(record)
      this.#fromLog = this.#next - first
    }
  }

  /** A view that lacks records would be wrong and look right. */
  #refuseGap(offset: number, what: string): void {
    if (offset === this.#next) return
    throw batchErrors.create('BATCH_REPLAY_GAP', {
      expected: `${TOPICS.events}/${this.#of.partition} from offset ${this.#next} on`,
      received: `${what} from ${offset} on`,
    })
  }

  async #apply(record: LogRecord): Promise<void> {
    const isForgotten = isErased(this.#of.erasures, TOPICS.events, record)
    this.#fold.apply(decodeRecord(isForgotten ? { ...record, ...encodeTick() } : record))
    this.#startedAtMs ??= record.loggedAtMs
    this.#next = record.offset + 1
    this.#unwritten += 1
    const { recordsPerWrite = REPLAY_RECORDS_PER_WRITE } = this.#parts
    if (this.#unwritten < recordsPerWrite) return
    this.#parts.signal?.throwIfAborted()
    await this.#write()
    this.#parts.onProgress?.(this.#progress())
  }

  async #write(): Promise<void> {
    for (const queue of QUEUES)
      for (;;) {
        const tickets = this.#fold.takeDirty(queue, REPLAY_ROWS_PER_WRITE)
        if (tickets.length === 0) break
        await this.#put(tickets)
        this.#fold.acknowledge(tickets)
      }
    for (;;) {
      const { length } = this.#fold.pendingOutputs(REPLAY_ROWS_PER_WRITE)
      if (length === 0) break
      this.#fold.acknowledgeOutputs(length)
    }
    this.#unwritten = 0
  }

  async #put(tickets: readonly RowTicket[]): Promise<void> {
    const { speed } = this.#parts
    const minutes = tickets.flatMap((ticket) => (ticket.kind === 'minute' ? [ticket.row] : []))
    const sessions = tickets.flatMap((ticket) => (ticket.kind === 'session' ? [ticket] : []))
    if (minutes.length > 0) await speed.putMinutes(minutes)
    for (const { row, positions } of sessions) await speed.putSessions([row], positions)
    this.#minuteRows += minutes.length
    this.#sessionRows += sessions.length
  }

  /** The partition's row comes last: a view without it is not filled. */
  async #report(): Promise<void> {
    const { speed, rowRetentionMs } = this.#parts
    const { view, partition } = this.#of
    const { nextOffset, watermarkMs, lastLoggedAtMs } = this.#fold.status
    if (nextOffset === 0) return
    await speed.putPartitions([
      {
        view,
        topicEpoch: 0,
        partition,
        generation: 0,
        stampUs: 1,
        lastOffset: nextOffset - 1,
        expiresAtMs: lastLoggedAtMs + rowRetentionMs,
        appliedOffset: nextOffset,
        narrowOffset: nextOffset,
        wideOffset: nextOffset,
        sessionOffset: nextOffset,
        watermarkMs,
        lastLoggedAtMs,
        narrowWatermarkMs: watermarkMs,
        wideWatermarkMs: watermarkMs,
        generationStartMs: this.#startedAtMs ?? lastLoggedAtMs,
      },
    ])
  }

  #progress(): ReplayedPartition {
    return {
      partition: this.#of.partition,
      archived: this.#archived,
      fromLog: this.#fromLog,
      minuteRows: this.#minuteRows,
      sessionRows: this.#sessionRows,
      nextOffset: this.#next,
    }
  }
}
