/** Whether a record of the log is of a viewer or a session that is forgotten. */
import type { LogRecord } from '../../shared/log/event-log.ts'
import { decodeRecord } from '../../shared/log/record.ts'
import { TOPICS } from '../../shared/log/topics.ts'
import type { Erasures } from '../../shared/objects/erasures.ts'
import type { RawTopic } from '../raw-line.ts'

/** Records are keyed by their session; only for those of before a request is the viewer read. */
export function isErased(erasures: Erasures, topic: RawTopic, record: LogRecord): boolean {
  const { key, loggedAtMs: atMs } = record
  if (erasures.covers({ sessionId: key, atMs })) return true
  if (topic !== TOPICS.events || !erasures.mayCoverViewersAt(atMs)) return false
  const decoded = decodeRecord(record)
  if (decoded.kind !== 'frame') return false
  const { sessionId, viewerPseudonym } = decoded.context
  return erasures.covers({ sessionId, viewerPseudonym, atMs })
}
