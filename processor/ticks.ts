/**
 * Ticks let time pass in an idle partition. The owner in the primary view appends one when it has read nothing for
 * `tickIdleMs`; reading the tick then starts the wait anew.
 */
import type { EventLog } from '../shared/log/event-log.ts'
import { encodeTick } from '../shared/log/record.ts'
import { TOPICS } from '../shared/log/topics.ts'
import type { Clock } from '../shared/runtime/clock.ts'
import { isRetryable, type RetryContext } from './retry.ts'
import type { ProcessorTelemetry } from './telemetry.ts'
import type { PartitionRole } from './view-role.ts'

export interface IdleTickerParts {
  readonly partition: number
  readonly log: EventLog
  readonly clock: Clock
  readonly telemetry: ProcessorTelemetry
  readonly tickIdleMs: number
  readonly enabled: boolean
  readonly role: Pick<PartitionRole, 'isPrimary'>
  retryContext(call: string): RetryContext
}

export class IdleTicker {
  readonly #parts: IdleTickerParts
  #idleSinceMs: number

  constructor(parts: IdleTickerParts) {
    this.#parts = parts
    this.#idleSinceMs = parts.clock.monotonicMs()
  }

  recordsRead(): void {
    this.#idleSinceMs = this.#parts.clock.monotonicMs()
  }

  /** How long a fetch may wait before a tick is due, ms. */
  untilDueMs(): number {
    const { clock, tickIdleMs, enabled, role } = this.#parts
    if (!enabled || !role.isPrimary) return Number.POSITIVE_INFINITY
    return Math.max(0, this.#idleSinceMs + tickIdleMs - clock.monotonicMs())
  }

  /** Record step: appends a tick if one is due. A failure leaves it due. */
  async tickIfIdle(): Promise<void> {
    const { log, partition, telemetry, retryContext } = this.#parts
    if (this.untilDueMs() > 0) return
    try {
      await log.append(TOPICS.events, partition, [encodeTick()])
    } catch (error) {
      if (!isRetryable(error)) throw error
      const context = retryContext('tick')
      context.onRetry(error, 0)
      await context.clock.sleep(context.limits.retryDelayMaxMs, context.signal)
      return
    }
    // The wait starts anew even if the tick is not read soon.
    this.recordsRead()
    telemetry.tickAppended(partition)
  }
}
