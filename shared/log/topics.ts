import type { TopicSpec } from './event-log.ts'

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
} as const

const COMPACTED: readonly string[] = [TOPICS.sessions]

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
    retentionMs: settings.logRetentionMs,
    retentionBytes: settings.logRetentionBytes,
    compacted: COMPACTED.includes(name),
  }))
}
