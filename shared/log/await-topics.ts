import type { Clock } from '../runtime/clock.ts'
import { BackhaulError } from '../runtime/errors.ts'
import type { EventLog, TopicSpec } from './event-log.ts'

const RETRY_MS = 1_000

/**
 * Ensures the topics as soon as the log can be reached: a service starts before its log, and is not
 * ready until then. Rejects with what no waiting mends (wrong credentials, other partitions);
 * resolves without them when `signal` aborts.
 */
export async function awaitTopics(
  log: EventLog,
  topics: readonly TopicSpec[],
  { clock, signal }: { readonly clock: Clock; readonly signal?: AbortSignal },
): Promise<void> {
  while (signal?.aborted !== true) {
    try {
      return await log.ensureTopics(topics)
    } catch (error) {
      if (!(error instanceof BackhaulError && error.spec.retryable)) throw error
      await clock.sleep(RETRY_MS, signal)
    }
  }
}
