import type { Clock } from '../runtime/clock.ts'
import { BackhaulError } from '../runtime/errors.ts'
import type { TelemetryBase } from '../runtime/telemetry.ts'
import type { EventLog, TopicSpec } from './event-log.ts'

const RETRY_MS = 1_000

export interface AwaitTopicsOptions {
  readonly clock: Clock
  readonly signal?: AbortSignal
  /** Told once, when the wait begins. */
  readonly telemetry?: Pick<TelemetryBase, 'log'>
}

/**
 * Ensures the topics as soon as the log can be reached: a service starts before its log, and is not
 * ready until then. Rejects with what no waiting mends (wrong credentials, other partitions);
 * resolves without them when `signal` aborts.
 */
export async function awaitTopics(
  log: EventLog,
  topics: readonly TopicSpec[],
  options: AwaitTopicsOptions,
): Promise<void> {
  const { clock, signal, telemetry } = options
  for (let attempt = 0; signal?.aborted !== true; attempt++) {
    try {
      return await log.ensureTopics(topics)
    } catch (error) {
      if (!(error instanceof BackhaulError && error.spec.retryable)) throw error
      if (attempt === 0)
        telemetry?.log.warn({ err: error.message }, 'the event log does not answer, asking again')
      await clock.sleep(RETRY_MS, signal)
    }
  }
}
