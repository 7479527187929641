/**
 * Fills a fresh view of the speed store: the fold of the live view over the archived records, then
 * over the rest of the log, or over a range of both, with rows under another view's id. What is closed leaves the fold once
 * its rows are written, so memory is bounded as it is in a processor. The fold is a pure function of
 * the log: the rows of all of it equal those of the live view. What the fold puts out beside rows (closed
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
import { rememberView, type ViewRange } from './replayed-views.ts'

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
  /** The view that is served, if any, which is never written to. */
  readonly liveView: string | undefined
  /** How long rows stay in the speed store after their minute, ms. */
  readonly rowRetentionMs: number
  /** Records between two writes of rows; `REPLAY_RECORDS_PER_WRITE` when absent. */
  readonly recordsPerWrite?: number
  readonly signal?: AbortSignal
  onProgress?(recordsDone: number, records: number): void
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

/**
 * With a range, only its records are folded, and its partition is the only one of the view. Throws
 * `BATCH_REPLAY_VIEW_TAKEN` for a view that has rows, or was begun with another range, and `BATCH_REPLAY_GAP`.
 */
export async function replayIntoView(
  parts: ReplayViewParts,
  view: string,
  range?: ViewRange,
): Promise<readonly ReplayedPartition[]> {
  const { objects, speed } = parts
  const isTaken = view === parts.liveView || (await speed.readPartitions(view)).length > 0
  if (isTaken)
    throw batchErrors.create('BATCH_REPLAY_VIEW_TAKEN', { expected: 'a new view', received: view })
  const spans = await spansOf(parts, range)
  await rememberView(objects, view, range)
  const erasures = await readErasures(objects, await listErasures(objects))
  const records = spans.reduce((sum, { first, end }) => sum + end - first, 0)
  const replayed: ReplayedPartition[] = []
  let before = 0
  for (const span of spans) {
    const onRecords = (done: number) => parts.onProgress?.(before + done, records)
    replayed.push(await new PartitionReplay(parts, { view, span, erasures, onRecords }).run())
    before += span.end - span.first
  }
  return replayed
}

/** What is folded of a partition, and where its records are. */
interface Span {
  readonly partition: number
  readonly first: number
  /** Exclusive. */
  readonly end: number
  readonly files: readonly LedgerEntry[]
  /** Offsets that the log holds, the end exclusive. */
  readonly logStart: number
  readonly logEnd: number
}

async function spansOf(
  { log, warehouse }: ReplayViewParts,
  range: ViewRange | undefined,
): Promise<readonly Span[]> {
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
  const spans: Span[] = []
  for (let partition = 0; partition < partitions; partition += 1) {
    const { start, end } = await log.offsets(TOPICS.events, partition)
    const ofPartition = files.filter((file) => file.partition === partition)
    const first = ofPartition[0]?.first ?? start
    const archivedTo = (ofPartition.at(-1)?.last ?? -1) + 1
    const logged = { partition, files: ofPartition, logStart: start, logEnd: end }
    spans.push({ ...logged, first, end: Math.max(end, archivedTo) })
  }
  return range === undefined ? spans : [cutTo(spans, range)]
}

/** Refuses a range of which something is neither in files nor in the log. */
function cutTo(spans: readonly Span[], { partition, fromOffset, toOffset }: ViewRange): Span {
  const span = spans[partition]
  if (span === undefined || fromOffset < span.first || toOffset > span.end)
    throw batchErrors.create('BATCH_REPLAY_GAP', {
      expected: `${TOPICS.events}/${partition} from offset ${fromOffset} to ${toOffset - 1}`,
      received:
        span === undefined
          ? `${spans.length} partitions`
          : `files and a log from ${span.first} to ${span.end - 1}`,
    })
  const files = span.files.filter((file) => file.last >= fromOffset && file.first < toOffset)
  return { ...span, files, first: fromOffset, end: toOffset }
}

interface ReplayOf {
  readonly view: string
  readonly span: Span
  readonly erasures: Erasures
  onRecords(done: number): void
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
    const { view, span } = of
    const { partition } = span
    const { limits, cuts, rowRetentionMs } = parts
    const origin = { view, topicEpoch: 0, partition, generation: 0 }
    this.#fold = createPartitionFold({ origin, limits, cuts, rowRetentionMs })
  }

  async run(): Promise<ReplayedPartition> {
    const { first, end, files, logStart, logEnd } = this.#of.span
    this.#next = first
    for (const file of files) await this.#readFile(file)
    this.#archived = this.#next - first
    // Files that go beyond the log are of another one.
    if (this.#next < end || end > logEnd) {
      this.#refuseGap(Math.max(logStart, Math.min(this.#next, logEnd)), 'the log')
      await this.#readLog(end)
    }
    await this.#write()
    await this.#report()
    this.#of.onRecords(this.#next - first)
    return this.#progress()
  }

  async #readFile(file: LedgerEntry): Promise<void> {
    const { first, end } = this.#of.span
    this.#refuseGap(Math.max(first, file.first), file.file)
    for await (const record of archivedRecords(this.#parts, file))
      if (record.offset >= first && record.offset < end) await this.#apply(record)
  }

  async #readLog(end: number): Promise<void> {
    const { log, config, signal } = this.#parts
    const first = this.#next
    while (this.#next < end) {
      signal?.throwIfAborted()
      const { records } = await log.read(TOPICS.events, this.#of.span.partition, {
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
      expected: `${TOPICS.events}/${this.#of.span.partition} from offset ${this.#next} on`,
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
    this.#of.onRecords(this.#next - this.#of.span.first)
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
    const { view, span } = this.#of
    const { partition } = span
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
        // From the first record on there is no minute that it could not know whole.
        generationStartMs: span.first === 0 ? 0 : (this.#startedAtMs ?? lastLoggedAtMs),
      },
    ])
  }

  #progress(): ReplayedPartition {
    return {
      partition: this.#of.span.partition,
      archived: this.#archived,
      fromLog: this.#fromLog,
      minuteRows: this.#minuteRows,
      sessionRows: this.#sessionRows,
      nextOffset: this.#next,
    }
  }
}
