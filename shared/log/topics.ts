import { FOR_EVER_MS, type TopicSpec } from './event-log.ts'

/** The topics and what each holds. `playback.events` always holds everything that was acknowledged. */
export const TOPICS = {
  /** Accepted events as the gateway wrote them, and ticks. Key: sessionId. */
  events: 'playback.events',
  /** Refused events and poison records with their sealed original bytes. Key: sessionId or none. */
  rejects: 'playback.rejects',
  /** Identities of events that the fold did not apply as the batch will. Key: sessionId. */
  exceptions: 'playback.exceptions',
  /** Closed sessions as of their last close or amendment; compacted. Key: sessionId. */
  sessions: 'playback.sessions',
  /** Raised and resolved alerts. Key: alert id. */
  alerts: 'playback.alerts',
  /** Content metadata, a record a content; compacted, and kept however old it is. Key: contentId. */
  content: 'playback.content',
} as const

const COMPACTED: readonly string[] = [TOPICS.sessions, TOPICS.content]
/** Topics whose records no time makes useless. */
const LASTING: readonly string[] = [TOPICS.content]
/** Bytes that a partition of them keeps in the embedded log, which does not compact: several catalogues. */
const LASTING_MAX_BYTES = 2 ** 29

/**
 * Every topic, and `extra` ones. All have the partitions of `playback.events`, so that what a
 * partition emits keeps its order.
 */
export function topicSpecs(
  settings: {
    readonly partitions: number
    readonly logRetentionMs: number
    readonly logRetentionBytes: number
  },
  extra: readonly string[] = [],
): TopicSpec[] {
  return [...Object.values(TOPICS), ...extra].map((name) => ({
    name,
    partitions: settings.partitions,
    retentionMs: LASTING.includes(name) ? FOR_EVER_MS : settings.logRetentionMs,
    retentionBytes: LASTING.includes(name)
      ? Math.min(settings.logRetentionBytes, LASTING_MAX_BYTES)
      : settings.logRetentionBytes,
    compacted: COMPACTED.includes(name),
  }))
}
