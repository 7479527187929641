/**
 * What erasures have taken out of the history while the live minutes still count it. As long as the
 * log holds these records, they are put into scratch tables, in memory, which are gone when the
 * session of the warehouse closes: with them the SQL must give what the live view shows. Nothing of
 * them is stored, and a report says of them how many rows they explain.
 */
import { createHash } from 'node:crypto'
import type { EventLog, LogRecord } from '../../shared/log/event-log.ts'
import { decodeRecord, type FrameRecord } from '../../shared/log/record.ts'
import { TOPICS } from '../../shared/log/topics.ts'
import { listErasures, readErasures, type Erasures } from '../../shared/objects/erasures.ts'
import type { ObjectStore } from '../../shared/objects/object-store.ts'
import type { FoldLimits } from '../../shared/qoe/fold.ts'
import { columnsFromObject } from '../../shared/warehouse/column-objects.ts'
import { contextColumns, eventColumns } from '../../shared/warehouse/event-columns.ts'
import { utcDate } from '../../shared/warehouse/minute-rows.ts'
import { tables } from '../../shared/warehouse/tables.ts'
import type { WarehouseSession } from '../../shared/warehouse/warehouse.ts'
import { isErased } from '../erase/erased-record.ts'
import { batchErrors } from '../errors.ts'
import type { Restored } from '../facts.ts'
import { scratchValues, type ValueRow } from '../insert-values.ts'
import {
  RECONCILE_ERASED_COPIES_MAX,
  RECONCILE_FETCH_BYTES,
  RECONCILE_FETCH_RECORDS,
} from '../limits.ts'
import { readSql } from '../read-sql.ts'
import type { AsOf } from './as-of.ts'
import type { RestoredSessions } from './late.ts'

const COPIES = 'reconcile_erased_copies'
const FRAMES = 'reconcile_erased_frames'

/** What is restored of erased sessions. */
export const RESTORED: Restored & Pick<RestoredSessions, 'select'> = {
  copies: { sql: readSql('reconcile/restored-copies') },
  frames: { sql: readSql('reconcile/restored-frames') },
  select: `SELECT session_id, session_bucket FROM ${COPIES}`,
}

export interface ErasedParts {
  readonly log: EventLog
  readonly objects: ObjectStore
  readonly limits: FoldLimits
  readonly asOf: AsOf
}

export interface Erased {
  readonly erasures: Erasures
  /** Sessions of which the log holds records below the cut. */
  readonly sessions: ReadonlySet<string>
  /** What the log has forgotten may have counted in minutes that begin before this, epoch ms. */
  readonly heldFromMs: number
}

/**
 * Makes the scratch tables that `RESTORED` reads; `undefined` when nobody was erased. Throws
 * `BATCH_RECONCILE_TOO_LARGE`.
 */
export async function scratchErased(
  session: WarehouseSession,
  parts: ErasedParts,
): Promise<Erased | undefined> {
  const { objects, asOf } = parts
  const names = await listErasures(objects)
  if (names.length === 0) return undefined
  const erasures = await readErasures(objects, names)
  const found = new ErasedRows(asOf.run)
  let heldFromMs = Number.NEGATIVE_INFINITY
  for (const { partition } of asOf.watermarks)
    heldFromMs = Math.max(heldFromMs, await readPartition(parts, { erasures, partition, found }))
  const { columns } = tables.eventCopies
  await scratchValues(session, { scratch: COPIES, columns, rows: found.copies })
  const { columns: frameColumns } = tables.frames
  await scratchValues(session, { scratch: FRAMES, columns: frameColumns, rows: found.frames })
  return { erasures, sessions: new Set(found.firstOffsets.keys()), heldFromMs }
}

interface PartitionOfErased {
  readonly erasures: Erasures
  readonly partition: number
  readonly found: ErasedRows
}

/** Resolves with the `heldFromMs` of the partition. */
async function readPartition(
  { log, limits, asOf }: ErasedParts,
  { erasures, partition, found }: PartitionOfErased,
): Promise<number> {
  const { start } = await log.offsets(TOPICS.events, partition)
  const end = asOf.nextOffset(TOPICS.events, partition)
  const heldFromMs = start >= end && end > 0 ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY
  let loggedBeforeMs: number | undefined
  let startMs: number | undefined
  const held = new HeldSessions(limits)
  for (let fromOffset = start; fromOffset < end;) {
    const { records } = await log.read(TOPICS.events, partition, {
      fromOffset,
      maxRecords: RECONCILE_FETCH_RECORDS,
      maxBytes: RECONCILE_FETCH_BYTES,
      waitMs: 0,
    })
    for (const record of records) {
      const { offset, loggedAtMs } = record
      if (offset >= end) break
      if (start > 0) startMs ??= loggedAtMs
      const frame = erasedFrame(erasures, record)
      if (frame !== undefined) {
        found.add(frame, timesOf(limits, { partition, loggedBeforeMs, frame }))
        held.add(frame)
      }
      loggedBeforeMs = Math.max(loggedBeforeMs ?? loggedAtMs, loggedAtMs)
    }
    fromOffset = (records.at(-1)?.offset ?? end) + 1
  }
  if (startMs === undefined) return heldFromMs
  // The rest of a session counts otherwise than the whole: it is as good as forgotten.
  const begun = held.begunBefore(startMs)
  found.remove(begun.ids)
  // An event is at most the clock step after its arrival.
  return begun.lastMs + limits.clockStepMs
}

/** Sessions of one partition, and which of them the log may have forgotten records of. */
class HeldSessions {
  readonly #sessions = new Map<string, Held>()
  readonly #clockStepMs: number

  constructor({ clockStepMs }: FoldLimits) {
    this.#clockStepMs = clockStepMs
  }

  add({ context: { sessionId }, events, rejectedSeqs, sentAtMs, receivedAtMs }: FrameRecord): void {
    const earlier = this.#sessions.get(sessionId)
    const { firstSeq = Infinity, firstMs = Infinity, lastMs = receivedAtMs } = earlier ?? {}
    const times = events.map(({ at }) => at + receivedAtMs - sentAtMs)
    this.#sessions.set(sessionId, {
      firstSeq: Math.min(firstSeq, ...events.map(({ seq }) => seq), ...rejectedSeqs),
      firstMs: Math.min(firstMs, ...times),
      lastMs: Math.max(lastMs, receivedAtMs),
    })
  }

  /** A first event that is there may be a copy; only when it happened later, nothing came before. */
  begunBefore(loggedAtMs: number): { readonly ids: ReadonlySet<string>; readonly lastMs: number } {
    const begun = [...this.#sessions].filter(
      ([, { firstSeq, firstMs }]) => firstSeq > 0 || firstMs <= loggedAtMs + this.#clockStepMs,
    )
    const lastMs = begun.reduce((last, [, held]) => Math.max(last, held.lastMs), loggedAtMs)
    return { ids: new Set(begun.map(([id]) => id)), lastMs }
  }
}

interface Held {
  readonly firstSeq: number
  /** By the gateway's clock, epoch ms. */
  readonly firstMs: number
  readonly lastMs: number
}

function erasedFrame(erasures: Erasures, record: LogRecord): FrameRecord | undefined {
  if (!isErased(erasures, TOPICS.events, record)) return undefined
  const decoded = decodeRecord(record)
  return decoded.kind === 'frame' ? decoded : undefined
}

function timesOf(
  { outOfOrdernessMs }: FoldLimits,
  of: {
    readonly partition: number
    readonly loggedBeforeMs: number | undefined
    readonly frame: FrameRecord
  },
): ValueRow {
  const { partition, loggedBeforeMs, frame } = of
  const { receivedAtMs, loggedAtMs, sentAtMs, offset } = frame
  return {
    log_partition: partition,
    log_offset: offset,
    received_date: utcDate(receivedAtMs),
    received_at_ms: receivedAtMs,
    sent_at_ms: sentAtMs,
    logged_at_ms: loggedAtMs,
    watermark_ms: Math.max(loggedBeforeMs ?? loggedAtMs, loggedAtMs) - outOfOrdernessMs,
    watermark_before_ms:
      loggedBeforeMs === undefined ? undefined : loggedBeforeMs - outOfOrdernessMs,
  }
}

/** Rows as the batch would have made of the records. */
class ErasedRows {
  /** The offset of the first record of each session. */
  readonly firstOffsets = new Map<string, number>()
  copies: ValueRow[] = []
  frames: ValueRow[] = []
  readonly #run: number

  constructor(run: number) {
    this.#run = run
  }

  add(frame: FrameRecord, times: ValueRow): void {
    const { context, events, rejectedSeqs, valueBytes } = frame
    const { sessionId } = context
    const common: ValueRow = {
      ...columnsFromObject(context, contextColumns),
      ...times,
      session_bucket: bucketOf(sessionId),
      run: this.#run,
    }
    const incarnation = this.firstOffsets.get(sessionId) ?? frame.offset
    this.firstOffsets.set(sessionId, incarnation)
    this.frames.push({
      ...common,
      bytes: valueBytes,
      event_count: events.length,
      rejected_count: rejectedSeqs.length,
    })
    // Where a session began; later incarnations are numbered again where these are read.
    const copy = { ...common, incarnation, received_at: times['received_at_ms'] }
    for (const [index, event] of events.entries()) {
      const own = columnsFromObject(event, eventColumns)
      this.copies.push({ ...copy, ...own, kind: 'duplicate', log_index: index })
    }
    for (const [index, seq] of rejectedSeqs.entries())
      this.copies.push({ ...copy, seq, kind: 'rejected', log_index: events.length + index })
    if (this.copies.length > RECONCILE_ERASED_COPIES_MAX)
      throw batchErrors.create('BATCH_RECONCILE_TOO_LARGE', {
        expected: `at most ${RECONCILE_ERASED_COPIES_MAX} events of erased sessions in the log`,
        received: 'more',
      })
  }

  remove(sessionIds: ReadonlySet<string>): void {
    const isKept = (row: ValueRow) => !sessionIds.has(String(row['session_id']))
    this.copies = this.copies.filter(isKept)
    this.frames = this.frames.filter(isKept)
  }
}

/** The session's bucket as the flattening has it: the first byte of its MD5. */
function bucketOf(sessionId: string): number {
  return createHash('md5').update(sessionId).digest()[0] ?? 0
}
