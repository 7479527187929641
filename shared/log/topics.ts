/** The topics and what each holds. `playback.events` always holds everything that was acknowledged. */
export const TOPICS = {
  /** Accepted events as the gateway wrote them, and ticks. Key: sessionId. */
  events: 'playback.events',
  /** Refused events and poison records with their sealed original bytes. Key: sessionId or none. */
  rejects: 'playback.rejects',
  /** Identities of events that the fold did not apply as the batch will. Key: sessionId. */
  exceptions: 'playback.exceptions',
  /** Closed sessions. Key: sessionId. */
  sessions: 'playback.sessions',
  /** Raised and resolved alerts. Key: alert id. */
  alerts: 'playback.alerts',
} as const
