/** Decoded records of a log as the flattening would stage them: copies, frames, watermarks. */
import type { DecodedRecord, FrameRecord } from '../../shared/log/record.ts'
import {
  contextColumns,
  eventColumns,
  type EventColumn,
} from '../../shared/warehouse/event-columns.ts'
import { required, type ColumnSpec } from '../../shared/warehouse/table-spec.ts'
import { tables } from '../../shared/warehouse/tables.ts'
import type { Row, RowValue } from '../../shared/warehouse/warehouse.ts'

export interface StagedLog {
  readonly copies: readonly Row[]
  readonly frames: readonly Row[]
  /** The watermark after the last record. */
  readonly watermarkMs: number
}

export interface LogRange {
  readonly run: number
  readonly partition: number
  readonly outOfOrdernessMs: number
  /** The watermark before the first record, where there were records before. */
  readonly watermarkBeforeMs: number | undefined
}

export const STAGED_COLUMNS: readonly ColumnSpec[] = [
  ...tables.eventCopies.columns.filter(({ name }) => name !== 'kind' && name !== 'incarnation'),
  required('accepted', 'BOOL', 'Whether it is an event, or a rejected seq.'),
]

export function stageLog(records: readonly DecodedRecord[], range: LogRange): StagedLog {
  const copies: Row[] = []
  const frames: Row[] = []
  let watermarkMs = range.watermarkBeforeMs
  for (const record of records) {
    const beforeMs = watermarkMs
    watermarkMs = Math.max(
      record.loggedAtMs - range.outOfOrdernessMs,
      watermarkMs ?? Number.NEGATIVE_INFINITY,
    )
    if (record.kind !== 'frame') continue
    const arrival = arrivalOf(record, range, watermarkMs)
    frames.push(frameRow(record, arrival, beforeMs))
    copies.push(...copyRows(record, arrival))
  }
  return { copies, frames, watermarkMs: watermarkMs ?? Number.NEGATIVE_INFINITY }
}

function arrivalOf(frame: FrameRecord, range: LogRange, watermarkMs: number): Row {
  return {
    session_id: frame.context.sessionId,
    received_date: new Date(frame.receivedAtMs).toISOString().slice(0, 10),
    received_at: new Date(frame.receivedAtMs).toISOString(),
    received_at_ms: frame.receivedAtMs,
    sent_at_ms: frame.sentAtMs,
    logged_at_ms: frame.loggedAtMs,
    watermark_ms: watermarkMs,
    log_partition: range.partition,
    log_offset: frame.offset,
    session_bucket: bucketOf(frame.context.sessionId),
    run: range.run,
  }
}

function frameRow(frame: FrameRecord, arrival: Row, watermarkBeforeMs: number | undefined): Row {
  return {
    ...arrival,
    ...valuesOf(contextColumns, frame.context),
    watermark_before_ms: watermarkBeforeMs ?? null,
    bytes: frame.valueBytes,
    event_count: frame.events.length,
    rejected_count: frame.rejectedSeqs.length,
  }
}

function copyRows(frame: FrameRecord, arrival: Row): Row[] {
  const common = { ...arrival, ...valuesOf(contextColumns, frame.context) }
  const accepted = frame.events.map((event, index) => ({
    ...common,
    ...valuesOf(eventColumns, event),
    happened_at: new Date(event.at).toISOString(),
    log_index: index,
    accepted: true,
  }))
  const rejected = frame.rejectedSeqs.map((seq, index) => ({
    ...common,
    seq,
    log_index: frame.events.length + index,
    accepted: false,
  }))
  return [...accepted, ...rejected]
}

function valuesOf(columns: readonly EventColumn[], source: object): Row {
  return Object.fromEntries(columns.map((column) => [column.name, valueAt(column, source)]))
}

function valueAt({ path, json }: EventColumn, source: object): RowValue {
  let value: unknown = source
  for (const field of path) value = (value as Record<string, unknown> | undefined)?.[field]
  if (value === undefined) return null
  return json ? JSON.stringify(value) : (value as RowValue)
}

/** Any hash of the session's id will do here. */
function bucketOf(sessionId: string): number {
  let hash = 0
  for (const char of sessionId) hash = (hash * 31 + (char.codePointAt(0) ?? 0)) % 256
  return hash
}
