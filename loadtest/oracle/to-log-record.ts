/** Records of a made-up log as the log would hold them, so that reading them is part of a test. */
import type { LogRecord } from '../../shared/log/event-log.ts'
import {
  type DecodedRecord,
  encodeFrameRecord,
  encodeTick,
  FRAME_SCHEMA,
} from '../../shared/log/record.ts'

const bytesOf = (value: unknown) => new TextEncoder().encode(JSON.stringify(value))

export function toLogRecord(record: DecodedRecord): LogRecord {
  const { offset, loggedAtMs } = record
  const placed = { partition: 0, offset, loggedAtMs, key: undefined }
  if (record.kind === 'tick') return { ...placed, ...encodeTick() }
  const headers = { schema: FRAME_SCHEMA }
  if (record.kind === 'poison') return { ...placed, value: bytesOf(['poison']), headers }
  const { context, sentAtMs, receivedAtMs, receivedAtClamped, rejectedSeqs, events } = record
  const value = encodeFrameRecord({
    contextJson: bytesOf(context),
    sentAtMs,
    receivedAtMs: receivedAtClamped ? loggedAtMs + 1 : receivedAtMs,
    rejectedSeqs,
    events: events.map(bytesOf),
  })
  return { ...placed, value, headers }
}
