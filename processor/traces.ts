/**
 * The trace context that sessions came with last, for those who look for one of them (decision 0034).
 * It is no state of the fold: in no checkpoint, and no row depends on it.
 */
import { LRUCache } from 'lru-cache'
import type { LogRecord } from '../shared/log/event-log.ts'
import { TRACED_SESSIONS_MAX } from './limits.ts'

export class Traces {
  readonly #bySession = new LRUCache<string, string>({ max: TRACED_SESSIONS_MAX })

  /** A record was read; the key of a frame is its session. */
  note({ key, headers }: Pick<LogRecord, 'key' | 'headers'>): void {
    const { traceparent } = headers
    if (traceparent !== undefined && key !== undefined) this.#bySession.set(key, traceparent)
  }

  of(sessionId: string): string | undefined {
    return this.#bySession.get(sessionId)
  }
}
